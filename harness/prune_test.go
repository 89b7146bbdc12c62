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
	prune(dir)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != keptBoots-1 || entries[0].Name() != "20260101-000011.000-1" {
		t.Errorf("%d left, the first %s, %v", len(entries), entries[0].Name(), err)
	}
	prune(filepath.Join(dir, "not there"))
}
