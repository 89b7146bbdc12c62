package vmlinux

import (
	"path"
	"slices"
	"strings"
)

// sourceTree is what is cut off file names so that they are relative to the kernel tree.
type sourceTree struct {
	built   bool
	prefix  string // of the kernel tree, ending in "/", or empty
	compDir string
	version int    // DWARF
	module  string // directory of a module outside of the kernel tree, ending in "/", or empty
}

// treeAnchors are symbols of known files. The second is assembly: where the build maps its own directory away with
// -ffile-prefix-map, as Debian's does, the assembler's units keep the absolute name.
var treeAnchors = [...]struct{ symbol, file string }{
	{"start_kernel", "init/main.c"},
	{"startup_64", "arch/x86/kernel/head_64.S"},
	{"secondary_startup_64", "arch/x86/kernel/head_64.S"},
}

// tree finds the prefix of the kernel tree in the names of the anchors' units.
func (f *File) tree() *sourceTree {
	t := &f.source
	if t.built || !f.HasDWARF() {
		return t
	}
	t.built = true
	names := make([]string, len(treeAnchors))
	for i, a := range treeAnchors {
		names[i] = a.symbol
	}
	symbols := f.Lookup(names...)
	for _, anchor := range treeAnchors {
		s, ok := symbols[anchor.symbol]
		if !ok {
			continue
		}
		u, err := f.unitAt(s.Addr)
		if err != nil || u == nil {
			continue
		}
		if t.version == 0 {
			t.version, t.compDir = u.header.version, u.compDir()
		}
		name := path.Clean(u.name())
		if !path.IsAbs(name) {
			name = path.Join(u.compDir(), name)
		}
		if prefix, ok := strings.CutSuffix(name, anchor.file); ok && strings.HasPrefix(prefix, "/") {
			t.prefix = prefix
			break
		}
	}
	return t
}

// relative cuts the object tree or the kernel tree off a file name of unit u: "mm/page_alloc.c"; or the directory of the module
// that the file is of, and then it is outside. Other names are only cleaned.
func (t *sourceTree) relative(u *unit, name string) (file string, outside bool) {
	name = path.Clean(name)
	if rest, ok := strings.CutPrefix(name, t.module); ok && t.module != "" {
		return rest, true
	}
	prefixes := []string{t.prefix}
	for _, dir := range []string{u.compDir(), t.compDir} {
		if dir != "" {
			prefixes = append(prefixes, strings.TrimSuffix(path.Clean(dir), "/")+"/")
		}
	}
	// The longer first: an object tree may stand inside the kernel tree, or the other way round.
	slices.SortFunc(prefixes, func(a, b string) int { return len(b) - len(a) })
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(name, p)
		if !ok || p == "" || p == "/" {
			continue
		}
		// debug/dwarf joins the compiler's directory and a file name that is absolute, as clang's assembler has them.
		if inner, ok := strings.CutPrefix("/"+rest, t.prefix); ok && t.prefix != "" {
			return inner, false
		}
		return rest, false
	}
	return name, false
}

// TreePrefix is the kernel tree's directory on the machine that built it, ending in "/", or empty where the names in the
// file are relative already or the tree cannot be told.
func (f *File) TreePrefix() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tree().prefix
}

// CompDir is the object tree: the directory the compiler ran in, as init/main.c's unit has it. It may be relative.
func (f *File) CompDir() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tree().compDir
}

// HasDWARF reports whether the file has debug information of its own.
func (f *File) HasDWARF() bool { return f.hasSection(".debug_info") && f.hasSection(".debug_abbrev") }

// DWARFVersion is the version of the kernel's units (4 or 5), or 0 where there are none.
func (f *File) DWARFVersion() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.tree().version; v != 0 || !f.HasDWARF() {
		return v
	}
	info, err := f.section(".debug_info")
	if err != nil {
		return 0
	}
	h, err := parseUnitHeader(info, 0)
	if err != nil {
		return 0
	}
	return h.version
}
