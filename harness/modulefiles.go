package harness

import (
	"os"
	"path/filepath"

	"kcatch/gdb/kernel"
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
		for _, dir := range moduleDirs(b.plan, b.kernel.Release()) {
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

// moduleDirs are the directories that may have modules of a release with their debug information.
func moduleDirs(plan Plan, release string) []string {
	var dirs []string
	if plan.Modules != "" {
		dirs = append(dirs, plan.Modules)
	}
	vmlinux, err := filepath.EvalSymlinks(plan.Vmlinux)
	if err != nil {
		return dirs
	}
	beside := filepath.Dir(vmlinux)
	if release != "" && filepath.IsLocal(release) {
		// Debian: usr/lib/debug/boot/vmlinux-RELEASE and usr/lib/debug/lib/modules/RELEASE; Fedora has the vmlinux there too.
		dirs = append(dirs, filepath.Join(filepath.Dir(beside), "lib/modules", release), filepath.Join("/usr/lib/debug/lib/modules", release))
		if filepath.Base(beside) == release {
			dirs = append(dirs, beside)
		}
	}
	if _, err := os.Stat(filepath.Join(beside, "modules.order")); err == nil {
		dirs = append(dirs, beside)
	}
	return dirs
}
