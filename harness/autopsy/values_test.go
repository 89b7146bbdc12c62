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
	c.Traps = []Trap{{Index: 0}, {Index: 3}}
	c.dropInnermost()
	if len(c.Traps) != 1 || c.Traps[0].Index != 1 {
		t.Errorf("traps %+v, want one at 1", c.Traps)
	}
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

// TestCalledFrom: the function that was called may have others inlined at its first instruction, and so may its caller at the call.
func TestCalledFrom(t *testing.T) {
	c := Chain{Frames: []verdict.Frame{{PC: 0x100, Inline: true}, {PC: 0x100}, {PC: 0x200, Inline: true}, {PC: 0x200}, {PC: 0x300}}}
	for ret, want := range map[uint64]bool{0x100: false, 0x200: true, 0x300: false} {
		if got := c.calledFrom(ret); got != want {
			t.Errorf("a return to 0x%x: %v, want %v", ret, got, want)
		}
	}
	if c := (Chain{Frames: c.Frames[:1]}); c.calledFrom(0x100) || (&Chain{}).calledFrom(0) {
		t.Error("a chain without a caller was called")
	}
}
