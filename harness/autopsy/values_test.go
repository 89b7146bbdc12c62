package autopsy

import (
	"testing"

	"kcatch/harness/verdict"
)

// TestDropInnermost: what is left keeps its variables when a writer's chain loses the function that has done nothing yet.
func TestDropInnermost(t *testing.T) {
	c := Chain{
		Frames: []verdict.Frame{{Function: "a", Inline: true}, {Function: "b"}, {Function: "c", Inline: true}, {Function: "d"}, {Function: "e"}},
		acts:   &activations{shown: []shown{{0, 0, 2}, {1, 2, 2}, {5, 4, 1}}}, // 2 to 4 of the trace are left out
	}
	c.dropInnermost()
	want := []shown{{1, 0, 2}, {5, 2, 1}}
	if len(c.Frames) != 3 || len(c.acts.shown) != 2 || c.acts.shown[0] != want[0] || c.acts.shown[1] != want[1] {
		t.Errorf("%d frames, %v, want %v", len(c.Frames), c.acts.shown, want)
	}
	c = Chain{Frames: []verdict.Frame{{Function: "a"}}} // of the log
	c.dropInnermost()
	if len(c.Frames) != 0 || c.Variables(0, true) != nil {
		t.Errorf("%d frames, variables %v", len(c.Frames), c.Variables(0, true))
	}
}
