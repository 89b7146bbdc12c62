package survey

import (
	"testing"

	"kcatch/harness/verdict"
)

// TestSites: distinct chains become sites by the code outside of headers; two functions of a header in one line are two.
func TestSites(t *testing.T) {
	frame := func(function, file string, line int, inline bool) verdict.Frame {
		return verdict.Frame{Function: function, File: file, Line: line, Inline: inline}
	}
	chain := func(stage verdict.Stage, n int, frames ...verdict.Frame) seen {
		return seen{point: "WARN", Sighting: verdict.Sighting{Stage: stage, Count: n, Frames: frames}}
	}
	set, clear := frame("__SetPageReserved", "include/linux/page-flags.h", 503, true), frame("__ClearPageReserved", "include/linux/page-flags.h", 503, true)
	late := chain(verdict.Userspace, 2, set, frame("grow", "mm/b.c", 7, false), frame("g", "fs/c.c", 1, false))
	called := chain(verdict.Init, 3, frame("helper", "include/linux/h.h", 1, false), frame("user", "a.c", 9, false))
	called.point, called.called, called.atLeast = "helper", true, true
	got := sites([]seen{
		late,
		chain(verdict.StartKernel, 1, set, frame("free", "mm/b.c", 7, true), frame("f", "mm/b.c", 90, false)),
		chain(verdict.StartKernel, 5, set, frame("grow", "mm/b.c", 7, false), frame("f", "mm/b.c", 91, false)),
		chain(verdict.StartKernel, 1, clear, frame("grow", "mm/b.c", 7, false)),
		chain(verdict.StartKernel, 1, frame("own", "mm/a.c", 3, false)),
		chain(verdict.StartKernel, 1, frame("only", "include/x.h", 3, false)),
		called,
		chain(verdict.EarlyIDT, 1),
	})
	type row struct {
		stage    verdict.Stage
		function string
		inlined  string
		line     int
		count    int
		chains   int
	}
	want := []row{
		{verdict.EarlyIDT, "", "", 0, 1, 1},
		{verdict.StartKernel, "only", "", 3, 1, 1},
		{verdict.StartKernel, "own", "", 3, 1, 1},
		{verdict.StartKernel, "free", "__SetPageReserved", 7, 1, 1},
		{verdict.StartKernel, "grow", "__ClearPageReserved", 7, 1, 1},
		{verdict.Init, "user", "", 9, 3, 1},
		{verdict.Userspace, "grow", "__SetPageReserved", 7, 7, 2},
	}
	if len(got) != len(want) {
		t.Fatalf("%d sites, want %d: %+v", len(got), len(want), got)
	}
	for i, s := range got {
		r := row{s.Stage, s.Function, "", s.Line, s.Count, len(s.Chains)}
		if s.Inlined != nil {
			r.inlined = s.Inlined.Function
		}
		if r != want[i] {
			t.Errorf("site %d: %+v, want %+v", i, r, want[i])
		}
		if s.AtLeast != (s.Function == "user") {
			t.Errorf("%s: at least %v", s.Function, s.AtLeast)
		}
	}
	if last := got[len(got)-1]; len(last.Stages) != 2 {
		t.Errorf("stages %v", last.Stages)
	}
}

// TestSiteOfALine: the line table may have several lines at an address, of which the chain has one. The site is the one that was asked for.
func TestSiteOfALine(t *testing.T) {
	b := Break{Text: "mm/a.c:50", File: "mm/a.c", Line: 50}
	frames := []verdict.Frame{{Function: "inner", File: "include/h.h", Line: 50, Inline: true}, {Function: "f", File: "mm/a.c", Line: 48}}
	if got := b.frame(frames); got != 1 {
		t.Errorf("frame %d", got)
	}
	one := seen{point: b.Text, line: b.Line, Sighting: verdict.Sighting{Stage: verdict.Init, Count: 1, Frames: frames[1:]}}
	other := one
	other.point, other.line = "mm/a.c:48", 48
	got := sites([]seen{one, other})
	if len(got) != 2 || got[0].Line != 48 || got[1].Line != 50 || got[1].Point != "mm/a.c:50" || got[1].Frames[0].Line != 48 {
		t.Errorf("%+v", got)
	}
}

func FuzzParseBreak(f *testing.F) {
	for _, s := range []string{"vfs_read", "mm/page_alloc.c:6958", ":", "a:b:3", "x:99999999999999999999", "\x00", "./a.c:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBreak(text)
		if (err == nil) != (b.Function != "" && isName(b.Function) || b.File != "" && b.Line > 0) {
			t.Errorf("%q: %+v, %v", text, b, err)
		}
	})
}
