package faults

import (
	"embed"
	"path"
	"strings"

	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

//go:embed *.faults *.diff
var files embed.FS

// All is the corpus that comes with kcatch: kernels.faults first, then the others by name. An error is a mistake in the
// data, which the test of this package finds first.
func All() (Corpus, error) {
	var c Corpus
	list, err := files.ReadDir(".") // sorted
	if err != nil {
		return c, err
	}
	read := []string{"kernels.faults"}
	for _, f := range list {
		if n := f.Name(); strings.HasSuffix(n, ".faults") && n != read[0] {
			read = append(read, n)
		}
	}
	for _, name := range read {
		text, err := files.ReadFile(name)
		if err != nil {
			return c, err
		}
		if err := c.Parse(name, string(text)); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Diff returns the text of a diff of this directory, as a kernel's patch names it; ok is false for any other name.
func Diff(name string) (text []byte, ok bool) {
	if !strings.HasSuffix(name, ".diff") {
		return nil, false
	}
	text, err := files.ReadFile(name)
	return text, err == nil
}

// Match returns the faults whose names the glob (path.Match) fits, in their order; an empty glob fits all. A glob that is
// none or fits nothing is a usage error.
func (c Corpus) Match(glob string) ([]Fault, error) {
	if glob == "" {
		return c.Faults, nil
	}
	var out []Fault
	var known []string
	for _, f := range c.Faults {
		ok, err := path.Match(glob, f.Name)
		if err != nil {
			return nil, blame.New(blame.Usage, "--only "+glob+": not a glob", "as in --only 'early-*'")
		}
		if ok {
			out = append(out, f)
		}
		known = append(known, f.Name)
	}
	if len(out) > 0 {
		return out, nil
	}
	hint := "kcatch faults --list names them"
	if near := nearest.Name(glob, known, 4); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, blame.New(blame.Usage, "--only "+glob+": no fault has such a name", hint)
}
