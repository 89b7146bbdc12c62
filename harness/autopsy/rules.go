package autopsy

import (
	"fmt"
	"math"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Finding is what the rules say of a death.
type Finding struct {
	Class verdict.Class
	Hang  verdict.HangKind
	CPU   int      // the vCPU whose chain shows it
	Chain *Chain   // in place of that vCPU's, where the death is older than the stop; else nil
	Frame int      // index of the frame at fault in that chain; -1 when there is none
	Task  *Blocked // the task that waits, when Frame is in its chain
	Trap  *Trap
	What  string // "#UD in __SetPageReserved()": the summary without the class
	Notes []string
}

// rule is one way to die. judge returns nil when it does not apply; the first rule of the table that applies wins, so
// that the order says what is the first death: an oops comes before the panic that follows it.
type rule struct {
	name  string
	judge func(*Evidence) *Finding
}

// rules is the table. A machine that was reset or is halted says so from outside; what it was doing then is read from
// the chains, so the chain rules come first.
var rules = []rule{
	{"exception", exception},
	{"oops or BUG in the log", reported},
	{"panic", panicked},
	{"decompressor", decompressing},
	{"reset", reset},
	{"triple fault", tripleFault},
	{"shutdown", shutdown},
	{"hang", hang},
}

// Judge applies the rules. It always finds something: a stop that fits none is a hang of unknown kind, and says so.
func Judge(e *Evidence) Finding {
	for _, r := range rules {
		if f := r.judge(e); f != nil {
			return *f
		}
	}
	return Finding{Class: verdict.Hang, Hang: verdict.Spin, Frame: -1, What: "stopped for a reason no rule knows: " + e.Stop.String()}
}

// panicked: a vCPU is in panic().
func panicked(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		at := c.outermost("vpanic", "panic") // of a panic in a panic the first is the death
		if at < 0 {
			continue
		}
		c, frame := lockedUp(e, c, beyond(c, at, reporting))
		f := &Finding{Class: verdict.Panic, CPU: c.CPU, Frame: frame}
		where := place(&c.Frames[frame])
		if t := hungTask(e, c, frame); t != nil {
			f.Task, f.Frame = t, first(&t.Chain, waiting)
			where = fmt.Sprintf("%s, where task %d (%s) waits", place(&t.Chain.Frames[f.Frame]), t.PID, t.Comm)
		}
		what := panicText(e)
		if what == "" && e.PanicFormat != "" {
			what = e.PanicFormat
			f.Notes = []string{"the panic's text is from panic()'s arguments: the log does not have it yet"}
		}
		if what == "" {
			what = "panic"
		}
		f.What = what + " in " + where
		return f
	}
	return nil
}

// panicText is the kernel's own text, from the log in memory: "Kernel panic - not syncing: %s" (kernel/panic.c).
func panicText(e *Evidence) string {
	text, _ := panicRecord(e)
	return text
}

// panicRecord is that text and the sequence number of its record, which is the largest there can be when there is none.
func panicRecord(e *Evidence) (text string, seq uint64) {
	for _, r := range e.Log { // the first: "---[ end Kernel panic" repeats it
		if text, ok := strings.CutPrefix(r.Text, "Kernel panic - not syncing: "); ok && text != "" && r.Facility == 0 {
			line, _, _ := strings.Cut(text, "\n")
			return line, r.Seq
		}
	}
	return "", math.MaxUint64
}

// decompressing: the pc lies in the decompressor and the vCPU is halted with interrupts off: error() in
// arch/x86/boot/compressed/error.c. Its text is read from the code that called it, or from the console if that has it.
func decompressing(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		if c.Where != BootText || !c.Halted || e.Stop.Kind == watch.Shutdown {
			continue
		}
		f := &Finding{Class: verdict.DecompressorError, CPU: c.CPU, Frame: first(c, []string{"error"}), What: "the decompressor gave up"}
		text := c.Message
		if text == "" {
			text = haltedText(e.Console)
		}
		if text != "" {
			f.What += ": " + text
		}
		if f.Frame >= 0 {
			f.What += " in " + place(&c.Frames[f.Frame])
		}
		return f
	}
	return nil
}

// haltedText is the line before " -- System halted" on the console, which error() prints after its text.
func haltedText(console string) string {
	before, _, ok := strings.Cut(console, " -- System halted")
	if !ok {
		return ""
	}
	lines := strings.FieldsFunc(before, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return ""
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// first is the innermost frame that is in none of the list, or -1 when the chain is empty.
func first(c *Chain, list []string) int {
	if len(c.Frames) == 0 {
		return -1
	}
	return beyond(c, 0, list)
}

// inModule is " [module]" for a frame in one.
func inModule(f *verdict.Frame) string {
	if f.Module == "" {
		return ""
	}
	return " [" + f.Module + "]"
}

// place is a frame for a sentence: "__SetPageReserved() include/linux/page-flags.h:503".
func place(f *verdict.Frame) string {
	switch {
	case f.Function == "":
		return f.PC.String()
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s()%s  %s:%d", f.Function, inModule(f), f.File, f.Line)
	}
	return f.Function + "()" + inModule(f)
}
