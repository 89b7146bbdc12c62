package harness

import (
	"strings"
	"testing"

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
