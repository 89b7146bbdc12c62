package harness

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kcatch/gdb/vmlinux"
	"kcatch/kernels"
)

// Sources gives the source files that a vmlinux was built from, by the names that frames have ("mm/page_alloc.c"): of a build in the
// cache as it was built, of another vmlinux from the tree that it names, unless the file there is newer than it. With a buildID only that
// build's are given. The vmlinux is opened when the first file is asked for; what is wrong with it is the error of each file. Files of
// a module outside of the tree are not found.
func Sources(path, buildID string) func(file string) ([]byte, error) {
	open := sync.OnceValues(func() (func(string) ([]byte, error), error) { return openSources(path, buildID) })
	return func(file string) ([]byte, error) {
		read, err := open()
		if err != nil {
			return nil, err
		}
		return read(file)
	}
}

func openSources(path, buildID string) (func(file string) ([]byte, error), error) {
	if path == "" {
		return nil, fmt.Errorf("source: which vmlinux it was is not known")
	}
	f, err := vmlinux.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if have := f.BuildID(); buildID != "" && have != buildID {
		return nil, fmt.Errorf("source: %s: is of another build: build-id %s, not %s", path, orNone(have), buildID)
	}
	if built, ok := kernels.OpenBuild(path); ok {
		return built.Source, nil
	}
	prefix := f.TreePrefix()
	return func(file string) ([]byte, error) { return treeSource(prefix, path, file) }, nil
}

// treeSource is the text of a file of the tree that a vmlinux names.
func treeSource(prefix, vmlinux, file string) ([]byte, error) {
	if !filepath.IsLocal(file) || prefix == "" {
		return nil, os.ErrNotExist
	}
	path := filepath.Join(prefix, file)
	text, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !text.Mode().IsRegular() {
		return nil, fmt.Errorf("source: %s: not a regular file", path)
	}
	elf, err := os.Stat(vmlinux)
	if err != nil {
		return nil, err
	}
	if text.ModTime().After(elf.ModTime()) {
		return nil, fmt.Errorf("source: %s: has changed since the vmlinux was built", path)
	}
	return os.ReadFile(path)
}

// SourcePath says that what the debug information has at From, a file or a directory, lies at To as it was built.
type SourcePath struct{ From, To string }

// SourcePaths are for a debugger, which goes by the names in the debug information: of a build in the cache those are of a tree that
// the next build with other patches changes. The first that fits counts. Of another vmlinux there are none.
func SourcePaths(path string) []SourcePath {
	built, ok := kernels.OpenBuild(path)
	if !ok {
		return nil
	}
	f, err := vmlinux.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	tree := strings.TrimSuffix(f.TreePrefix(), "/")
	if !filepath.IsAbs(tree) {
		return nil
	}
	var paths []SourcePath
	files, root := built.Patched()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		paths = append(paths, SourcePath{filepath.Join(tree, name), files[name]})
	}
	if root != "" && root != tree {
		paths = append(paths, SourcePath{tree, root})
	}
	return paths
}
