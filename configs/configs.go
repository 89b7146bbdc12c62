// Package configs is the data that comes with kcatch: kernel configuration fragments and run profiles, embedded.
//
// fragments/NAME.config is text that goes on top of a base configuration (--config NAME); tiny is a base itself. Its
// first lines, up to the first blank or CONFIG_ line, say what it is for. profiles/NAME.yaml holds flags with their
// values (--profile NAME), or the matrix of a smoke test (kcatch smoke --profile NAME), which lists machines.
//
// To add one, put the file there: it is found by its name. The test of this package wants a header that begins with the
// name and, for a fragment, that it takes on the kernels of the fixtures or says on which it does.
package configs

import (
	"bytes"
	"embed"
	"slices"
	"strings"
)

//go:embed fragments/*.config profiles/*.yaml
var files embed.FS

// Fragments lists the fragments by name, sorted.
func Fragments() []string { return names("fragments", ".config") }

// Profiles lists the profiles of a boot by name, sorted.
func Profiles() []string {
	return slices.DeleteFunc(names("profiles", ".yaml"), hasMatrix)
}

// SmokeProfiles lists the profiles of a smoke test by name, sorted.
func SmokeProfiles() []string {
	return slices.DeleteFunc(names("profiles", ".yaml"), func(name string) bool { return !hasMatrix(name) })
}

// hasMatrix reports whether a profile is one of a smoke test: it lists machines, which no profile of a boot can.
func hasMatrix(name string) bool {
	text, _ := Profile(name)
	return bytes.Contains(text, []byte("\nmachines:"))
}

// Fragment returns the text of the fragment called name, without path or ending.
func Fragment(name string) ([]byte, bool) { return read("fragments/" + name + ".config") }

// Profile returns the text of the profile of a boot or a smoke test called name, without path or ending.
func Profile(name string) ([]byte, bool) { return read("profiles/" + name + ".yaml") }

// read gives no way out of the directories: embed.FS refuses "..", and none of them has a subdirectory.
func read(file string) ([]byte, bool) {
	b, err := files.ReadFile(file)
	return b, err == nil
}

func names(dir, ext string) []string {
	list, err := files.ReadDir(dir) // sorted
	if err != nil {
		panic("embedded " + dir + ": " + err.Error()) // the binary itself is broken
	}
	var out []string
	for _, f := range list {
		if name, ok := strings.CutSuffix(f.Name(), ext); ok {
			out = append(out, name)
		}
	}
	return out
}
