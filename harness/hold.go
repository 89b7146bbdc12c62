package harness

import (
	"errors"
	"os"
	"syscall"
)

// Hold keeps the directory of a run from [Prune] of other processes, and of this one, until release is called or the process ends. It is
// a shared flock(2) on the directory; where the file system has none the directory is not kept.
func Hold(dir string) (release func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {} // whoever writes there will say so
	}
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return func() { _ = f.Close() }
}

// held reports whether somebody holds a directory.
func held(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
