package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
)

// runDir is a private directory for one machine's sockets and pipes. Its name is short: a Unix socket's path has at
// most 107 bytes (struct sockaddr_un, unix(7)).
//
// The file "lock" in it is locked (flock) as long as the owner lives, however it ends; a directory whose lock can be
// taken is a dead run's. Unlike a process id that holds across PID namespaces that share /tmp.
type runDir struct {
	path string
	lock *os.File
}

const (
	runPrefix = "kc-"
	// maxBase is how long the parent directory's path may be: "/kc-" and 10 digits and "/s.out" fit behind it.
	maxBase = 80
)

// runBase is where run directories are made: $XDG_RUNTIME_DIR (private to the user, and memory), else the directory for
// temporary files, else /tmp.
func runBase() string {
	for _, d := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		if len(d) <= maxBase && filepath.IsAbs(d) && unix.Access(d, unix.W_OK|unix.X_OK) == nil {
			return d
		}
	}
	return "/tmp"
}

// makeRunDir makes a run directory under base, mode 0700, with the serial line's pipes.
func makeRunDir(base string) (*runDir, error) {
	if len(base) > maxBase {
		return nil, blame.New(blame.Usage, fmt.Sprintf("start qemu: %s: path is too long for a run directory", base), "")
	}
	path, err := os.MkdirTemp(base, runPrefix)
	if err != nil {
		return nil, infra("start qemu: make run directory", err)
	}
	d := &runDir{path: path}
	if err := d.fill(); err != nil {
		d.remove()
		return nil, infra("start qemu: run directory "+path, err)
	}
	return d, nil
}

// fill takes the lock under another name and then moves it into place, so that no sweep ever sees it unlocked.
func (d *runDir) fill() error {
	fresh := d.path + "/lock.new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	d.lock = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return err
	}
	if err := os.Rename(fresh, d.path+"/lock"); err != nil {
		return err
	}
	for _, pipe := range []string{"/s.in", "/s.out"} {
		if err := unix.Mkfifo(d.path+pipe, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *runDir) remove() error {
	err := os.RemoveAll(d.path)
	if d.lock != nil {
		d.lock.Close() // gives up the lock; there is nothing to lose in the file
	}
	return err
}

// sweep removes the run directories under base whose owners are dead. It is best effort: what it may not touch stays.
func sweep(base string, now time.Time) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), runPrefix) {
			sweepOne(filepath.Join(base, e.Name()), now)
		}
	}
}

func sweepOne(dir string, now time.Time) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() {
		return
	}
	f, err := os.OpenFile(dir+"/lock", os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		// An owner that died while it made the directory. Anything else that is named so has other content.
		if os.IsNotExist(err) && now.Sub(info.ModTime()) > time.Minute {
			_ = os.Remove(dir + "/lock.new")
			_ = os.Remove(dir)
		}
		return
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.RemoveAll(dir)
	}
}

// infra wraps an error of our own world.
func infra(op string, err error) error {
	return &blame.Error{Kind: blame.Infrastructure, Msg: op + ": " + err.Error(), Err: err}
}
