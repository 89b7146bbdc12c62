package report

import (
	"fmt"
	"slices"
	"testing"

	"kcatch/harness/verdict"
)

// TestFindings: the same death in several cells is one finding; another one, another place or another novelty is not.
func TestFindings(t *testing.T) {
	dead := func(name, signature string, line int) verdict.Cell {
		return verdict.Cell{Name: name, Status: verdict.CellFail, Result: &verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops, Signature: signature,
			Cause: &verdict.Cause{Function: "f", File: "mm/f.c", Line: line}}}
	}
	s := &verdict.Smoke{}
	s.Add(dead("a", "oops/f", 1))
	s.Add(dead("b", "oops/f", 1))
	s.Add(dead("c", "oops/g", 1))
	s.Add(dead("d", "oops/f", 2))
	known := dead("e", "oops/f", 1)
	known.Novelty, known.Status, known.Reason = "known", verdict.CellPass, "known to the baseline"
	s.Add(known)
	expected := known
	expected.Name, expected.Expect = "f", "oops"
	s.Add(expected) // says nothing
	got := ""
	for _, f := range findings(s) {
		got += fmt.Sprintf("%s %s %s:%d", f.level, f.headline(), f.at.file, f.at.line)
		for _, c := range f.cells {
			got += " " + c.Name
		}
		got += "\n"
	}
	if want := "error oops in f mm/f.c:1 a b\nerror oops in f mm/f.c:1 c\nerror oops in f mm/f.c:2 d\nwarning known: oops in f mm/f.c:1 e\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestPlaceIsInTheTree: no file is named that is not below the kernel tree.
func TestPlaceIsInTheTree(t *testing.T) {
	for _, tt := range []struct {
		file    string
		outside bool
		want    string
	}{
		{"mm/slub.c", false, "mm/slub.c"},
		{"drivers/my.c", true, ""}, // of a module's own directory
		{"/usr/include/x.h", false, ""},
		{"../x.c", false, ""},
		{"mm/../../x.c", false, ""},
		{"./mm/x.c", false, ""},
		{"mm/\x1b.c", false, ""},
		{"", false, ""},
	} {
		frame := verdict.Frame{Function: "f", File: tt.file, Line: 3, Cause: true, Outside: tt.outside}
		c := &verdict.Cell{Result: &verdict.Result{Cause: &verdict.Cause{Function: "f", File: tt.file, Line: 3}, CPUs: []verdict.CPU{{}, {Frames: []verdict.Frame{frame}}}}}
		if got := placeOf(c); got.file != tt.want || got.function != "f" || (got.line == 3) != (tt.want != "") {
			t.Errorf("placeOf(%q, outside %v) = %+v", tt.file, tt.outside, got)
		}
		if got := framePlace(frame); got.file != tt.want {
			t.Errorf("framePlace(%q, outside %v) = %+v", tt.file, tt.outside, got)
		}
	}
}

// TestRuleOf: what a cell is said to have failed of.
func TestRuleOf(t *testing.T) {
	three := 3
	good := verdict.Result{Verdict: verdict.Good, Class: verdict.OK}
	check, test, warned := good, good, good
	check.Checks = []verdict.Check{{Name: "x", Status: &three}}
	test.Subtests = []verdict.Subtest{{Name: "x", Status: "lost"}}
	warned.Warnings = []verdict.Warning{{Summary: "WARNING"}}
	for _, tt := range []struct {
		cell verdict.Cell
		want string
	}{
		{verdict.Cell{Result: &verdict.Result{Verdict: verdict.Bad, Class: verdict.Panic}}, "panic"},
		{verdict.Cell{Result: &verdict.Result{Verdict: verdict.Bad, Class: "nonsense"}}, "unexpected"},
		{verdict.Cell{Result: &check}, "check"},
		{verdict.Cell{Result: &check, Expect: "oops"}, "unexpected"},
		{verdict.Cell{Result: &test}, "subtest"},
		{verdict.Cell{Result: &warned}, "warn"},
		{verdict.Cell{Result: &good}, "unexpected"},
		{verdict.Cell{}, "unexpected"},
	} {
		if got := ruleOf(&tt.cell); got != tt.want {
			t.Errorf("ruleOf(%+v) = %s, want %s", tt.cell.Result, got, tt.want)
		}
	}
}

