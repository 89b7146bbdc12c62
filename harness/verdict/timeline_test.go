package verdict

import (
	"math"
	"slices"
	"testing"
)

// TestSpans: stages follow each other; a file may have anything in any order.
func TestSpans(t *testing.T) {
	mark := func(stage string, s, within float64) Mark { return Mark{Stage: stage, Seconds: s, Within: within} }
	event := func(stage string, s float64) Mark { return Mark{Stage: stage, Seconds: s, Event: true} }
	boot := []Mark{mark("firmware", 0, 0), mark("setup", 0.5, 0.002), event("console", 0.7), mark("start_kernel", 1, 0.01), event("end", 3)}
	want := []Span{{Firmware, 0, 0.5, 0.002}, {Setup, 0.5, 0.5, 0.01}, {StartKernel, 1, 2, 0.01}}
	for _, tc := range []struct {
		name  string
		marks []Mark
		want  []Span
	}{
		{"nothing", nil, nil},
		{"a boot", boot, want},
		{"without its end", boot[:4], want[:2]},
		{"after the end", append(slices.Clone(boot), mark("init", 4, 0)), want},
		{"a stage that is none, one that comes back, a time that does", []Mark{boot[0], mark("lunch", 0.1, 0), boot[1], mark("firmware", 0.6, 0), mark("init", 0.4, 0),
			mark("init", math.NaN(), 0), mark("init", 0.6, -1), boot[3], boot[4]}, want},
		{"only the end", []Mark{event("end", 1)}, nil},
	} {
		if got := Spans(tc.marks); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
