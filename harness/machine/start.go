package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kcatch/internal/blame"
)

// Options is what a start needs besides the machine itself. The zero value will do.
type Options struct {
	// ConsoleLog is a file for the serial line's raw bytes; empty: none. An existing one is overwritten.
	ConsoleLog string
	// Base is the directory that run directories are made in; default $XDG_RUNTIME_DIR or the one for temporary
	// files. At most 80 bytes, since sockets lie in it.
	Base string
	// Timeout is how long QEMU may take to answer; default 20 s. It takes about 60 ms on an idle host.
	Timeout time.Duration
}

const startTimeout = 20 * time.Second

// oldest is the first QEMU whose behaviour is known to be what the rest relies on (-action is from 6.0).
const oldest = 7

const installHint = "apt-get install qemu-system-x86"

// Start runs QEMU and returns it standing before its first instruction, all connections made. ctx bounds the start alone;
// the machine lives until [Machine.Close]. Errors: a usage error for what QEMU refuses in the user's own choices
// (machine, CPU model, kernel file, extra arguments), else an infrastructure error, or that of ctx. After an error
// nothing is left: no process, no file.
func Start(ctx context.Context, spec Spec, opts Options) (*Machine, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	spec = spec.WithDefaults()
	path, err := findQEMU(spec.QEMU)
	if err != nil {
		return nil, err
	}
	if opts.Base == "" {
		opts.Base = runBase()
	}
	if opts.Timeout == 0 {
		opts.Timeout = startTimeout
	}
	if spec.IntLog != "" {
		if spec.IntLog, err = filepath.Abs(spec.IntLog); err != nil {
			return nil, infra("start qemu: interrupt log", err)
		}
	}
	sweep(opts.Base, time.Now())
	m := &Machine{spec: spec}
	if err := m.start(ctx, path, opts); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func findQEMU(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		cause := "not found"
		if errors.Is(err, fs.ErrPermission) {
			cause = "not executable"
		}
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("start qemu: %s: %s", name, cause), Hint: installHint, Err: err}
	}
	return path, nil
}

// start does the work; what it has made when it fails is Close's to undo.
func (m *Machine) start(ctx context.Context, path string, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	var err error
	if m.dir, err = makeRunDir(opts.Base); err != nil {
		return err
	}
	m.spec.Dir = m.dir.path
	var log io.WriteCloser
	if opts.ConsoleLog != "" {
		f, err := os.Create(opts.ConsoleLog)
		if err != nil {
			return infra("start qemu: console log", err)
		}
		log = f
	}
	m.console = NewConsole(log, time.Now)
	if m.ram, err = makeRAM(m.spec.Memory); err != nil {
		return err
	}
	if m.serial, err = os.OpenFile(m.dir.path+"/s.out", os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return infra("start qemu: serial line", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start qemu: %w", context.Cause(ctx))
	}
	if m.proc, err = startProcess(path, m.spec.Argv(), m.ram); err != nil {
		m.proc = nil
		return infra("start qemu: "+path, err)
	}
	if err := m.connect(ctx); err != nil {
		return m.startError(ctx, err, opts)
	}
	// Not before: a pipe without a writer is at its end. QEMU has opened it by now, and has printed nothing yet.
	m.reading = true
	go m.console.read(m.serial)
	return nil
}

// connect makes the QMP and GDB connections. QEMU makes its sockets some 30 to 50 ms after its start.
func (m *Machine) connect(ctx context.Context) error {
	up, err := m.dial(ctx, m.dir.path+"/q")
	if err != nil {
		return err
	}
	if m.mon, err = dialMonitor(ctx, up, m.dir.path+"/r"); err != nil {
		return err
	}
	if v := m.mon.version; v[0] < oldest {
		return blame.New(blame.Infrastructure, fmt.Sprintf("start qemu: version %d.%d.%d is too old: want %d.0 or later", v[0], v[1], v[2], oldest), installHint)
	}
	m.gdb, err = m.dial(ctx, m.dir.path+"/g")
	return err
}

// errExited is the sign that QEMU ended while it was being connected to.
var errExited = errors.New("qemu has exited")

func (m *Machine) dial(ctx context.Context, path string) (net.Conn, error) {
	return dialProcess(ctx, m.proc, path)
}

// dialProcess connects to a socket that QEMU is about to make.
func dialProcess(ctx context.Context, proc *process, path string) (net.Conn, error) {
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		t := time.NewTimer(time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-proc.done:
			t.Stop()
			return nil, errExited
		}
	}
}

