package smoke

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestFaults: what fails a cell whose kernel lives.
func TestFaults(t *testing.T) {
	zero, three := 0, 3
	for _, tt := range []struct {
		name string
		r    verdict.Result
		want string
	}{
		{"nothing", verdict.Result{}, ""},
		{"all well", verdict.Result{
			Checks:   []verdict.Check{{Name: "a", Status: &zero}},
			Subtests: []verdict.Subtest{{Name: "s", Status: "pass"}, {Name: "k", Status: "skip"}, {Name: "d", Status: "todo"}},
			Workload: &verdict.Workload{Name: "all", Ended: true, Steps: []verdict.WorkloadStep{{Name: "x", Outcome: "ok"}, {Name: "y", Outcome: "not there"}}},
		}, ""},
		{"checks", verdict.Result{Checks: []verdict.Check{{Name: "a", Status: &three}, {Name: "b", Note: "stopped after 3s"}, {Name: "c"}}},
			"check a: exit status 3; check b: stopped after 3s; check c: did not come back"},
		{"subtests", verdict.Result{Subtests: []verdict.Subtest{{Name: "k/a", Status: "fail"}, {Name: "k/b", Status: "lost"}}},
			"subtest k/a failed; subtest k/b was promised and did not come"},
		{"workload", verdict.Result{Workload: &verdict.Workload{Name: "all", Steps: []verdict.WorkloadStep{{Name: "x", Outcome: "failed"}}}},
			"workload all: step x failed; workload all did not come to its end"},
		{"many", verdict.Result{Subtests: []verdict.Subtest{{Name: "a", Status: "fail"}, {Name: "b", Status: "fail"}, {Name: "c", Status: "fail"},
			{Name: "d", Status: "fail"}, {Name: "e", Status: "fail"}}}, "subtest a failed; subtest b failed; subtest c failed; and 2 more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Verdict, tt.r.Class = verdict.Good, verdict.OK
			if got := fault(&Cell{}, &tt.r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			// A cell that must die is not asked for checks: it fails for having lived.
			if got := fault(&Cell{Expect: "panic"}, &tt.r); !strings.HasPrefix(got, "not the expected panic") {
				t.Errorf("expected to die: %s", got)
			}
		})
	}
}

// TestExcused: a WARN that is known or allowed lets a cell pass, and not what failed in its guest beside it; what a death kept from coming
// back is the death's doing.
func TestExcused(t *testing.T) {
	zero, three := 0, 3
	failing := []verdict.Check{{Name: "a", Status: &three}, {Name: "b"}}
	warn := verdict.Result{Verdict: verdict.Bad, Class: verdict.Warn, Signature: "warn/init/foo", Summary: "warn: WARN in foo()"}
	oops := verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops, Signature: "warn/init/foo", Summary: "oops: #PF in foo()"}
	for _, tt := range []struct {
		name string
		r    verdict.Result
		add  func(r *verdict.Result)
		want string // "": it passes
	}{
		{"all well", warn, func(r *verdict.Result) { r.Checks = []verdict.Check{{Name: "a", Status: &zero}} }, ""},
		{"checks", warn, func(r *verdict.Result) { r.Checks = failing }, "check a: exit status 3; check b: did not come back; beside what is"},
		{"checks of a death", oops, func(r *verdict.Result) { r.Checks = failing }, "check a: exit status 3; beside what is"},
		{"not begun", oops, func(r *verdict.Result) { r.Checks = failing[1:] }, ""},
		{"subtest", oops, func(r *verdict.Result) { r.Subtests = []verdict.Subtest{{Name: "s", Status: "fail"}} }, "subtest s failed; beside"},
		{"lost", oops, func(r *verdict.Result) { r.Subtests = []verdict.Subtest{{Name: "s", Status: "lost"}} }, ""},
		{"lost in none", warn, func(r *verdict.Result) { r.Subtests = []verdict.Subtest{{Name: "s", Status: "lost"}} }, "subtest s was promised"},
		{"workload", oops, func(r *verdict.Result) {
			r.Workload = &verdict.Workload{Name: "all", Steps: []verdict.WorkloadStep{{Name: "x", Outcome: "failed"}, {Name: "y", Outcome: "begun"}}}
		}, "workload all: step x failed; beside"},
		{"workload in a death", oops, func(r *verdict.Result) { r.Workload = &verdict.Workload{Name: "all"} }, ""},
	} {
		tt.add(&tt.r)
		for by, try := range map[string]attempt{
			"known":   judge(&Cell{Name: "c"}, &tt.r, nil, &baseline{deaths: []verdict.Known{{Cell: "c", Signature: "warn/init/foo"}}}, nil),
			"allowed": judge(&Cell{Name: "c"}, &tt.r, nil, nil, []verdict.Allow{{Signature: "warn/*", Owner: "me", Expires: "2300-01-01"}}),
		} {
			if try.Passed != (tt.want == "") || !strings.HasPrefix(try.reason, tt.want) || !strings.Contains(try.reason, by) || !strings.HasSuffix(try.reason, tt.r.Summary) {
				t.Errorf("%s, %s: passed %v: %s", tt.name, by, try.Passed, try.reason)
			}
			if (try.allowed != nil) != (tt.want == "" && by == "allowed") {
				t.Errorf("%s, %s: allowed by %+v", tt.name, by, try.allowed)
			}
		}
	}
}

// TestReasonIsOneLine: a reason may be made of what a guest or a compiler wrote.
func TestReasonIsOneLine(t *testing.T) {
	r := verdict.Result{Verdict: verdict.Bad, Class: verdict.Panic, Summary: "panic: a\n::error::b\r\x1b[31m " + strings.Repeat("x", 1000)}
	a := judge(&Cell{}, &r, nil, nil, nil)
	if strings.ContainsAny(a.reason+a.Summary, "\n\r\x1b") || len(a.reason) > 500 || a.reason == "" || a.Passed {
		t.Errorf("reason %q", a.reason)
	}
	r.Verdict = verdict.Skip
	if a := judge(&Cell{}, &r, nil, nil, nil); a.outcome != untestable {
		t.Errorf("a boot that came to no verdict is %d", a.outcome)
	}
}