// TestBounded: no more than the limit, and a word on what is left out.
func TestBounded(t *testing.T) {
	got := bounded([]string{"one", "two\x1b", "three", "four"}, 14)
	if want := []string{"one", `two\x1b`, "… (2 more lines, in the JSON and in the artifacts)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := bounded([]string{"one", "two"}, 8); len(got) != 2 || got[1] != "two" {
		t.Errorf("at the limit: %q", got)
	}
}

// TestGuestFailureIsNoDeath: what a check printed is what a message says of it; where the vCPUs stood when the guest switched itself off,
// and the line of a WARN, are not.
func TestGuestFailureIsNoDeath(t *testing.T) {
	two := 2
	off := []verdict.Frame{{Function: "acpi_power_off", File: "drivers/acpi/sleep.c", Line: 1071}}
	warned := []verdict.Warning{{Summary: "WARNING", Frames: []verdict.Frame{{Function: "w", File: "mm/w.c", Line: 3}}}}
	good := func() *verdict.Result {
		return &verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: "6.1 reached init after 1s", Warnings: warned, CPUs: []verdict.CPU{{Frames: off}},
			Checks: []verdict.Check{
				{Name: "net", Status: &two, Output: []string{"1", "2", "3", "4", "5", "ip: socket: Function not implemented"}},
				{Name: "slow", Note: "stopped after 3s", Output: []string{"hello"}},
			},
			Subtests: []verdict.Subtest{{Name: "list/a", Status: "fail", Reason: "no", Lines: []string{"expected 1"}}, {Name: "list/b", Status: "lost"}}}
	}
	s := &verdict.Smoke{}
	s.Add(verdict.Cell{Name: "k/m", Status: verdict.CellFail, Reason: "check net: exit status 2; check slow: stopped after 3s", Result: good(), Repeat: "kcatch smoke"})
	f := findings(s)[0]
	if f.at != (sourcePlace{}) {
		t.Errorf("it stands at %+v, want nowhere", f.at)
	}
	want := []string{"check net: exit status 2", "| 2", "| 3", "| 4", "| 5",
		"| ip: socket: Function not implemented", "check slow: stopped after 3s", "| hello", "test list/a: failed: no", "| expected 1",
		"test list/b: its plan promised it, and it did not come", "6.1 reached init after 1s", "in k/m", "again: kcatch smoke"}
	if got := f.lines(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if stacks := sarifFinding(&f, sarifRules()).Stacks; len(stacks) > 0 {
		t.Errorf("SARIF has stacks of a good boot: %+v", stacks)
	}

	s.Cells[0].Reason = "not the expected panic"
	if got := f.lines(); got[0] != "not the expected panic" || got[1] != "6.1 reached init after 1s" || got[2] != "check net: exit status 2" {
		t.Errorf("of another reason: %q", got)
	}

	dead := good()
	dead.Verdict, dead.Class, dead.Summary = verdict.Bad, verdict.Oops, "oops"
	d := finding{cells: []*verdict.Cell{{Name: "k/m", Status: verdict.CellFail, Result: dead}}}
	want = []string{"oops", "#0 acpi_power_off  drivers/acpi/sleep.c:1071", "check net: exit status 2", "| 2", "| 3", "| 4", "| 5",
		"| ip: socket: Function not implemented", "test list/a: failed: no", "| expected 1", "in k/m"}
	if got := d.lines(); !slices.Equal(got, want) {
		t.Errorf("of a death: got  %q\nwant %q", got, want)
	}

	dead.Checks[0].Output = slices.Repeat([]string{"x"}, 9)
	dead.Checks = slices.Repeat(dead.Checks[:1], 20)
	if got := guestLines(dead); len(got) != maxGuestLines+1 || got[maxGuestLines] != "… 82 more lines" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
}
