package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"kcatch/internal/blame"
)

// Machine is a QEMU process and the connections to it. Its methods may be used by several goroutines.
type Machine struct {
	spec    Spec
	dir     *runDir
	ram     *os.File
	serial  *os.File
	console *Console
	reading bool
	proc    *process
	mon     *monitor
	gdb     net.Conn

	closing  sync.Once
	closeErr error
}

// Spec is the machine as it was started, defaults and run directory filled in.
func (m *Machine) Spec() Spec { return m.spec }

// PID is QEMU's process id.
func (m *Machine) PID() int { return m.proc.pid }

// Version is QEMU's, "7.2.22".
func (m *Machine) Version() string {
	v := m.mon.version
	return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
}

// GDBConn is the connection to QEMU's GDB stub, on which nothing has been said. It is the caller's to use; Close closes
// it in any case.
func (m *Machine) GDBConn() net.Conn { return m.gdb }

// GDBPath is the Unix socket of QEMU's GDB stub, for a debugger to connect to once [Machine.GDBConn] is closed. It takes one at a
// time.
func (m *Machine) GDBPath() string { return m.dir.path + "/g" }

// DebuggerPath is free for a Unix socket of who stands between a debugger and the stub. It goes with the run directory, at Close.
func (m *Machine) DebuggerPath() string { return m.dir.path + "/d" }

// RAMPath is the file that is the guest's RAM, valid in this process until Close; a mapping of it outlives that. Map it
// read-only. Where guest-physical memory lies in it is QEMU's layout for the machine type.
func (m *Machine) RAMPath() string { return "/proc/self/fd/" + strconv.Itoa(int(m.ram.Fd())) }

// Console is the serial line.
func (m *Machine) Console() *Console { return m.console }

// Events delivers what QEMU reports, and is closed when the connection is. Up to 256 events wait for a reader; then the
// oldest are dropped.
func (m *Machine) Events() <-chan Event { return m.mon.events }

// Execute runs a QMP command. args is marshalled to JSON (nil: none), the result is unmarshalled into out (nil: dropped).
// Without a deadline in ctx it is 10 s. A command that is given up leaves the connection usable.
func (m *Machine) Execute(ctx context.Context, command string, args, out any) error {
	return m.mon.execute(ctx, command, args, out)
}

// Monitor runs a command of QEMU's human monitor and returns what it prints, with \n line ends. Such a command reports
// its errors in that text.
func (m *Machine) Monitor(ctx context.Context, line string) (string, error) {
	var out string
	err := m.Execute(ctx, "human-monitor-command", map[string]string{"command-line": line}, &out)
	return strings.ReplaceAll(out, "\r\n", "\n"), err
}

// Status is QEMU's run state: prelaunch, running, paused, shutdown, guest-panicked, internal-error, … (qapi/run-state.json).
func (m *Machine) Status(ctx context.Context) (string, error) {
	var s struct {
		Status string `json:"status"`
	}
	err := m.Execute(ctx, "query-status", nil, &s)
	return s.Status, err
}

// CPUs returns every vCPU's state, without a stop of the machine.
func (m *Machine) CPUs(ctx context.Context) ([]CPUState, error) {
	text, err := m.Monitor(ctx, "info registers -a")
	if err != nil {
		return nil, err
	}
	return ParseCPUs(text)
}

// Stop pauses the machine. The GDB stub then reports a stop.
func (m *Machine) Stop(ctx context.Context) error { return m.Execute(ctx, "stop", nil, nil) }

// dumpTimeout bounds a dump whose context has no deadline.
const dumpTimeout = 2 * time.Minute

// DumpGuestMemory writes an ELF core of guest-physical memory with all vCPUs' registers to path, as crash and drgn read
// it. The guest pauses meanwhile. A dump of 256 MiB takes about 0.2 s and as much disk.
func (m *Machine) DumpGuestMemory(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return infra("dump guest memory", err)
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dumpTimeout)
		defer cancel()
	}
	return m.Execute(ctx, "dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + abs}, nil)
}

// Exited is closed when QEMU has ended.
func (m *Machine) Exited() <-chan struct{} { return m.proc.done }