// startError finds the reason behind what went wrong: QEMU's own last words, if it has gone.
func (m *Machine) startError(ctx context.Context, err error, opts Options) error {
	if blame.Hint(err) != "" {
		return err // already explained
	}
	// A QEMU that ends closes its sockets first: give it a moment to be gone.
	if ctx.Err() == nil && m.proc.wait(500*time.Millisecond) {
		return explain(m.spec, m.proc.out.String(), m.proc.state)
	}
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return infra("start qemu", fmt.Errorf("no answer in %s: %w%s", opts.Timeout, err, lastWords(m.proc.out.String())))
	case ctx.Err() != nil:
		return fmt.Errorf("start qemu: %w", context.Cause(ctx))
	}
	return infra("start qemu", err)
}

func lastWords(output string) string {
	if line := firstComplaint(output); line != "" {
		return "; qemu says: " + line
	}
	return ""
}

// firstComplaint is the first line of QEMU's output that is no warning, without the program's name.
func firstComplaint(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, ": warning: ") || strings.Contains(line, ": info: ") {
			continue
		}
		if program, rest, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(filepath.Base(program), "qemu") {
			line = rest
		}
		return clean(line)
	}
	return ""
}

// clean makes a line of a foreign program fit for one line of ours.
func clean(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return strings.TrimRight(line, ".")
}

// refusal is a kind of complaint that QEMU has, recognized by a part of it (QEMU 7.2's wording).
type refusal struct {
	text    string
	kind    blame.Kind
	hint    string
	subject func(Spec) string // what QEMU does not name; nil: it does
}

func theMachine(s Spec) string { return s.Machine }
func theKernel(s Spec) string  { return s.Kernel }

var refusals = []refusal{
	{"-action: invalid option", blame.Infrastructure, installHint, nil},
	{"unsupported machine type", blame.Usage, "--machine q35, pc or microvm", theMachine},
	{"unable to find CPU model", blame.Usage, "qemu-system-x86_64 -cpu help lists them", nil},
	{"could not open kernel file", blame.Usage, "", nil},
	{"could not load kernel", blame.Usage, "", nil},
	{"could not load PVH", blame.Usage, "", nil},
	{"invalid kernel header", blame.Usage, "", theKernel},
	{"Error loading uncompressed kernel without PVH ELF Note", blame.Usage, "build it with CONFIG_PVH=y, or boot its bzImage", theKernel},
	{"error reading initrd", blame.Usage, "", nil},
	{"initrd is too large", blame.Usage, "give the machine more memory", nil},
	{"could not load initrd", blame.Usage, "", nil},
	{"kernel too old to load a ram disk", blame.Usage, "", theKernel},
	{"Invalid SMP CPUs", blame.Usage, "", nil},
	{"CPUs requested", blame.Usage, "", nil},
	{"-icount ", blame.Usage, "", nil},
	{"-smp ", blame.Usage, "", nil},
	{"phys-bits too low", blame.Usage, "give --memory less: the guest's CPU has no addresses for so much", nil}, // hw/i386/pc.c
	{"at most 2047 MB RAM", blame.Usage, "qemu-system-x86_64", nil},
	{"KVM", blame.Infrastructure, "--accel tcg", nil},
	{"kvm", blame.Infrastructure, "--accel tcg", nil},
	{"Cannot allocate memory", blame.Infrastructure, "give the machine less memory", nil},
}

// explain turns QEMU's end before its first instruction into one error: of the user, where QEMU complains of an argument
// that the user chose, else of our world. All that QEMU said is the error's detail.
func explain(spec Spec, output string, state *os.ProcessState) error {
	e := &blame.Error{Kind: blame.Infrastructure, Detail: output}
	line := firstComplaint(output)
	if line == "" {
		e.Msg = "start qemu: it ended without a word: " + fmt.Sprint(state)
		return e
	}
	e.Msg = "start qemu: " + line
	if blamesExtra(spec.Extra, line) {
		e.Kind, e.Hint = blame.Usage, "check --qemu-arg"
		return e
	}
	for _, r := range refusals {
		if strings.Contains(line, r.text) {
			e.Kind, e.Hint = r.kind, r.hint
			if r.subject != nil {
				e.Msg += ": " + clean(r.subject(spec))
			}
			break
		}
	}
	return e
}

// blamesExtra reports whether QEMU's complaint is of one of the user's own arguments. QEMU names an option with its
// value, "-device foo: 'foo' is not a valid device model name", or alone, "-foo: invalid option".
func blamesExtra(extra []string, line string) bool {
	for i, a := range extra {
		if !strings.HasPrefix(a, "-") {
			continue
		}
		option := "-" + strings.TrimLeft(a, "-")
		if strings.HasPrefix(line, option+": ") || strings.HasPrefix(line, a+": ") {
			return true
		}
		if i+1 < len(extra) && strings.HasPrefix(line, option+" "+extra[i+1]) {
			return true
		}
	}
	return false
}
