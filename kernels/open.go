package kernels

import (
	"io/fs"
	"os"
	"path/filepath"
)

// OpenBuild is the build that a vmlinux is the product of, when it lies in an entry of the cache. Its Patches are not
// known: the entry is of a content, whatever the patches were called.
func OpenBuild(vmlinux string) (Build, bool) {
	file, err := filepath.EvalSymlinks(vmlinux)
	if err != nil {
		return Build{}, false
	}
	dir := filepath.Dir(file)
	builds := filepath.Dir(dir)
	if filepath.Base(builds) != "builds" {
		return Build{}, false
	}
	b := build{cache: filepath.Dir(builds)}
	return b.entryOf(filepath.Base(dir))
}

// Patched are the files that patches changed, as they were built: full paths by their names in the tree ("include/linux/page-flags.h"),
// at most 10,000. Root is the tree that all others are as in; empty where that is somebody's own, which goes on changing.
func (b Build) Patched() (files map[string]string, root string) {
	const most = 10000
	dir := filepath.Join(b.Dir, "patched")
	files = map[string]string{}
	_ = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || len(files) >= most {
			return fs.SkipAll // an entry without patches has no such directory
		}
		if d.Type().IsRegular() {
			files[name] = filepath.Join(dir, filepath.FromSlash(name))
		}
		return nil
	})
	if !b.record.Live {
		root = b.record.Root
	}
	return files, root
}
