package cache

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// A file is one on disk, whatever its names.
type file struct{ dev, ino uint64 }

// onDisk is how many bytes a path takes on its disk (the blocks of its files, not their lengths), without the files that were seen
// before under another name. What vanishes meanwhile has none.
func onDisk(ctx context.Context, path string, seen map[file]bool) (int64, error) {
	var n int64
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		if st.Nlink > 1 && !d.IsDir() {
			id := file{st.Dev, st.Ino}
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		n += st.Blocks * 512 // stat(2): in units of 512 bytes, whatever the file system's blocks are
		return nil
	})
	return n, err
}
