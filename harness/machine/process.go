package machine

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that ends with us.
//
// PR_SET_PDEATHSIG (prctl(2)) makes the kernel send SIGKILL to the child when its parent ends, SIGKILL included. Its
// "parent" is the thread that forked, not the process. So each child has a goroutine of its own, locked to its thread
// from before the fork until the child is gone: the thread cannot end first, except with the whole process.
type process struct {
	pid  int
	proc *os.Process
	out  *tail // standard output and error
	done chan struct{}
	// began is when it was started. The rest is valid once done is closed.
	began, ended time.Time
	err          error
	state        *os.ProcessState
}

// startProcess starts argv with extra files from descriptor 3 on, in a process group of its own, so that a Ctrl-C on the
// terminal is ours to handle.
func startProcess(path string, argv []string, files ...*os.File) (*process, error) {
	p := &process{out: &tail{limit: 64 << 10}, done: make(chan struct{})}
	cmd := exec.Command(path)
	cmd.Args = argv
	cmd.ExtraFiles = files
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.WaitDelay = 200 * time.Millisecond // for a grandchild that keeps the pipe open
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}

	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.began = time.Now()
		err := cmd.Start()
		if err == nil {
			p.pid, p.proc = cmd.Process.Pid, cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		if errors.Is(p.err, exec.ErrWaitDelay) {
			p.err = nil
		}
		p.state, p.ended = cmd.ProcessState, time.Now()
		close(p.done)
	}()
	return p, <-started
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for the child's end, at most d.
func (p *process) wait(d time.Duration) bool {
	if p.exited() {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// signal sends sig to the child; nothing once it is gone. It goes by os.Process, which never hits another process
// that has been given the same number.
func (p *process) signal(sig syscall.Signal) { _ = p.proc.Signal(sig) }

// kill ends the child and waits for it.
func (p *process) kill() bool {
	p.signal(syscall.SIGKILL)
	return p.wait(time.Second)
}

// tail keeps the last limit bytes of what is written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	data  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > t.limit {
		p = p[len(p)-t.limit:]
	}
	if over := len(t.data) + len(p) - t.limit; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	t.data = append(t.data, p...)
	return n, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.data), "?")
}
