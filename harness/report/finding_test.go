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
