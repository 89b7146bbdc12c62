package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	names := []string{"memory", "machine", "smp", "KASAN", "DEBUG_VM", "break", "configs", "config", "timeout", "timeline", "sun", "setup-gp", "setup-spins"}
	for _, tc := range []struct {
		want    string
		letters int
		near    string
	}{
		{"memroy", 3, "memory"},
		{"memroy", 4, "memory"}, // two neighbours swapped are one edit
		{"mcahine", 4, "machine"},
		{"snp", 3, "smp"},
		{"KASAM", 4, "KASAN"},
		{"DEBUG_WM", 4, "DEBUG_VM"},
		{"KSAAN", 4, "KASAN"},
		{"frobnicate", 3, ""},
		{"Memory", 3, "memory"}, // upper and lower case are the same
		{"kasan", 4, "KASAN"},
		{"brake", 3, "break"}, // the same letters
		{"BRAKE", 3, "break"},
		{"mem", 3, "memory"}, // its beginning
		{"conf", 3, "config"},
		{"setup-sp", 3, "setup-spins"}, // and not setup-gp, one edit away
		{"time", 3, ""},                // of several
		{"me", 3, ""},                  // too short for one
		{"ns", 3, ""},
		{"", 3, ""},
		{strings.Repeat("K", 1000), 4, ""},
	} {
		if got := Name(tc.want, names, tc.letters); got != tc.near {
			t.Errorf("Name(%q, %d) = %q, want %q", tc.want, tc.letters, got, tc.near)
		}
	}
}
