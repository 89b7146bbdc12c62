package faults

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/kernels/faults"
)

// death is a result as a boot gives it: a write through NULL in an inlined function.
func death() verdict.Result {
	frame := func(name string, cause bool) verdict.Frame { return verdict.Frame{Function: name, Cause: cause} }
	return verdict.Result{
		Verdict: verdict.Bad, Class: verdict.Oops, Stage: verdict.StartKernel, StageCall: "setup_arch", Summary: "#PF in inner()",
		Cause: &verdict.Cause{Function: "inner", InlinedInto: []string{"outer"}, Exception: &verdict.Exception{Vector: 14, ErrorCode: 2}},
		CPUs: []verdict.CPU{
			{Frames: []verdict.Frame{frame("idle", false)}},
			{Frames: []verdict.Frame{frame("die", false), frame("inner", true), frame("outer", false), frame("setup_arch", false), frame("start_kernel", false)}},
		},
		Tasks: []verdict.Task{{PID: 1, Frames: []verdict.Frame{frame("schedule", false), frame("wait", false)}}},
	}
}

// TestDifferences: each expectation is met by the death above, or says what is wrong with it.
func TestDifferences(t *testing.T) {
	number, none, six, code := 14, -1, 6, uint64(16)
	for _, tc := range []struct {
		name   string
		change func(*faults.Expectation)
		want   string
	}{
		{"as it is", func(*faults.Expectation) {}, ""},
		{"everything", func(w *faults.Expectation) {
			w.Stage, w.StageCall, w.Cause, w.InlinedInto = "start_kernel", "setup_arch", "inner", []string{"outer"}
			w.Frames, w.Tasks, w.Vector, w.Summary = []string{"outer", "start_kernel"}, []string{"wait"}, &number, "#PF"
		}, ""},
		{"good", func(w *faults.Expectation) { w.Class = "ok" }, "verdict bad, want good; class oops, want ok"},
		{"class", func(w *faults.Expectation) { w.Class = "bug" }, "class oops, want bug"},
		{"hang", func(w *faults.Expectation) { w.Hang = "spin" }, "hang none, want spin"},
		{"stage", func(w *faults.Expectation) { w.Stage, w.StageCall = "init", "x" }, "stage start_kernel, want init; stage call setup_arch, want x"},
		{"cause", func(w *faults.Expectation) { w.Cause = "outer" }, "cause inner, want outer"},
		{"no cause", func(w *faults.Expectation) { w.Cause = "none" }, "cause inner, want none"},
		{"inlined", func(w *faults.Expectation) { w.InlinedInto = []string{"x"} }, "inlined into outer, want x"},
		{"inward", func(w *faults.Expectation) { w.Frames = []string{"die"} }, "the chain of the cause lacks die"},
		{"order", func(w *faults.Expectation) { w.Frames = []string{"setup_arch", "outer"} }, "the chain of the cause lacks outer"},
		{"vector", func(w *faults.Expectation) { w.Vector = &six }, "vector 14, want 6"},
		{"no exception", func(w *faults.Expectation) { w.Vector = &none }, "vector 14, want no exception"},
		{"error code", func(w *faults.Expectation) { w.Vector, w.ErrorCode = &number, &code }, "error code 0x2, want 0x10"},
		{"summary", func(w *faults.Expectation) { w.Summary = "BUG" }, `summary "#PF in inner()", want "BUG" in it`},
		{"warnings", func(w *faults.Expectation) { w.Warnings = &six }, "0 warnings, want 6"},
		{"tasks", func(w *faults.Expectation) { w.Tasks = []string{"msleep"} }, "the chain of task 1 lacks msleep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, want := death(), faults.Expectation{Class: "oops"}
			tc.change(&want)
			if got := strings.Join(Differences(want, &r), "; "); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	// A result that has nothing is wrong in every point, and no point of it panics.
	w := faults.Expectation{Class: "oops", Cause: "inner", Frames: []string{"outer"}, Tasks: []string{"wait"}, Vector: &number}
	got := strings.Join(Differences(w, &verdict.Result{}), "; ")
	if want := "verdict none, want bad; class none, want oops; no cause, want inner; no exception, want vector 14; no chain has the cause; no task 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestGrouped: faults on one kernel stand together, so that a kernel is built once, and otherwise as they were.
func TestGrouped(t *testing.T) {
	on := func(name, kernel string) faults.Fault {
		return faults.Fault{Name: name, On: faults.Kernel{Name: kernel}}
	}
	var got []string
	for _, f := range grouped([]faults.Fault{on("a", "x"), on("b", "y"), on("c", "x"), on("d", "y"), on("e", "z")}) {
		got = append(got, f.Name)
	}
	if s := strings.Join(got, " "); s != "a c b d e" {
		t.Errorf("%s, want a c b d e", s)
	}
}
