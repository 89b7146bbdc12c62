package report

import (
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
)

func TestCacheText(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	entry := verdict.CacheEntry{Kind: "build", Name: "0123", What: "6.1.9 of debian-6.1 \x1b[31m", Bytes: 150 << 20, Used: now.Add(-3 * time.Hour)}
	used := verdict.CacheEntry{Kind: "objects", Name: "linux", Bytes: 3 << 29, Used: now, InUse: true}
	memo := func(name string, age time.Duration) verdict.CacheEntry {
		return verdict.CacheEntry{Kind: "memo", Name: name, What: "asked before", Bytes: 4096, Used: now.Add(-age)}
	}
	c := verdict.Cache{Dir: "/home/u/.cache/kcatch", Entries: []verdict.CacheEntry{entry, used, memo("a", time.Hour), memo("b", time.Minute), memo("c", time.Hour)}, Bytes: 150<<20 + 3<<29, Removed: []verdict.CacheEntry{entry}}
	var got strings.Builder
	if err := CacheText(&got, &c, now, Style{}); err != nil {
		t.Fatal(err)
	}
	if err := PrunedText(&got, &c, now, Style{}); err != nil {
		t.Fatal(err)
	}
	c.DryRun = true
	if err := PrunedText(&got, &c, now, Style{}); err != nil {
		t.Fatal(err)
	}
	want := `kind           size  used      name
build        150 MB  3 h       0123       6.1.9 of debian-6.1 \x1b[31m
objects      1.5 GB  now       linux        in use
memo          12 kB  1 min     3 of them  asked before
1.6 GB in /home/u/.cache/kcatch
build        150 MB  3 h       0123  6.1.9 of debian-6.1 \x1b[31m
removed 150 MB of 1.6 GB in /home/u/.cache/kcatch
build        150 MB  3 h       0123  6.1.9 of debian-6.1 \x1b[31m
would remove 150 MB of 1.6 GB in /home/u/.cache/kcatch
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 kB", 1: "1 kB", 1024: "1 kB", 1 << 20: "1 MB", 5 << 30: "5.0 GB", 1<<30 - 1: "1024 MB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}