// ExitError says how QEMU ended; nil while it runs. Its end is always an infrastructure error, since a guest can only
// pause it; after Close it is of no interest.
func (m *Machine) ExitError() error {
	if !m.proc.exited() {
		return nil
	}
	output := m.proc.out.String()
	msg := "qemu ended: " + fmt.Sprint(m.proc.state)
	if line := firstComplaint(output); line != "" {
		msg += ": " + line
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: msg, Detail: output, Err: m.proc.err}
}

// Output is the end of what QEMU itself has printed, warnings included.
func (m *Machine) Output() string { return m.proc.out.String() }

// Complaint is the first line of that which is no warning, fit for one line of ours; empty when there is none.
func (m *Machine) Complaint() string { return firstComplaint(m.proc.out.String()) }

// CPUTime is the processor time that QEMU has used: what its vCPUs executed, as a rule. Zero when it cannot be told.
// Source: proc_pid_stat(5), utime and stime in ticks of 1/100 s.
func (m *Machine) CPUTime() time.Duration {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(m.proc.pid) + "/stat")
	if err != nil {
		return 0
	}
	return cpuTime(string(data))
}

// Life is how long QEMU's process has been there, or was: from before its exec to after its end.
func (m *Machine) Life() time.Duration {
	if m.proc == nil {
		return 0
	}
	if m.proc.exited() {
		return m.proc.ended.Sub(m.proc.began)
	}
	return time.Since(m.proc.began)
}

func cpuTime(stat string) time.Duration {
	// The command's name is in parentheses and may hold anything, parentheses and spaces too.
	end := strings.LastIndexByte(stat, ')')
	f := strings.Fields(stat[end+1:])
	if end < 0 || len(f) < 13 {
		return 0
	}
	var ticks uint64
	for _, s := range f[11:13] { // fields 14 and 15; the first after the name is field 3
		n, err := strconv.ParseUint(s, 10, 48)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// How long each way of asking QEMU to end may take. It takes about 10 ms on an idle host.
const (
	quitGrace = 300 * time.Millisecond
	termGrace = 200 * time.Millisecond
	readGrace = 200 * time.Millisecond
)

// Quit asks QEMU to end, and waits until it has or ctx is done.
func (m *Machine) Quit(ctx context.Context) error {
	err := m.Execute(ctx, "quit", nil, nil)
	select {
	case <-m.proc.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("quit qemu: %w", context.Cause(ctx))
	case <-time.After(commandTimeout):
		return infra("quit qemu", fmt.Errorf("it has not ended in %s: %v", commandTimeout, err))
	}
}

// Close ends QEMU, whatever state it is in, and removes all that belongs to it but the logs: by QMP, then by SIGTERM, then
// by SIGKILL. It waits a second at most, may be called again, and on a machine that was never wholly started. The error
// is one that leaves something behind.
func (m *Machine) Close() error {
	m.closing.Do(func() { m.closeErr = m.shutDown() })
	return m.closeErr
}

func (m *Machine) shutDown() error {
	var err error
	if m.proc != nil && !m.end() {
		err = blame.New(blame.Infrastructure, fmt.Sprintf("end qemu: process %d does not end, not even killed", m.proc.pid), "")
	}
	if m.mon != nil {
		m.mon.close()
	}
	if m.gdb != nil {
		m.gdb.Close()
	}
	m.endConsole()
	if m.ram != nil {
		m.ram.Close()
	}
	if m.dir != nil {
		if rerr := m.dir.remove(); rerr != nil && err == nil {
			err = infra("end qemu: run directory", rerr)
		}
	}
	return err
}

// end ends the process and reports whether it has ended.
func (m *Machine) end() bool {
	if m.mon != nil && !m.proc.exited() {
		ctx, cancel := context.WithTimeout(context.Background(), quitGrace)
		_ = m.mon.execute(ctx, "quit", nil, nil) // that it goes shows in the process
		left := quitGrace
		if d, ok := ctx.Deadline(); ok {
			left = time.Until(d)
		}
		cancel()
		if m.proc.wait(left) {
			return true
		}
	}
	m.proc.signal(syscall.SIGTERM)
	if m.proc.wait(termGrace) {
		return true
	}
	return m.proc.kill()
}

// endConsole takes what is still in the pipe, and closes it.
func (m *Machine) endConsole() {
	if m.console == nil {
		return
	}
	if m.reading {
		_ = m.serial.SetReadDeadline(time.Now().Add(readGrace))
		<-m.console.closed
	}
	m.console.end(nil)
	if m.serial != nil {
		m.serial.Close()
	}
}
