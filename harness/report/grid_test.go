package report

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"kcatch/harness/verdict"
)

// someGrid has the cells of two kernels, one of which is built, on three machines.
func someGrid() *Grid {
	g := &Grid{Jobs: 2}
	for _, k := range []string{"stable", "patched", "prebuilt"} {
		for _, m := range []string{"q35-smp1", "q35-smp2", "microvm"} {
			g.Cells = append(g.Cells, GridCell{Name: k + "/" + m, Kernel: k, Machine: m, Built: k != "prebuilt", Known: 2})
		}
	}
	return g
}

// TestGridTellsAStory: what a person sees at the points of a run, at 80 columns.
func TestGridTellsAStory(t *testing.T) {
	g := someGrid()
	var b strings.Builder
	scene := func(now float64, what string, width, height int) {
		lines := g.Lines(now, Style{}, width, height)
		fmt.Fprintf(&b, "== %s (%dx%d)\n%s\n\n", what, width, height, strings.Join(lines, "\n"))
	}
	scene(0, "nothing yet", 80, 24)
	g.Build(0.1, "stable", "copy", "", 0, 0)
	g.Build(1, "stable", "build", "debian-6.1, 2 jobs", 0, 0)
	g.Build(1, "stable", "build", "", 300, 1200)
	g.Begin(1, "prebuilt/q35-smp1", 1)
	g.Stage("prebuilt/q35-smp1", "boot")
	scene(2.5, "builds and boots", 80, 24)
	g.End(&verdict.Cell{Name: "prebuilt/q35-smp1", Status: verdict.CellPass, Attempts: 1, Seconds: 1.7})
	g.Begin(3, "stable/q35-smp1", 1)
	g.Begin(3, "stable/q35-smp2", 2)
	g.Stage("stable/q35-smp2", "caught")
	g.Build(3, "patched", "patch", "pgflags-refcount", 0, 0)
	g.End(&verdict.Cell{Name: "stable/microvm", Status: verdict.CellFail, Attempts: 1, Seconds: 12, Result: seedDeath()})
	g.End(&verdict.Cell{Name: "prebuilt/q35-smp2", Status: verdict.CellFlaky, Attempts: 2, Seconds: 1.2, Reason: "passed when it was tried again"})
	g.End(&verdict.Cell{Name: "of another run", Status: verdict.CellFail})
	scene(15.2, "some are done", 80, 24)
	scene(15.2, "low", 80, 7)
	scene(15.2, "very low", 80, 2)
	scene(15.2, "narrow", 44, 24)
	scene(15.2, "very narrow", 20, 24)
	for _, c := range g.Cells {
		status := verdict.CellPass
		switch {
		case c.Kernel == "patched":
			status = verdict.CellSkip
		case c.Name == "prebuilt/microvm":
			status = verdict.CellNotRun
		case c.Status != "":
			continue
		}
		n := 1
		if status != verdict.CellPass {
			n = 0
		}
		g.End(&verdict.Cell{Name: c.Name, Status: status, Attempts: n, Seconds: 0.4, Reason: "does not build"})
	}
	scene(75, "the end", 80, 24)
	golden(t, "grid.txt", b.String())
}

// TestGridLate: of a cell that takes longer than it did nobody knows how long that is.
func TestGridLate(t *testing.T) {
	g := Grid{Jobs: 1, Cells: []GridCell{{Name: "k/m", Kernel: "k", Machine: "m", Known: 4, Attempt: 1}}}
	for now, want := range map[float64]string{1: "0/1  1 booting  1.0s, about 3.0s left", 4: "0/1  1 booting  4.0s", 60: "0/1  1 booting  1m00s"} {
		if got := g.Lines(now, Style{}, 40, 24)[0]; got != want {
			t.Errorf("at %v: %q, want %q", now, got, want)
		}
	}
}

// TestGridFits: in no terminal is a line too wide or one too many, and what is left out is not the head.
func TestGridFits(t *testing.T) {
	g := someGrid()
	for i := range 40 {
		g.Cells = append(g.Cells, GridCell{Name: fmt.Sprintf("k%d/pc", i), Kernel: fmt.Sprintf("k%d", i), Machine: "pc"})
		g.Begin(1, fmt.Sprintf("k%d/pc", i), 1)
		if i%3 == 0 {
			g.End(&verdict.Cell{Name: fmt.Sprintf("k%d/pc", i), Status: verdict.CellError, Reason: strings.Repeat("long ", 50)})
		}
	}
	g.Build(1, "patched", "build", strings.Repeat("note ", 40), 1, 2)
	for width := 1; width < 200; width += 7 {
		for height := range 70 {
			lines := g.Lines(9, Style{}, width, height)
			if len(lines) == 0 || len(lines) > max(height, 1) {
				t.Fatalf("%d lines in %dx%d", len(lines), width, height)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > max(width, 10) {
					t.Fatalf("%d columns in %dx%d: %q", n, width, height, l)
				}
			}
			if !strings.Contains(lines[0], "14/49") {
				t.Fatalf("%dx%d: no score in %q", width, height, lines[0])
			}
		}
	}
}

