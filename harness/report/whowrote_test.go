package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestWhoWroteOfAnotherBoot: one object has two addresses in the report when the boots have two slides, and only then is that said.
func TestWhoWroteOfAnotherBoot(t *testing.T) {
	for slide, want := range map[verdict.Hex]bool{0x1000000: true, 0x2000000: false} {
		r := verdict.Result{Verdict: verdict.Bad, WhoWrote: []verdict.Write{{Expression: "x", Address: 0xffffea0000000034, Size: 4, Writers: 559, Function: "f", Slide: slide,
			Frames: []verdict.Frame{{Function: "f"}}}}}
		r.Kernel.KASLRSlide = 0x2000000
		var out strings.Builder
		if err := Text(&out, &r, Style{}); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if strings.Contains(got, "a KASLR slide of its own (0x1000000)") != want {
			t.Errorf("slide 0x%x: want it said: %v\n%s", uint64(slide), want, got)
		}
		if !strings.Contains(got, ": 559 writes; the last") {
			t.Errorf("writes are not counted as such:\n%s", got)
		}
	}
}
