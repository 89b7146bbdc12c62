package kernels

import "path/filepath"

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
