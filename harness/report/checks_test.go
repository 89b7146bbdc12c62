package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestTextChecks: a line for each check, the end of the output of one that failed, and the tests that failed. The guest's words are
// hostile.
func TestTextChecks(t *testing.T) {
	status := func(n int) *int { return &n }
	var long []string
	for i := range 30 {
		long = append(long, fmt.Sprintf("line %d", i))
	}
	r := &verdict.Result{Verdict: verdict.Good, Summary: "6.1 reached init",
		Checks: []verdict.Check{
			{Name: "one", Status: status(0), Seconds: 1.5, Output: []string{"not shown"}},
			{Name: "two \x1b[2J", Status: status(3), Output: append(long, "\x1b]0;owned\x07", "::error::no")},
			{Name: "three", Note: "stopped after 1m0s", Truncated: true, Output: []string{"was here"}},
			{Name: "four", Note: verdict.NotBegun},
		},
		Subtests: []verdict.Subtest{
			{Name: "a/b", Status: "pass"}, {Name: "a/c", Status: "skip"}, {Name: "a/\x1bd", Status: "fail", Reason: "exit=1", Lines: []string{"# why \x1b[m"}}, {Name: "a/e", Status: "lost"},
		},
	}
	var b bytes.Buffer
	if err := Text(&b, r, Style{}); err != nil {
		t.Fatal(err)
	}
	const want = `
checks: 1 passed, 2 failed, 1 not begun
  ok    one  1.50 s
  FAIL  two \x1b[2J: exit status 3
        … the end of its output:
        line 22
        line 23
        line 24
        line 25
        line 26
        line 27
        line 28
        line 29
        \x1b]0;owned\x07
        \x3a:error::no
  FAIL  three: stopped after 1m0s
        … the end of its output:
        was here
  -     four: not begun

tests by KTAP: 1 passed, 1 failed, 1 lost, 1 left out
  FAIL  a/\x1bd  exit=1
        # why \x1b[m
  lost  a/e
`
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got:\n%s\nwant at the end:\n%s", b.String(), want)
	}
	r.Checks, r.Subtests = []verdict.Check{{Name: "x", Note: verdict.NotBegun}}, nil
	b.Reset()
	if err := Text(&b, r, Style{}); err != nil || !strings.HasSuffix(b.String(), "\nchecks: 0 passed, 1 not begun\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	for range 30 {
		r.Subtests = append(r.Subtests, verdict.Subtest{Name: "f", Status: "fail"})
	}
	b.Reset()
	if err := Text(&b, r, Style{}); err != nil || strings.Count(b.String(), "FAIL") != failedTests || !strings.HasSuffix(b.String(), "… and 10 more, in result.json\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
