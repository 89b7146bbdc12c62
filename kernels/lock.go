package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a held lock is asked for again. flock has no wait that a context could end.
const lockPoll = 100 * time.Millisecond

// lock takes the lock file name for this process, and calls waiting once when another has it. The lock ends when the file
// is closed here and in every process that inherited it.
func lock(ctx context.Context, name string, waiting func()) (held *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return nil, infra("lock", name, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, infra("lock", name, err)
	}
	told := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, infra("lock", name, err)
		}
		if !told {
			waiting()
			told = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, interrupted("waiting for another kcatch")
		case <-time.After(lockPoll):
		}
	}
}
