package kernels

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// holds are the records of the builds that this process has handed out, each locked together with others. They stay so until the
// process ends: a build is files by name, and nobody says when he has opened one for the last time (a bisection boots a kernel of an
// hour ago again). That makes it the process's own, and a variable of the package.
var holds = struct {
	sync.Mutex
	files map[string]*os.File
}{files: map[string]*os.File{}}

// hold keeps an entry from being removed by another kcatch, by its record. It is false when there is none, or when it is being removed.
// A file system without locks holds nothing, and removes what is asked for.
func hold(name string) bool {
	holds.Lock()
	defer holds.Unlock()
	if f := holds.files[name]; f != nil {
		if isStill(name, f) {
			return true
		}
		f.Close() // the entry was made anew
		delete(holds.files, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) || !isStill(name, f) {
		f.Close()
		return false
	}
	holds.files[name] = f
	return true
}

// isStill reports whether an open file is the one of that name.
func isStill(name string, f *os.File) bool {
	now, err := os.Stat(name)
	if err != nil {
		return false
	}
	was, err := f.Stat()
	return err == nil && os.SameFile(now, was)
}

// held reports whether a process, this one too, holds an entry, by its record or its lock. What is not there is held by nobody.
func held(name string) bool {
	free, ok := Claim(name)
	if ok {
		free.Close()
	}
	return !ok
}

// Claim takes the lock file of an entry of the cache for its removal, and does not wait: false when a process, this one too, uses the
// entry. An entry without a lock file is nobody's, and the claim of it is empty. The locks are
//
//	sources/ID.lock        slots/ID/lock        builds/KEY/build.json
//
// Whoever removes an entry leaves the first two where they are: a process may wait for them.
func Claim(lock string) (*os.File, bool) {
	f, err := os.Open(lock)
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, false
	}
	return f, true
}

// use keeps the unpacked source of a build from being removed until it is closed. [errChanged] says that it has been removed before.
func (b *build) use(ctx context.Context, src source) (*os.File, error) {
	if src.live() {
		return nil, nil // the user's own; its private copy has the slot's lock
	}
	name := filepath.Join(b.cache, "sources", src.slot+".lock")
	f, err := share(ctx, name, func() { b.progress(StageSource, 0, 0, "waiting for another kcatch") })
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(src.root); err != nil {
		f.Close()
		return nil, errChanged
	}
	return f, nil
}

// LastUse is when an entry of the cache was last used, by its lock or record and by itself: the later one.
func LastUse(entry, lock string) time.Time {
	var last time.Time
	for _, name := range []string{entry, lock} {
		if st, err := os.Lstat(name); err == nil && st.ModTime().After(last) {
			last = st.ModTime()
		}
	}
	return last
}
