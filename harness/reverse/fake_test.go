package reverse

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kcatch/gdb/rsp"
)

// fakeQEMU plays a guest whose instruction n is at address code[n]: a counter with breakpoints, and a word of memory that the
// instructions of writes write their number to. It speaks the stub's side of the protocol, and answers QMP.
type fakeQEMU struct {
	code   []uint64
	writes []int64 // in rising order

	mu      sync.Mutex
	at      int64
	until   int64 // replay-break's; -1: none
	running bool
	stands  int64 // it goes no further than that; -1: it does
	points  map[string]bool
	deaf    bool // its stub is
	log     []string

	link *rsp.Link
	conn net.Conn
	gone chan struct{}
	once sync.Once
}

func newFake(code []uint64, writes ...int64) *fakeQEMU {
	f := &fakeQEMU{code: code, writes: writes, until: -1, stands: -1, points: map[string]bool{}, gone: make(chan struct{})}
	ours, theirs := net.Pipe()
	f.link, f.conn = rsp.NewLink(ours), theirs
	go f.serve()
	return f
}

func (f *fakeQEMU) GDBConn() net.Conn       { return f.conn }
func (f *fakeQEMU) Exited() <-chan struct{} { return f.gone }

func (f *fakeQEMU) Close() error {
	f.once.Do(func() { close(f.gone) })
	return f.link.Close()
}

func (f *fakeQEMU) Status(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running {
		return "running", nil
	}
	return "paused", nil
}

func (f *fakeQEMU) Execute(_ context.Context, command string, args, out any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch command {
	case "query-replay":
		out.(*struct {
			ICount int64 `json:"icount"`
		}).ICount = f.at
	case "replay-break":
		to := args.(map[string]any)["icount"].(int64)
		if to < f.at {
			return fmt.Errorf("cannot set breakpoint at the instruction in the past")
		}
		f.until = to
	case "cont":
		f.run(false) // its stop is not told by the stub, as in QEMU 8.1
	default:
		return fmt.Errorf("no command %s", command)
	}
	return nil
}

// run goes on, and returns the stop; empty: it stands still.
func (f *fakeQEMU) run(step bool) string {
	for first := true; ; first = false {
		switch {
		case f.at == f.until:
			f.until = -1
			return "T02thread:p01.01;"
		case f.at == f.stands || f.at == int64(len(f.code)):
			f.running = true
			return ""
		case !step && f.points[fmt.Sprintf("1,%x,1", f.code[f.at])]:
			return "T05thread:p01.01;"
		case step && !first:
			return "T05thread:p01.01;"
		}
		f.at++
		if slices.Contains(f.writes, f.at-1) && f.points["2,4000,4"] {
			return "T05thread:p01.01;watch:4000;"
		}
	}
}

func (f *fakeQEMU) serve() {
	for packet := range f.link.Packets() {
		f.mu.Lock()
		f.log = append(f.log, packet)
		reply := "OK"
		switch {
		case f.deaf:
			reply = ""
		case packet == rsp.Interrupt && f.running:
			f.running = false
			reply = "T02thread:p01.01;"
		case packet == rsp.Interrupt:
			reply = ""
		case packet == "?", packet == "vAttach;1":
			reply = "T05thread:p01.01;"
		case packet == "c", strings.HasPrefix(packet, "vCont;c"):
			reply = f.run(false)
		case packet == "s":
			reply = f.run(true)
		case packet == "qC":
			reply = "QC01"
		case strings.HasPrefix(packet, "qRcmd"):
			_ = f.link.Send("O61")
		case strings.HasPrefix(packet, "qSupported"):
			reply = "PacketSize=1000;ReverseStep+;ReverseContinue+"
		case packet == "p10":
			reply = strconv.FormatUint(f.code[f.at], 16)
		case packet[0] == 'Z':
			f.points[packet[1:]] = true
		case packet[0] == 'z':
			delete(f.points, packet[1:])
		}
		f.mu.Unlock()
		if reply != "" {
			_ = f.link.Send(reply)
		}
	}
}

// bench is a session over fakes, and gdb's end of it.
type bench struct {
	*testing.T
	s      *Session
	gdb    *rsp.Link
	path   string
	stop   context.CancelFunc // of Serve
	served chan error
	qemus  []*fakeQEMU
	spoil  func(n int, f *fakeQEMU) // the nth QEMU, from 0
}

// limits are short: what stands still here does so at once.
var limits = Limits{Stall: 60 * time.Millisecond, Answer: 200 * time.Millisecond, Tries: 3}

func startBench(t *testing.T, code []uint64, spoil func(n int, f *fakeQEMU), writes ...int64) *bench {
	t.Helper()
	b := &bench{T: t, served: make(chan error, 1), spoil: spoil}
	var mu sync.Mutex
	rec := Recording{End: int64(len(code)) - 1, Limits: limits, Start: func(context.Context) (Machine, error) {
		mu.Lock()
		defer mu.Unlock()
		f := newFake(code, writes...)
		if b.spoil != nil {
			b.spoil(len(b.qemus), f)
		}
		b.qemus = append(b.qemus, f)
		return f, nil
	}}
	var err error
	if b.s, err = Open(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", t.TempDir()+"/d")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.served <- b.s.Serve(ctx, l) }()
	b.path = l.Addr().String()
	b.dial(b.path)
	t.Cleanup(func() {
		stop()
		b.gdb.Close()
		b.s.Close()
		for _, f := range b.qemus {
			select {
			case <-f.gone:
			default:
				t.Error("a QEMU is left")
			}
		}
	})
	return b
}

func (b *bench) dial(path string) {
	b.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	b.gdb = rsp.NewLink(conn)
}

// over waits for the session's end.
func (b *bench) over() error {
	b.Helper()
	select {
	case err := <-b.served:
		return err
	case <-time.After(10 * time.Second):
		b.Fatal("it goes on")
	}
	return nil
}

// next is what the session says next.
func (b *bench) next() string {
	b.Helper()
	select {
	case reply, ok := <-b.gdb.Packets():
		if !ok {
			return "<closed>"
		}
		return reply
	case <-time.After(10 * time.Second):
		b.Fatal("no answer")
	}
	return ""
}

func (b *bench) ask(packet, want string) {
	b.Helper()
	if err := b.gdb.Send(packet); err != nil {
		b.Fatal(err)
	}
	if got := b.next(); got != want {
		b.Errorf("%s: %q, want %q", packet, got, want)
	}
}

// at checks where the machine is by its own counter.
func (b *bench) at(want int64) {
	b.Helper()
	if got, err := b.s.now.at(b.Context()); err != nil || got != want {
		b.Errorf("at instruction %d (%v), want %d", got, err, want)
	}
}
