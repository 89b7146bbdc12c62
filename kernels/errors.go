package kernels

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
)

// cause is the last part of a file error: "no such file or directory" rather than "open x: no such file or directory".
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	var se syscall.Errno
	if errors.As(err, &se) {
		return se.Error()
	}
	return err.Error()
}

// spaceNeeded is what one tiny kernel takes in the cache, in bytes: source 1.5 GB, its objects and images 1.0 GB, the
// package while it is unpacked 0.2 GB.
const spaceNeeded = 3 << 30

// infra makes an error of doing something in the cache: the disk's fault, with the room that is missing where it is full.
func infra(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return interrupted(op)
	}
	var be *blame.Error
	if errors.As(err, &be) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return diskFull(op, path)
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: op + ": " + path + ": " + cause(err), Err: err}
}

func diskFull(op, path string) error {
	msg := fmt.Sprintf("%s: %s: no space left on device", op, path)
	if free, ok := freeSpace(path); ok {
		msg += fmt.Sprintf(" (%d MB free)", free>>20)
	}
	return &blame.Error{
		Kind: blame.Infrastructure, Msg: msg, Err: syscall.ENOSPC,
		Hint: fmt.Sprintf("a kernel takes about %d GB there; free some, or put the cache elsewhere with XDG_CACHE_HOME", spaceNeeded>>30),
	}
}

// freeSpace is what an ordinary user can still write at path, in bytes.
func freeSpace(path string) (uint64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}

// Writable says why nothing can be written to the directory path, which need not be there yet; nil if something can, as far as
// permissions tell. Nothing is written. Errors are infrastructure errors.
func Writable(path string) error {
	for {
		st, err := os.Stat(path)
		switch {
		case err == nil && !st.IsDir():
			return blame.New(blame.Infrastructure, "cache: "+path+": is a file, not a directory", "set XDG_CACHE_HOME to a directory that can be written")
		case err == nil:
			if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
				return blame.New(blame.Infrastructure, "cache: "+path+": cannot be written: "+err.Error(), "set XDG_CACHE_HOME to a directory that can be written")
			}
			return nil
		}
		up := filepath.Dir(path)
		if up == path {
			return nil // what cannot be told is no error
		}
		path = up
	}
}

func interrupted(op string) error {
	return &blame.Error{Kind: blame.Interrupted, Msg: op + ": interrupted", Err: context.Canceled}
}

// isNotDir reports whether a path has a file where a directory should be, which for a reader means that the file is not there.
func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
