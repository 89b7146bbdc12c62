package harness

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"kcatch/internal/blame"
)

// Claim takes the directory of a run for this caller, until release is called or the process ends: it is kept from [Prune], and
// whoever else wants it is refused meanwhile, with an error of kind [blame.Infrastructure]: two runs in one directory would read each
// other's console, and say of a good kernel that it died.
//
// The lock is on the directory itself (flock(2)), so that nothing is left in it. A file system that has no locks lets everybody in.
func Claim(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, diskError("artifacts", err)
	}
	if taken(f) {
		_ = f.Close()
		return nil, blame.New(blame.Infrastructure, fmt.Sprintf("artifacts: %s: another kcatch writes there", dir),
			"wait until it has ended, or give another directory with --out")
	}
	return func() { _ = f.Close() }, nil
}

// claimed reports whether somebody has claimed a directory.
func claimed(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return taken(f)
}

// taken takes the lock of an open directory, and reports whether somebody else has it.
func taken(f *os.File) bool {
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
