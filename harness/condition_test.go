package harness

import (
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestConditionValues: BUG_ON(v != 7) two levels of inlining down, where v is one more than the 7 that the function was called with
// (kernels/faults/selectable.diff, kcatch_check_now). The seeds' condition is TestSeedChain's.
func TestConditionValues(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append = "kcatch_fault=setup-inline-bug"
	r := boots(t, p)
	if r.Cause == nil || r.Cause.Assertion == nil {
		t.Fatalf("cause %+v", r.Cause)
	}
	a := r.Cause.Assertion
	if a.Text != "BUG_ON(v != 7)" || a.Macro != "BUG_ON" || a.Condition != "v != 7" || a.Result != "1" || r.Cause.Page != nil {
		t.Errorf("%+v, page %v", a, r.Cause.Page)
	}
	if want := (verdict.ConditionValue{Expression: "v", Type: "int", Value: "8"}); len(a.Values) != 1 || a.Values[0] != want {
		t.Errorf("%+v, want %+v", a.Values, want)
	}
}
