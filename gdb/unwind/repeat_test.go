package unwind

import (
	"slices"
	"strings"
	"testing"
)

func TestRepeats(t *testing.T) {
	for _, tc := range []struct {
		name, stack string // a letter a frame, innermost first
		want        []Repeat
	}{
		{"none", "abcdef", nil},
		{"too few", "abbbc", nil},
		{"one function", "x" + strings.Repeat("a", 10) + "yz", []Repeat{{At: 1, Period: 1, Times: 10}}},
		{"two that call each other, cut in the middle", "x" + strings.Repeat("ab", 5) + "ayz", []Repeat{{At: 1, Period: 2, Times: 5}}},
		{"two runs", strings.Repeat("a", 4) + "m" + strings.Repeat("bcd", 6), []Repeat{{Period: 1, Times: 4}, {At: 5, Period: 3, Times: 6}}},
		{"to the end", "q" + strings.Repeat("r", 6), []Repeat{{At: 1, Period: 1, Times: 6}}},
		{"longer than can be seen", strings.Repeat("abcdefghi", 5), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var frames []Frame
			for _, c := range tc.stack {
				frames = append(frames, Frame{PC: PC{Addr: uint64(c), Kind: Return}})
			}
			if got := Repeats(frames, 4); !slices.Equal(got, tc.want) {
				t.Errorf("Repeats(%s) = %+v, want %+v", tc.stack, got, tc.want)
			}
		})
	}
}
