package kconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// realTree is the unpacked source of a Debian kernel in the cache, where the builder of kernels leaves it.
func realTree(t testing.TB, version string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, depth := range []string{"*", "*/*"} {
		trees, _ := filepath.Glob(filepath.Join(cache, "kcatch", "sources", depth, "Kconfig"))
		for _, tree := range trees {
			makefile, _ := os.ReadFile(filepath.Join(filepath.Dir(tree), "Makefile"))
			major, minor, _ := strings.Cut(version, ".")
			if strings.Contains(string(makefile), "\nVERSION = "+major+"\nPATCHLEVEL = "+minor+"\n") {
				return filepath.Dir(tree)
			}
		}
	}
	fixtures.Need(t, false, "the source of Linux "+version, "make fixtures")
	return ""
}

// Every Kconfig file that ARCH=x86 reaches is understood: nothing is skipped.
func TestRealTrees(t *testing.T) {
	for _, version := range []string{"6.1", "6.12"} {
		t.Run(version, func(t *testing.T) {
			tr, err := readTree(os.DirFS(realTree(t, version)))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range tr.notes {
				t.Errorf("skipped: %s", n)
			}
			if len(tr.order) < 10000 {
				t.Errorf("%d symbols, want more than 10000", len(tr.order))
			}
			t.Logf("%d symbols", len(tr.order))
		})
	}
}

func BenchmarkReadTree(b *testing.B) {
	fsys := os.DirFS(realTree(b, "6.12"))
	for b.Loop() {
		if _, err := readTree(fsys); err != nil {
			b.Fatal(err)
		}
	}
}
