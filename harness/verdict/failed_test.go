package verdict

import (
	"fmt"
	"testing"
)

func TestFailed(t *testing.T) {
	for status, want := range map[string]bool{"pass": false, "skip": false, "todo": false, "fail": true, "lost": true} {
		if s := (&Subtest{Status: status}); s.Failed() != want {
			t.Errorf("%s: %v", status, s.Failed())
		}
	}
	w := &Workload{Steps: []WorkloadStep{{Name: "a", Outcome: "ok"}, {Name: "b", Outcome: "not there"}, {Name: "c", Outcome: "failed"}, {Name: "d", Outcome: "begun"}}}
	names := func() (out []string) {
		for _, s := range w.Failed() {
			out = append(out, s.Name)
		}
		return out
	}
	if got := fmt.Sprint(names()); got != "[c d]" {
		t.Errorf("got %s", got)
	}
	w.Ended = true
	if got := fmt.Sprint(names()); got != "[c]" {
		t.Errorf("ended: %s", got)
	}
}
