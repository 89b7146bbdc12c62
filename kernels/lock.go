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

// lock takes the lock file name for this process alone, and calls waiting once when another has it. The lock ends when the file
// is closed here and in every process that inherited it. The file's time then says when it was last taken.
func lock(ctx context.Context, name string, waiting func()) (held *os.File, err error) {
	return flock(ctx, name, unix.LOCK_EX, waiting)
}

// share takes the lock file name together with others that share it.
func share(ctx context.Context, name string, waiting func()) (held *os.File, err error) {
	return flock(ctx, name, unix.LOCK_SH, waiting)
}

func flock(ctx context.Context, name string, how int, waiting func()) (held *os.File, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return nil, infra("lock", name, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, infra("lock", name, err)
	}
	told := false
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			_ = os.Chtimes(name, time.Time{}, time.Now()) // what is not known costs an entry that goes too early
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
