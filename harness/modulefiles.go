package harness

import (
	"kcatch/gdb/kernel"
	"kcatch/harness/debuginfo"
	"kcatch/internal/ko"
)

// maxCandidates bounds the files of one name that are looked into.
const maxCandidates = 8

// moduleFiles gives the files that may be a module's .ko, by its name, best first: those of --modules, then where a -dbg
// package has them, beside its vmlinux or installed, then the tree that the vmlinux was built in. The directories are
// searched once, when a module is first asked for.
func (b *boot) moduleFiles(name string) []kernel.ModuleFile {
	b.searchModules.Do(func() {
		b.moduleIndex = map[string][]kernel.ModuleFile{}
		for _, dir := range debuginfo.ModuleDirs(b.plan.Modules, b.plan.Vmlinux, b.kernel.Release()) {
			files, _ := ko.Find(dir) // what could be listed before an error counts
			for _, f := range files {
				if list := b.moduleIndex[f.Name()]; len(list) < maxCandidates {
					read := func() ([]byte, error) { return ko.Read(f.Path) }
					b.moduleIndex[f.Name()] = append(list, kernel.ModuleFile{Path: f.Path, Read: read})
				}
			}
		}
	})
	return b.moduleIndex[ko.Name(name)]
}