// TestGridOfHostileGuest: what a guest or a build says moves no cursor, and a colour is the only escape sequence.
func TestGridOfHostileGuest(t *testing.T) {
	const evil = "\n\r\x1b[2J::error::\u202e"
	g := &Grid{Cells: []GridCell{{Name: evil, Kernel: evil, Machine: evil, Append: evil}, {Name: "b", Kernel: "b", Machine: "c"}}}
	g.Build(0, "b", evil, evil, 1, 0)
	g.Begin(0, evil, 1)
	g.Stage(evil, evil)
	g.End(&verdict.Cell{Name: "b", Status: verdict.CellFail, Result: &verdict.Result{Verdict: verdict.Bad, Summary: evil}})
	g.Build(0, "c", evil, evil, 1, 0)
	for _, size := range [][2]int{{300, 24}, {60, 5}} {
		for _, l := range g.Lines(1, Style{Color: true}, size[0], size[1]) {
			l = strings.NewReplacer("\x1b[0m", "", "\x1b[1;31m", "", "\x1b[1;32m", "", "\x1b[33m", "", "\x1b[2m", "", "\x1b[1;36m", "").Replace(l)
			if strings.ContainsAny(l, "\n\r\x1b\u202e") {
				t.Errorf("hostile text went through: %q", l)
			}
		}
	}
	c := verdict.Cell{Name: evil, Status: verdict.CellError, Reason: evil}
	if l := SmokeCellLine(&c); strings.ContainsAny(l, "\n\r\x1b") {
		t.Errorf("hostile text went through: %q", l)
	}
}

func TestGridLeft(t *testing.T) {
	tests := []struct {
		name  string
		jobs  int
		cells []GridCell
		build func(*Grid)
		now   float64
		left  float64
		least bool
		ok    bool
	}{
		{name: "nothing is known", cells: []GridCell{{Name: "a"}}},
		{name: "two at a time", jobs: 2, cells: []GridCell{{Name: "a", Known: 4}, {Name: "b", Known: 3}, {Name: "c", Known: 2}}, left: 5, ok: true},
		{name: "one at a time, when nobody says", cells: []GridCell{{Name: "a", Known: 4}, {Name: "b", Known: 3}}, left: 7, ok: true},
		{name: "as many at a time as run, when nobody says", now: 1, cells: []GridCell{{Name: "a", Known: 4, Attempt: 1}, {Name: "b", Known: 3, Attempt: 1},
			{Name: "c", Known: 3}, {Name: "d", Known: 3}}, left: 6, ok: true},
		{name: "one runs", jobs: 1, now: 3, cells: []GridCell{{Name: "a", Known: 4, Attempt: 1, Began: 1}, {Name: "b", Known: 3}}, left: 5, ok: true},
		{name: "one runs longer than it did", jobs: 1, now: 60, cells: []GridCell{{Name: "a", Known: 4, Attempt: 1}, {Name: "b", Known: 3}}, left: 3, ok: true},
		{name: "the unknown takes what the done took", jobs: 1, cells: []GridCell{
			{Name: "a", Status: verdict.CellPass, Booted: true, Seconds: 6}, {Name: "b", Status: verdict.CellSkip, Seconds: 100}, {Name: "c"}}, left: 6, ok: true},
		{name: "a build that is half done", jobs: 2, now: 10, cells: []GridCell{{Name: "a", Kernel: "k", Built: true, Known: 2}},
			build: func(g *Grid) { g.Build(4, "k", "build", "", 50, 100) }, left: 8, ok: true},
		{name: "a build that has not begun", jobs: 2, cells: []GridCell{{Name: "a", Kernel: "k", Built: true, Known: 2}}, left: 2, least: true, ok: true},
		{name: "a build that is over", jobs: 2, now: 10, cells: []GridCell{{Name: "a", Kernel: "k", Built: true, Known: 2}},
			build: func(g *Grid) { g.Build(4, "k", "build", "", 50, 100); g.Build(5, "other", "build", "", 1, 2) }, left: 2, ok: true},
	}
	for _, tt := range tests {
		g := &Grid{Cells: tt.cells, Jobs: tt.jobs}
		if tt.build != nil {
			tt.build(g)
		}
		if left, least, ok := g.Left(tt.now); left != tt.left || least != tt.least || ok != tt.ok {
			t.Errorf("%s: %v %v %v, want %v %v %v", tt.name, left, least, ok, tt.left, tt.least, tt.ok)
		}
	}
}

func TestSpan(t *testing.T) {
	for s, want := range map[float64]string{-1: "0.0s", 0: "0.0s", 0.44: "0.4s", 9.94: "9.9s", 9.96: "10s", 59.4: "59s", 59.6: "1m00s", 3599.4: "59m59s", 3660: "1h01m"} {
		if got := span(s); got != want {
			t.Errorf("span(%v) = %s, want %s", s, got, want)
		}
	}
}
