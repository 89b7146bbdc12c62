package main

import (
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
