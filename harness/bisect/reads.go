package bisect

import (
	"path"
	"strings"
)

// Reads is the set of files that builds read, by their names relative to the kernel tree.
type Reads struct {
	files map[string]bool
	names map[string]bool // last elements
}

// ReadsOf makes the set of what several builds read.
func ReadsOf(lists ...[]string) *Reads {
	r := &Reads{files: map[string]bool{}, names: map[string]bool{}}
	for _, l := range lists {
		for _, f := range l {
			r.files[f] = true
			r.names[path.Base(f)] = true
		}
	}
	return r
}

// Union is what either of two builds read.
func (r *Reads) Union(o *Reads) *Reads {
	u := ReadsOf()
	for _, s := range []*Reads{r, o} {
		for f := range s.files {
			u.files[f], u.names[path.Base(f)] = true, true
		}
	}
	return u
}

// elsewhere is where nothing is that an x86 kernel image is made of.
var elsewhere = []string{"Documentation/", "LICENSES/", "tools/testing/", "tools/perf/"}

// tools are where files are read by other makefiles than kbuild's, or by scripts: no object says so. Objtool's opcode map is one.
var tools = []string{"tools/", "scripts/"}

// sources are the suffixes of files that are compiled or read by people: an object says that it was made of them. Whatever else there
// is (Makefile, Kconfig, tables, linker scripts) may be read by make itself, which no object says.
var sources = map[string]bool{".c": true, ".h": true, ".S": true, ".dts": true, ".dtsi": true, ".rst": true, ".txt": true, ".md": true, ".yaml": true}

// Inert reports whether a change of a file cannot change the image, for all that the builds read. A header that nobody read counts
// when it has the name of one that somebody did: it may stand before that one where the compiler looks.
func (r *Reads) Inert(file string) bool {
	base := path.Base(file)
	if r.files[file] || strings.HasSuffix(base, ".h") && r.names[base] {
		return false
	}
	if under(file, elsewhere) {
		return !strings.HasPrefix(base, "Kconfig") // Documentation/Kconfig is read with the others
	}
	if under(file, tools) {
		return false
	}
	if rest, ok := strings.CutPrefix(file, "arch/"); ok {
		if arch, _, inside := strings.Cut(rest, "/"); inside && arch != "x86" && arch != "um" {
			return true
		}
	}
	switch base {
	case "MAINTAINERS", "CREDITS", "COPYING", "README", ".mailmap", ".gitignore", ".gitattributes", ".clang-format":
		return true
	}
	return sources[path.Ext(base)]
}

// InertCommit reports whether none of a commit's files can change the image. A commit without files is not said to be one: git may have
// said nothing of it.
func (r *Reads) InertCommit(files []string) bool {
	for _, f := range files {
		if !r.Inert(f) {
			return false
		}
	}
	return len(files) > 0
}

func under(file string, dirs []string) bool {
	for _, dir := range dirs {
		if strings.HasPrefix(file, dir) {
			return true
		}
	}
	return false
}
