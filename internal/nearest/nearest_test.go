package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	names := []string{"memory", "machine", "smp", "KASAN", "DEBUG_VM"}
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
		{strings.Repeat("K", 1000), 4, ""},
	} {
		if got := Name(tc.want, names, tc.letters); got != tc.near {
			t.Errorf("Name(%q, %d) = %q, want %q", tc.want, tc.letters, got, tc.near)
		}
	}
}
