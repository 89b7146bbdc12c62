package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestPruneKeepsTheNewest(t *testing.T) {
	dir := t.TempDir()
	for i := range keptBoots + 10 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("20260101-%06d.000-1", i), "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "20250101-file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "durations"), 0o755); err != nil {
		t.Fatal(err)
	}
	Prune(dir, keptBoots-1)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != keptBoots+1 || entries[1].Name() != "20260101-000011.000-1" || entries[keptBoots].Name() != "durations" {
		t.Errorf("%d left, the first %s, %v", len(entries), entries[1].Name(), err)
	}
	Prune(filepath.Join(dir, "not there"), 0)
}

// TestPruneLeavesWhatRuns: a run that is under way keeps its directory, however old it is, until it has ended.
func TestPruneLeavesWhatRuns(t *testing.T) {
	dir := t.TempDir()
	old, older := filepath.Join(dir, "20260102-000000.000-1"), filepath.Join(dir, "20260101-000000.000-1")
	for _, d := range []string{old, older} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	release, err := Claim(older)
	if err != nil {
		t.Fatal(err)
	}
	left := func() string {
		Prune(dir, 0)
		entries, _ := os.ReadDir(dir)
		return fmt.Sprint(entries)
	}
	if got := left(); got != "[d 20260101-000000.000-1/]" {
		t.Errorf("left: %s", got)
	}
	release()
	if got := left(); got != "[]" {
		t.Errorf("it has ended, left: %s", got)
	}
}
