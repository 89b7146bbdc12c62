package configs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
	"kcatch/kernels/kconfig"
)

func fragment(t *testing.T, name string) kconfig.Config {
	t.Helper()
	text, ok := Fragment(name)
	if !ok {
		t.Fatalf("no fragment %s", name)
	}
	c, err := kconfig.Parse(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// about reports whether a file's first line says what it is for: "# kasan: use after free ...".
func about(text []byte, name string) bool {
	return strings.HasPrefix(string(text), "# "+name+": ")
}

func TestFragments(t *testing.T) {
	want := []string{"debug-vm", "dwarf4", "frame-pointer", "kasan", "kunit", "la57", "lockdep", "nodebug", "tiny", "workload"}
	if got := Fragments(); !slices.Equal(got, want) {
		t.Errorf("Fragments() = %v, want %v", got, want)
	}
	for _, name := range Fragments() {
		if c := fragment(t, name); c.Len() == 0 {
			t.Errorf("%s is empty", name)
		}
		if text, _ := Fragment(name); !about(text, name) {
			t.Errorf("%s: the first line is not \"# %s: what it is for\"", name, name)
		}
	}
}

func TestProfiles(t *testing.T) {
	want := []string{"patient", "quick", "seed"}
	if got := Profiles(); !slices.Equal(got, want) {
		t.Errorf("Profiles() = %v, want %v", got, want)
	}
	if got, want := SmokeProfiles(), []string{"ci", "smoke"}; !slices.Equal(got, want) {
		t.Errorf("SmokeProfiles() = %v, want %v", got, want)
	}
	for _, name := range append(Profiles(), SmokeProfiles()...) {
		if text, ok := Profile(name); !ok || !about(text, name) {
			t.Errorf("%s: the first line is not \"# %s: what it is for\"", name, name)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	for _, name := range []string{"", "nope", "../configs", "../fragments/tiny", "tiny.config", "a/b", "..\\x"} {
		if _, ok := Fragment(name); ok {
			t.Errorf("Fragment(%q) is there", name)
		}
		if _, ok := Profile(name); ok {
			t.Errorf("Profile(%q) is there", name)
		}
	}
}

// The fixtures were built from tiny: every symbol of it took.
func TestTinyTakes(t *testing.T) {
	for _, name := range []string{fixtures.Good61, fixtures.Good612} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(fixtures.Find(t, name).Config)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			final, err := kconfig.Parse(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range kconfig.Check(fragment(t, "tiny"), final, nil) {
				t.Error(p)
			}
		})
	}
}

// debug-vm and tiny ask for what an assertion on page flags needs: without it the assertion is no code.
func TestAssertionsAreCompiledIn(t *testing.T) {
	for _, name := range []string{"tiny", "debug-vm"} {
		if c := fragment(t, name); !c.Enabled("DEBUG_VM") || !c.Enabled("DEBUG_VM_PGFLAGS") {
			t.Errorf("%s: no DEBUG_VM_PGFLAGS", name)
		}
	}
}
