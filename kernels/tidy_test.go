package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTidy(t *testing.T) {
	cache := t.TempDir()
	now := time.Now()
	at := func(name string, age time.Duration) string {
		t.Helper()
		full := filepath.Join(cache, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(full, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(full, time.Time{}, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return full
	}
	const day = 24 * time.Hour
	keep := []string{
		at("builds/.tmp-1", time.Hour), at("patch-2", time.Hour), at("memo/a.json", 20*day), at("slots/linux-1", 99*day), at("sources/debian-6.1_1", 99*day),
	}
	gone := []string{at("builds/.tmp-3", 2*day), at("patch-4", 2*day), at("memo/b.json", 31*day), at("logs/c.log", 31*day)}
	for i := range keptBuilds + 3 {
		name := at(fmt.Sprintf("builds/%032x", i), 2*day+time.Duration(i)*time.Hour)
		if i < keptBuilds {
			keep = append(keep, name)
		} else {
			gone = append(gone, name)
		}
	}
	tidy(cache, now)
	for _, name := range keep {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("removed: %s", name)
		}
	}
	for _, name := range gone {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("kept: %s", name)
		}
	}
	// A bisection of an afternoon uses more kernels than are kept; none of them goes.
	for i := range keptBuilds {
		keep = append(keep, at(fmt.Sprintf("builds/f%031x", i), time.Hour))
	}
	tidy(cache, now)
	for _, name := range keep[len(keep)-keptBuilds:] {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("removed although used today: %s", name)
		}
	}
}
