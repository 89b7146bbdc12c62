package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/smoke"
	"kcatch/harness/verdict"
	"kcatch/kernels"
)

func smokeCells() []smoke.Cell {
	return []smoke.Cell{
		{Name: "stable/q35", Kernel: "stable", Machine: "q35", Plan: harness.Plan{Build: &kernels.Request{}}},
		{Name: "stable/microvm", Kernel: "stable", Machine: "microvm", Plan: harness.Plan{Build: &kernels.Request{}}},
		{Name: "given/q35", Kernel: "given", Machine: "q35"},
	}
}

// TestSmokeTalkOffATerminal: a line for each stage of a build, each cell that is done and each remark, with the time; no escape sequence.
func TestSmokeTalkOffATerminal(t *testing.T) {
	var out bytes.Buffer
	cells := smokeCells()
	s := newSmokeTalk(newTalk(&out, false), cells, nil, 2, false)
	clock := s.begun
	s.now = func() time.Time { return clock }
	l := s.Listener()
	l.Say("tcg: no /dev/kvm")
	l.Build("stable", "copy", "debian-6.1", 0, 0)
	clock = clock.Add(1500 * time.Millisecond)
	l.Build("stable", "build", "2 jobs", 0, 0)
	for i := range 24 {
		clock = clock.Add(time.Second)
		l.Build("stable", "build", "2 jobs", 10*i, 300)
	}
	l.Begin(&cells[0], 1)
	l.Stage(&cells[0], "boot", "q35")
	clock = clock.Add(400 * time.Millisecond)
	l.End(&verdict.Cell{Name: "stable/q35", Status: verdict.CellPass, Attempts: 1, Seconds: 0.4})
	l.Begin(&cells[2], 1)
	l.Begin(&cells[2], 2)
	l.End(&verdict.Cell{Name: "given/q35", Status: verdict.CellFail, Attempts: 2, Seconds: 62,
		Result: &verdict.Result{Verdict: verdict.Bad, Summary: "panic: \x1b[31mno init\n::error::x"}})
	s.Close()
	want := `kcatch: tcg: no /dev/kvm
kcatch:     0ms  build stable  copy  0.0s  debian-6.1
kcatch:    1.5s  build stable  build  0.0s  2 jobs
kcatch:   11.5s  build stable  build  90/300  10s  2 jobs
kcatch:   21.5s  build stable  build  190/300  20s  2 jobs
kcatch:   25.9s  1/3  pass 0.4s     stable/q35
kcatch:   25.9s  given/q35 did not pass, boot 2 begins
kcatch:   25.9s  2/3  FAIL 1m02s    given/q35  panic: \x1b[31mno init\x0a::error::x
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestSmokeTalkQuiet: --quiet leaves out all of it, on a terminal too.
func TestSmokeTalkQuiet(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		talk := newTalk(&out, terminal)
		talk.quiet = true
		s := newSmokeTalk(talk, smokeCells(), nil, 2, false)
		if l := s.Listener(); l.Build != nil || l.Begin != nil || l.Stage != nil || l.End != nil || l.Say != nil {
			t.Error("it listens")
		}
		s.Close()
		if out.Len() > 0 {
			t.Errorf("terminal %v: %q", terminal, out.String())
		}
	}
}

// TestSmokeTalkOnATerminal: the grid stands in one place, remarks and what others print go above it, and at the end nothing of it is left.
func TestSmokeTalkOnATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	scr := newScreen(t, 80, 24)
	fmt.Fprintln(scr.tty, "$ kcatch smoke")
	cells := smokeCells()
	talk := newTalk(scr.tty, true)
	s := newSmokeTalk(talk, cells, map[string]time.Duration{"given/q35": time.Second}, 2, false)
	l := s.Listener()
	scr.until("the grid", func(text string) bool { return strings.Contains(text, "\nstable  ·             ·") })
	l.Say("a remark")
	l.Build("stable", "build", "", 1, 4)
	l.Begin(&cells[2], 1)
	l.Stage(&cells[2], "boot", "")
	talk.print("kcatch: ending what runs")
	scr.until("the cells", func(text string) bool {
		return strings.Contains(text, "stable  build 25%     build 25%\ngiven   boot ") && strings.HasPrefix(text, "$ kcatch smoke\nkcatch: a remark\nkcatch: ending what runs\n─")
	})
	l.End(&verdict.Cell{Name: "given/q35", Status: verdict.CellPass, Attempts: 1, Seconds: 0.7})
	scr.until("the pass", func(text string) bool {
		return strings.Contains(text, "\n━━━━━━──────────────  1/3") && strings.Contains(text, "\ngiven   pass 0.7s")
	})
	s.Close()
	fmt.Fprintln(scr.tty, "PASS")
	scr.untilIs("$ kcatch smoke\nkcatch: a remark\nkcatch: ending what runs\nPASS")
}

// TestTalkShowsInPlace: lines that are drawn again take the place of those before, whether there are more or fewer of them, and also when the
// terminal became narrower meanwhile and wrapped them.
func TestTalkShowsInPlace(t *testing.T) {
	scr := newScreen(t, 80, 24)
	talk := newTalk(scr.tty, true)
	fmt.Fprintln(scr.tty, "before")
	talk.show([]string{strings.Repeat("a", 70), "b\x1b[2mb\x1b[0m", strings.Repeat("c", 80)})
	scr.untilIs("before\n" + strings.Repeat("a", 70) + "\nbb\n" + strings.Repeat("c", 80))
	scr.resize(30, 24)
	talk.show([]string{"narrow", "and " + strings.Repeat("long", 10)})
	scr.untilIs("before\nnarrow\nand " + strings.Repeat("long", 6) + "lg") // what is too long is cut by the terminal, not wrapped
	scr.resize(100, 24)
	talk.show([]string{"1", "2", "3", "4"})
	scr.untilIs("before\n1\n2\n3\n4")
	talk.abandon()
	talk.print("after")
	scr.untilIs("before\nafter")
}
