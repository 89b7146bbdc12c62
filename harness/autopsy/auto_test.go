package autopsy

import (
	"slices"
	"testing"

	"kcatch/harness/verdict"
)

// TestCallersOfARecursion: f < f < f < g, with a function inlined where it dies and another where g calls. Each level returns to the
// same address.
func TestCallersOfARecursion(t *testing.T) {
	frame := func(pc verdict.Hex, inline bool) verdict.Frame { return verdict.Frame{PC: pc, Inline: inline} }
	c := Chain{Frames: []verdict.Frame{frame(0x10, false), frame(0x100, true), frame(0x100, false), frame(0x180, false), frame(0x180, false),
		frame(0x200, true), frame(0x200, false), {PC: 0x300, Exception: &verdict.Exception{}}, frame(0x400, false)}}
	for _, tc := range []struct {
		pc   uint64
		want []uint64
	}{{0x100, []uint64{0x180, 0x180, 0x200}}, {0xdead, []uint64{0x100, 0x180, 0x180, 0x200}}} {
		if got := callers(&c, &Trap{Index: 1, PC: tc.pc}); !slices.Equal(got, tc.want) {
			t.Errorf("of a trap at 0x%x: %x, want %x", tc.pc, got, tc.want)
		}
	}
}
