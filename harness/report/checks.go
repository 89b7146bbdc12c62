package report

import (
	"fmt"
	"strings"

	"kcatch/harness/verdict"
)

const (
	checkOutput   = 10 // last lines of a failed check's output in the text report; result.json has 64 KiB
	failedTests   = 20 // failed subtests in it
	failedLines   = 6  // lines of each
	checkNameCols = 60
)

// checks shows how the checks went, a line each, and the end of the output of those that failed.
func (t *text) checks(r *verdict.Result) {
	if len(r.Checks) == 0 {
		return
	}
	passed, absent := 0, 0
	for i := range r.Checks {
		switch c := &r.Checks[i]; {
		case c.Passed():
			passed++
		case c.Note == verdict.NotBegun:
			absent++
		}
	}
	t.line("")
	title := fmt.Sprintf("checks: %d passed", passed)
	if n := len(r.Checks) - passed - absent; n > 0 {
		title += fmt.Sprintf(", %d failed", n)
	}
	if absent > 0 {
		title += fmt.Sprintf(", %d not begun", absent)
	}
	t.line("%s", t.style.strong(title))
	if absent == len(r.Checks) {
		return
	}
	for i := range r.Checks {
		t.check(&r.Checks[i])
	}
}

func (t *text) check(c *verdict.Check) {
	took := ""
	if c.Seconds > 0 {
		took = t.style.dim(fmt.Sprintf("  %.2f s", c.Seconds))
	}
	switch {
	case c.Passed():
		t.line("  %s    %s%s", t.style.good("ok"), Clean(c.Name, checkNameCols), took)
		return
	case c.Status != nil:
		t.line("  %s  %s: exit status %d%s", t.style.bad("FAIL"), Clean(c.Name, checkNameCols), *c.Status, took)
	case c.Note == verdict.NotBegun:
		t.line("  %s     %s: %s", t.style.dim("-"), Clean(c.Name, checkNameCols), Clean(c.Note, 0))
		return
	default:
		t.line("  %s  %s: %s%s", t.style.bad("FAIL"), Clean(c.Name, checkNameCols), Clean(c.Note, 0), took)
	}
	if n := len(c.Output) - checkOutput; n > 0 || c.Truncated {
		t.line("        %s", t.style.dim("… the end of its output:"))
	}
	for _, l := range c.Output[max(0, len(c.Output)-checkOutput):] {
		t.line("        %s", Clean(l, 120))
	}
}

// subtests counts the results of tests, and shows those that failed with what was said before.
func (t *text) subtests(r *verdict.Result) {
	if len(r.Subtests) == 0 {
		return
	}
	count := map[string]int{}
	for _, s := range r.Subtests {
		count[s.Status]++
	}
	title := fmt.Sprintf("tests by KTAP: %d passed", count["pass"])
	for _, w := range [][2]string{{"fail", "failed"}, {"lost", "lost"}, {"skip", "left out"}, {"todo", "known to fail"}} {
		if n := count[w[0]]; n > 0 {
			title += fmt.Sprintf(", %d %s", n, w[1])
		}
	}
	t.line("")
	t.line("%s", t.style.strong(title))
	shown := 0
	for i := range r.Subtests {
		s := &r.Subtests[i]
		if !s.Failed() {
			continue
		}
		if shown++; shown > failedTests {
			t.line("  … and %d more, in result.json", count["fail"]+count["lost"]-failedTests)
			return
		}
		word := "FAIL"
		if s.Status == "lost" {
			word = "lost"
		}
		t.line("  %s  %s", t.style.bad(word), strings.TrimSpace(Clean(s.Name, 100)+"  "+Clean(s.Reason, 100)))
		for _, l := range s.Lines[max(0, len(s.Lines)-failedLines):] {
			t.line("        %s", Clean(l, 120))
		}
	}
}
