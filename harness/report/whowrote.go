package report

import (
	"fmt"
	"strings"

	"kcatch/harness/verdict"
)

// earlierShown is how many of the writes before the last one the text report shows.
const earlierShown = 4

// whoWrote shows who wrote the memory that was asked for, and the chain of the last one.
func (t *text) whoWrote(r *verdict.Result) {
	if len(r.WhoWrote) == 0 {
		return
	}
	if s := otherSlide(r); s != "" {
		t.line("")
		t.line("%s", t.style.dim(s))
	}
	for _, w := range r.WhoWrote {
		t.line("")
		head := fmt.Sprintf("who wrote %s (%s, %d byte%s): ", Clean(w.Expression, 120), w.Address, w.Size, plural(w.Size))
		if w.Writers == 0 || len(w.Frames) == 0 && w.Via == "" {
			t.line("%s", t.style.strong(head+fmt.Sprintf("nobody since power-on; it holds %s", w.New)))
			continue
		}
		at := ""
		if w.Offset > 0 {
			at = fmt.Sprintf(" at byte %d", w.Offset)
		}
		if w.Sampled {
			head += "at least "
		}
		t.line("%s", t.style.strong(head+fmt.Sprintf("%d write%s; the last: %s -> %s%s%s", w.Writers, plural(w.Writers), w.Old, w.New, at, by(&w))))
		t.frames(w.Frames, nil)
		if w.Stopped != "" {
			t.line("     %s", t.style.dim("("+Clean(w.Stopped, 0)+")"))
		}
		for i := len(w.Earlier) - 1; i >= max(0, len(w.Earlier)-earlierShown); i-- {
			e := w.Earlier[i]
			who := place(e.Function, e.File, e.Line, e.PC)
			if e.Loading {
				who = loading + who
			}
			t.line("     %s", t.style.dim(fmt.Sprintf("before that: %s -> %s by %s", e.Old, e.New, who)))
		}
		if n := w.Writers - 1 - min(len(w.Earlier), earlierShown); n > 0 && len(w.Earlier) >= earlierShown {
			t.line("     %s", t.style.dim(fmt.Sprintf("and %d more before", n)))
		}
	}
}

// otherSlide says that the addresses of the answers are not those of the report; empty where they are.
func otherSlide(r *verdict.Result) string {
	if len(r.WhoWrote) == 0 || r.WhoWrote[0].Slide == r.Kernel.KASLRSlide {
		return ""
	}
	return fmt.Sprintf("who wrote it is answered by another, deterministic boot with a KASLR slide of its own (%s): its addresses are not those above", r.WhoWrote[0].Slide)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// loading stands before the function that loaded or unpacked the kernel.
const loading = "the loading of the kernel, "

// by names the function that wrote.
func by(w *verdict.Write) string {
	if w.Function == "" && len(w.Frames) == 0 {
		if w.Loading {
			return " by " + strings.TrimSuffix(loading, ", ")
		}
		return ""
	}
	pc := verdict.Hex(0)
	if len(w.Frames) > 0 {
		pc = w.Frames[0].PC
	}
	if w.Loading {
		return " by " + loading + place(w.Function, w.File, w.Line, pc)
	}
	return " by " + place(w.Function, w.File, w.Line, pc)
}

func place(function, file string, line int, pc verdict.Hex) string {
	switch {
	case function == "":
		return pc.String()
	case file != "" && line > 0:
		return fmt.Sprintf("%s  %s:%d", Clean(function, 80), Clean(file, 120), line)
	}
	return Clean(function, 80)
}
