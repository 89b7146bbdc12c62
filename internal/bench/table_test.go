package main

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values series
		want   float64
	}{
		{nil, 0}, {series{3}, 3}, {series{4, 1}, 2.5}, {series{9, 1, 5}, 5}, {series{1, 100, 2, 3}, 2.5},
	} {
		before := slices.Clone(tc.values)
		if got := tc.values.median(); got != tc.want || !slices.Equal(tc.values, before) {
			t.Errorf("median(%v) = %v, want %v and the order kept (%v)", before, got, tc.want, tc.values)
		}
	}
}

// TestPairs: the difference is that of the runs made side by side, not that of the medians.
func TestPairs(t *testing.T) {
	got := series{100, 500, 120}.minus(series{90, 480, 90})
	if want := (series{10, 20, 30}); !slices.Equal(got, want) {
		t.Errorf("minus = %v, want %v", got, want)
	}
}

func TestTable(t *testing.T) {
	var tab table
	tab.note("2 CPUs")
	tab.add("kcatch", "ms", series{3, 1, 2})
	tab.add("not measured", "ms", nil)
	tab.diff("kcatch - bare", series{-1, 4, 2})
	tab.want("kcatch", series{3, 1, 2}, 2, "ms")
	tab.want("more", series{2.1}, 2, "ms")
	var b strings.Builder
	if err := tab.print(&b); err != nil {
		t.Fatal(err)
	}
	want := `2 CPUs

                           min    median       max
kcatch                     1.0       2.0       3.0 ms
kcatch - bare             -1.0      +2.0      +4.0 ms

goals, by the median        is   at most
kcatch                     2.0         2 ms  holds
more                       2.1         2 ms  does not hold
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestLeastBoots: at a rate of 1 a boot is one bit; a channel that loses 7 of 10 has 0.1771 bits (log2(1 + 0.3*0.7^(7/3))).
func TestLeastBoots(t *testing.T) {
	for _, c := range []struct{ rate, want float64 }{{1, 6}, {0.3, 6 / 0.1771}, {0.5, 6 / 0.3219}} {
		if got := leastBoots(64, c.rate); math.Abs(got-c.want) > 0.01*c.want {
			t.Errorf("64 commits at a rate of %v: %v, want %v", c.rate, got, c.want)
		}
	}
	a, err := simulated(t.Context(), 3, 1)
	if err != nil || a.searching < leastBoots(rangeOf, 1) || a.boots <= a.searching {
		t.Errorf("%+v, %v", a, err)
	}
}
