package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where ccache is installed, make compiles with it, in a mode that the object trees of one source share and that is right; nothing that
// the user has set turns these two.
func TestCcache(t *testing.T) {
	b, r := request(t)
	seen := filepath.Join(t.TempDir(), "seen")
	bin := t.TempDir()
	for name, text := range map[string]string{
		"make":   "#!/bin/sh\n{ for a; do echo \"$a\"; done; env | grep ^CCACHE_ | sort; echo; } >> '" + seen + "'\n" + strings.TrimPrefix(fakeMake, "#!/bin/sh\n"),
		"ccache": "#!/bin/sh\nexec \"$@\"\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("CCACHE_DEPEND", "1")
	t.Setenv("CCACHE_HASHDIR", "1")
	t.Setenv("CCACHE_DIR", "/elsewhere")
	mustBuild(t, &b, r)
	runs := strings.Split(strings.TrimSpace(readFile(t, seen)), "\n\n")
	if len(runs) < 2 {
		t.Fatalf("make ran %d times: no configuration, or no build", len(runs))
	}
	for _, run := range runs {
		lines := strings.Split(run, "\n")
		for _, want := range []string{"CC=ccache gcc", "CCACHE_NODEPEND=1", "CCACHE_NOHASHDIR=1", "CCACHE_DIR=/elsewhere"} {
			found := false
			for _, l := range lines {
				found = found || l == want
			}
			if !found {
				t.Errorf("make lacks %s:\n%s", want, run)
			}
		}
	}

	// A compiler that is ccache already is not wrapped again.
	if err := os.Remove(seen); err != nil {
		t.Fatal(err)
	}
	r.Make = []string{"CC=ccache gcc"}
	mustBuild(t, &b, r)
	if text := readFile(t, seen); strings.Count(text, "CC=ccache gcc\n") != strings.Count(text, "CCACHE_NODEPEND=1\n") || strings.Contains(text, "ccache ccache") {
		t.Errorf("CC is not that of the request:\n%s", text)
	}
}
