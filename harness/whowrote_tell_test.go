package harness

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/harness/writer"
)

// TestTellMissed: only of a machine that died by itself is it known that no write was lost to the stop.
func TestTellMissed(t *testing.T) {
	a := writer.Answer{Target: writer.Target{Expression: "x"}, Missed: true, Value: 2}
	for interrupted, want := range map[bool]string{true: "it was written in the moment in which the boot was stopped, or by a device", false: ": a device wrote it"} {
		if got := tell(a, interrupted); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("interrupted %v: %q, want %q", interrupted, got, want)
		}
	}
}

// TestReadBySource: of a condition's values those are watched that decide it and are in memory.
func TestReadBySource(t *testing.T) {
	c := &verdict.Cause{Assertion: &verdict.Assertion{Values: []verdict.ConditionValue{
		{Expression: "counted", Address: 0x1000, Size: 8, Through: true}, {Expression: "counted->_refcount", Address: 0x2034, Size: 4},
		{Expression: "said", Value: "<optimized out>"}, {Expression: "a", Address: 1, Size: 1}, {Expression: "b", Address: 2, Size: 1},
		{Expression: "c", Address: 3, Size: 1}, {Expression: "d", Address: 4, Size: 1}}}}
	var got []string
	for _, v := range readBySource(c) {
		got = append(got, v.Expression)
	}
	if want := "counted->_refcount a b c"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %s", got, want)
	}
	if readBySource(nil) != nil || readBySource(&verdict.Cause{}) != nil {
		t.Error("values of no assertion")
	}
}
