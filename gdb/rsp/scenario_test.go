package rsp_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/rsp"
)

// Places in testdata/rom.s.
const (
	romBase   = 0xf0000
	romLong   = romBase + 0x200
	romLoop   = romBase + 0x300 // incq counter
	romCall   = romBase + 0x308
	romPause  = romBase + 0x30d
	romLeaf   = romBase + 0x340
	romTriple = romBase + 0x380
	romUD2    = romBase + 0x387
	romHalt   = romBase + 0x3c0
	counter   = 0x5000
	mappedEnd = 0x200000
	resetRIP  = 0xfff0
	resetCS   = 0xf000
)

var cpu0 = rsp.Thread{PID: 1, TID: 1}

// A scenario is one conversation with the stub. It runs on its transcript everywhere, and on a real QEMU where there is one;
// -record makes the transcript from the latter. So its packets must not depend on timing.
type scenario struct {
	name string
	args []string // of QEMU, besides the common ones
	opt  rsp.Options
	run  func(t *testing.T, ctx context.Context, c *rsp.Client)
}

var scenarios = []scenario{
	{name: "handshake", run: handshake},
	{name: "reset", run: resetState},
	{name: "memory", run: memory},
	{name: "breakpoints", run: breakpoints},
	{name: "watchpoints", run: watchpoints},
	{name: "step", run: step},
	{name: "step-kvm", opt: rsp.Options{KVM: true}, run: stepKVM},
	{name: "registers", run: registers},
	{name: "interrupt", run: interrupt},
	{name: "smp", args: []string{"-smp", "2"}, run: smp},
	{name: "triple-fault", args: []string{"-action", "reboot=shutdown,shutdown=pause"}, run: tripleFault},
	{name: "exit", args: []string{"-no-reboot"}, run: exit},
	{name: "monitor", run: monitor},
	{name: "kill", run: kill},
	{name: "detach", run: detach},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func shakeHands(t *testing.T, ctx context.Context, c *rsp.Client) {
	t.Helper()
	must(t, c.Handshake(ctx))
}

// runTo resumes until a hardware break point at addr, and removes it again.
func runTo(t *testing.T, ctx context.Context, c *rsp.Client, addr uint64) rsp.Stop {
	t.Helper()
	b := rsp.Breakpoint{Kind: rsp.Hardware, Addr: addr}
	must(t, c.Insert(ctx, b))
	stop := resume(t, ctx, c, rsp.ReasonBreak)
	must(t, c.Remove(ctx, b))
	wantRIP(t, ctx, c, stop.Thread, addr)
	return stop
}

func resume(t *testing.T, ctx context.Context, c *rsp.Client, want rsp.Reason) rsp.Stop {
	t.Helper()
	must(t, c.Continue(ctx))
	stop, err := c.Wait(ctx)
	must(t, err)
	if stop.Reason() != want {
		t.Fatalf("continue: stop %q (%v), want %v", stop.Raw, stop.Reason(), want)
	}
	if c.Running() {
		t.Fatal("running after its stop")
	}
	return stop
}

func wantRIP(t *testing.T, ctx context.Context, c *rsp.Client, thread rsp.Thread, want uint64) amd64.Registers {
	t.Helper()
	r, err := c.Registers(ctx, thread)
	must(t, err)
	if r.RIP != want {
		t.Fatalf("%v: rip 0x%x, want 0x%x", thread, r.RIP, want)
	}
	return r
}

func handshake(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	f := c.Features()
	if f.PacketSize != 4096 || !f.Multiprocess || !f.TargetXML || !f.PhysicalMemory || f.Architecture != "i386:x86-64" {
		t.Errorf("features %+v", f)
	}
	if f.ReverseStep || f.ReverseContinue {
		t.Errorf("reverse execution without replay: %+v", f)
	}
	// Refused by us: QEMU would abort.
	if _, err := c.ReverseStep(ctx); !errors.Is(err, rsp.ErrUnsupported) {
		t.Errorf("reverse step: %v, want %v", err, rsp.ErrUnsupported)
	}
	if err := c.ReverseContinue(ctx); !errors.Is(err, rsp.ErrUnsupported) {
		t.Errorf("reverse continue: %v, want %v", err, rsp.ErrUnsupported)
	}
	threads, err := c.Threads(ctx)
	must(t, err)
	if !slices.Equal(threads, []rsp.Thread{cpu0}) {
		t.Errorf("threads %v, want %v", threads, cpu0)
	}
}

// Intel SDM vol. 3A, table 9-1: the state after power-up.
func resetState(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	r := wantRIP(t, ctx, c, cpu0, resetRIP)
	if r.CS != resetCS || r.CR0 != 0x60000010 || r.EFLAGS != 2 || r.Long() || r.LinearPC() != 0xfffffff0 {
		t.Errorf("registers at reset: %+v", r)
	}
	if err := c.WriteRegister(ctx, cpu0, amd64.RIP, 0); err == nil {
		t.Error("a register was written outside long mode")
	}
	// The ROM's far jump to its start.
	code := make([]byte, 5)
	n, err := c.ReadMemory(ctx, code, 0xfffffff0)
	if n != 5 || err != nil || !slices.Equal(code, []byte{0xea, 0, 0, 0, 0xf0}) {
		t.Errorf("reset vector: %x, %d, %v", code, n, err)
	}
}

func memory(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLong)
	// 4 packets: cut at multiples of 2048.
	p := make([]byte, 5000)
	if n, err := c.ReadMemory(ctx, p, romBase+0x100); n != len(p) || err != nil {
		t.Fatalf("read 5000 bytes: %d, %v", n, err)
	}
	if want := []byte{0xb8, 0x10, 0, 0, 0}; !slices.Equal(p[0x100:0x105], want) {
		t.Errorf("code at 0x200: %x, want %x", p[0x100:0x105], want)
	}
	// Across the end of the mapping: what is there, then the fault.
	var fault *rsp.FaultError
	n, err := c.ReadMemory(ctx, p[:200], mappedEnd-100)
	if n != 100 || !errors.As(err, &fault) || fault.Addr != mappedEnd {
		t.Errorf("read over the end of the mapping: %d, %v", n, err)
	}
	if n, err = c.ReadMemory(ctx, p[:8], 0xffff800000000000); n != 0 || !errors.As(err, &fault) {
		t.Errorf("read a hole: %d, %v", n, err)
	}
	if n, err = c.ReadMemory(ctx, p[:8], 0xfffffffffffffffc); n != 0 || err == nil || errors.As(err, &fault) && fault.Addr == 0 {
		t.Errorf("read over the end of the address space: %d, %v", n, err)
	}
	if n, err = c.ReadMemory(ctx, nil, 0); n != 0 || err != nil {
		t.Errorf("read nothing: %d, %v", n, err)
	}
	// Guest-physical: the same hole is RAM.
	must(t, c.SetPhysicalMemory(ctx, true))
	if n, err = c.ReadMemory(ctx, p[:8], mappedEnd); n != 8 || err != nil {
		t.Errorf("read physical: %d, %v", n, err)
	}
	must(t, c.SetPhysicalMemory(ctx, false))
	if n, err = c.ReadMemory(ctx, p[:8], mappedEnd); n != 0 || !errors.As(err, &fault) {
		t.Errorf("virtual again: %d, %v", n, err)
	}
}

func breakpoints(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLong)
	leaf := rsp.Breakpoint{Kind: rsp.Hardware, Addr: romLeaf}
	must(t, c.Insert(ctx, leaf))
	must(t, c.Insert(ctx, leaf)) // one packet, two references
	must(t, c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Software, Addr: romPause}))
	must(t, c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Hardware, Addr: 0xffffffff81000000})) // need not be mapped
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romLeaf)
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romLeaf) // hit again at once, without a step
	stop, err := c.StepOver(ctx, cpu0)
	must(t, err)
	if stop.Reason() != rsp.ReasonBreak {
		t.Errorf("step: %q", stop.Raw)
	}
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romPause)
	must(t, c.Remove(ctx, leaf))
	_, err = c.StepOver(ctx, cpu0)
	must(t, err)
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romLeaf) // one reference is left
	must(t, c.Remove(ctx, leaf))
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romPause) // none is left
	if err := c.Remove(ctx, leaf); err == nil {
		t.Error("removed what was not inserted")
	}
	for _, b := range []rsp.Breakpoint{{}, {Kind: rsp.WriteWatch, Addr: 1}, {Kind: 9, Addr: 1, Len: 1}, {Kind: rsp.ReadWatch, Len: -1}} {
		if err := c.Insert(ctx, b); err == nil {
			t.Errorf("inserted %v", b)
		}
	}
}

func watchpoints(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLoop)
	write := rsp.Breakpoint{Kind: rsp.WriteWatch, Addr: counter, Len: 8}
	must(t, c.Insert(ctx, write))
	stop := resume(t, ctx, c, rsp.ReasonWatch)
	if want := (rsp.Watch{Kind: rsp.WriteWatch, Addr: counter}); stop.Watch != want || stop.Thread != cpu0 {
		t.Errorf("stop %q: watch %v, thread %v", stop.Raw, stop.Watch, stop.Thread)
	}
	wantRIP(t, ctx, c, cpu0, romCall) // after the writing instruction
	must(t, c.Remove(ctx, write))

	read := rsp.Breakpoint{Kind: rsp.ReadWatch, Addr: counter, Len: 4}
	must(t, c.Insert(ctx, read))
	if stop := resume(t, ctx, c, rsp.ReasonWatch); stop.Watch.Kind != rsp.ReadWatch {
		t.Errorf("stop %q", stop.Raw)
	}
	wantRIP(t, ctx, c, cpu0, romLeaf+8)
	must(t, c.Remove(ctx, read))

	access := rsp.Breakpoint{Kind: rsp.AccessWatch, Addr: counter + 3, Len: 1}
	must(t, c.Insert(ctx, access))
	if stop := resume(t, ctx, c, rsp.ReasonWatch); stop.Watch.Kind != rsp.AccessWatch {
		t.Errorf("stop %q", stop.Raw)
	}
}

func step(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLoop)
	for _, want := range []uint64{romCall, romLeaf, romLeaf + 8, romPause} {
		stop, err := c.StepOver(ctx, cpu0)
		must(t, err)
		if stop.Reason() != rsp.ReasonBreak || stop.Thread != cpu0 {
			t.Errorf("step: %q", stop.Raw)
		}
		wantRIP(t, ctx, c, cpu0, want)
	}
	must(t, c.WriteRegister(ctx, cpu0, amd64.R13, 0x1122334455667788))
	if r, err := c.Registers(ctx, cpu0); err != nil || r.R13 != 0x1122334455667788 {
		t.Errorf("r13 0x%x, %v", r.R13, err)
	}
	if err := c.WriteRegister(ctx, cpu0, amd64.Reg(40), 0); !errors.Is(err, rsp.ErrUnsupported) {
		t.Errorf("write an unknown register: %v", err)
	}
	if _, err := c.StepOver(ctx, rsp.Thread{}); err == nil {
		t.Error("stepped no vCPU")
	}
}

// With KVM set break points are lifted for a step. TCG takes the same packets.
func stepKVM(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	for _, kind := range []rsp.Kind{rsp.Software, rsp.Hardware} {
		must(t, c.Insert(ctx, rsp.Breakpoint{Kind: kind, Addr: romLoop}))
	}
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romLoop)
	_, err := c.StepOver(ctx, cpu0)
	must(t, err)
	wantRIP(t, ctx, c, cpu0, romCall)
	resume(t, ctx, c, rsp.ReasonBreak)
	wantRIP(t, ctx, c, cpu0, romLoop) // put back
}

// The oracle is QEMU's other way to say it, "info registers" of the monitor.
func registers(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romPause)
	for i, reg := range []amd64.Reg{amd64.RBX, amd64.RCX, amd64.RDX, amd64.RSI, amd64.RBP, amd64.R8, amd64.R15} {
		must(t, c.WriteRegister(ctx, cpu0, reg, 0x0123456789abcd00+uint64(i)))
	}
	r, err := c.Registers(ctx, cpu0)
	must(t, err)
	text, err := c.Monitor(ctx, "info registers")
	must(t, err)
	for name, got := range map[string]uint64{
		"RAX": r.RAX, "RBX": r.RBX, "RCX": r.RCX, "RDX": r.RDX, "RSI": r.RSI, "RDI": r.RDI, "RBP": r.RBP, "RSP": r.RSP,
		"R8": r.R8, "R9": r.R9, "R10": r.R10, "R11": r.R11, "R12": r.R12, "R13": r.R13, "R14": r.R14, "R15": r.R15,
		"RIP": r.RIP, "RFL": r.EFLAGS, "CR0": r.CR0, "CR2": r.CR2, "CR3": r.CR3, "CR4": r.CR4, "EFER": r.EFER,
		"CS": uint64(r.CS), "SS": uint64(r.SS), "DS": uint64(r.DS), "ES": uint64(r.ES),
	} {
		m := regexp.MustCompile(`\b` + name + ` *= *([0-9a-f]+)`).FindStringSubmatch(text)
		if m == nil {
			t.Errorf("info registers has no %s:\n%s", name, text)
			continue
		}
		if want, err := strconv.ParseUint(m[1], 16, 64); err != nil || got != want {
			t.Errorf("%s 0x%x, the monitor says 0x%s", name, got, m[1])
		}
	}
	if !r.Long() {
		t.Error("not in long mode")
	}
}

func interrupt(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	if _, err := c.Interrupt(ctx); !errors.Is(err, rsp.ErrNotRunning) {
		t.Errorf("interrupt before a resume: %v", err)
	}
	if _, err := c.Wait(ctx); !errors.Is(err, rsp.ErrNotRunning) {
		t.Errorf("wait before a resume: %v", err)
	}
	must(t, c.Continue(ctx))
	if !c.Running() {
		t.Fatal("not running after continue")
	}
	refused := map[string]error{
		"registers": second(c.Registers(ctx, cpu0)),
		"memory":    second(c.ReadMemory(ctx, make([]byte, 1), 0)),
		"threads":   second(c.Threads(ctx)),
		"monitor":   second(c.Monitor(ctx, "info status")),
		"step":      second(c.StepOver(ctx, cpu0)),
		"select":    c.Select(ctx, cpu0),
		"continue":  c.Continue(ctx),
		"insert":    c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Hardware, Addr: 1}),
		"detach":    c.Detach(ctx),
		"handshake": c.Handshake(ctx),
	}
	for name, err := range refused {
		if !errors.Is(err, rsp.ErrRunning) {
			t.Errorf("%s while running: %v, want %v", name, err, rsp.ErrRunning)
		}
	}
	stop, err := c.Interrupt(ctx)
	must(t, err)
	if stop.Reason() != rsp.ReasonPaused || c.Running() {
		t.Errorf("interrupt: %q, running %v", stop.Raw, c.Running())
	}
	// Again: nothing runs, nothing is sent, the same stop.
	if again, err := c.Interrupt(ctx); err != nil || again != stop {
		t.Errorf("interrupt again: %+v, %v", again, err)
	}
	select {
	case s := <-c.Stops():
		t.Errorf("Stops has %q after Interrupt returned it", s.Raw)
	default:
	}
	_, err = c.Registers(ctx, cpu0)
	must(t, err)
}

func second[T any](_ T, err error) error { return err }

func smp(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	threads, err := c.Threads(ctx)
	must(t, err)
	cpu1 := rsp.Thread{PID: 1, TID: 2}
	if !slices.Equal(threads, []rsp.Thread{cpu0, cpu1}) || threads[1].CPU() != 1 {
		t.Fatalf("threads %v", threads)
	}
	if halted, err := c.Halted(ctx, cpu1); err != nil || !halted {
		t.Errorf("second vCPU before start: halted %v, %v", halted, err)
	}
	runTo(t, ctx, c, romLoop)
	// The second vCPU's loop is real mode, f000:0088. Wait for it there, by its own break point.
	other := rsp.Breakpoint{Kind: rsp.Hardware, Addr: romBase + 0x88}
	must(t, c.Insert(ctx, other))
	stop := resume(t, ctx, c, rsp.ReasonBreak)
	if stop.Thread != cpu1 {
		t.Fatalf("stop %q: thread %v, want %v", stop.Raw, stop.Thread, cpu1)
	}
	r := wantRIP(t, ctx, c, cpu1, 0x88)
	if r.LinearPC() != romBase+0x88 || r.Long() {
		t.Errorf("second vCPU: linear pc 0x%x, long %v", r.LinearPC(), r.Long())
	}
	// A step moves one vCPU only.
	first, err := c.Registers(ctx, cpu0)
	must(t, err)
	if stop, err = c.StepOver(ctx, cpu1); err != nil || stop.Thread != cpu1 {
		t.Errorf("step: %q, %v", stop.Raw, err)
	}
	wantRIP(t, ctx, c, cpu1, 0x8c)
	if now, err := c.Registers(ctx, cpu0); err != nil || now != first {
		t.Errorf("first vCPU moved from 0x%x to 0x%x, %v", first.RIP, now.RIP, err)
	}
	if err := c.Select(ctx, rsp.Thread{PID: 1, TID: 9}); err == nil {
		t.Error("selected a vCPU that is not there")
	}
}

func tripleFault(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLoop)
	must(t, c.WriteRegister(ctx, cpu0, amd64.RIP, romTriple))
	must(t, c.Continue(ctx))
	var stop rsp.Stop
	select {
	case stop = <-c.Stops():
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	if stop.Reason() != rsp.ReasonShutdown {
		t.Fatalf("triple fault: %q", stop.Raw)
	}
	wantRIP(t, ctx, c, cpu0, romUD2) // frozen at the instruction at fault
	// QEMU would not answer: nothing is sent.
	if err := c.Continue(ctx); !errors.Is(err, rsp.ErrNeedsReset) {
		t.Errorf("continue: %v, want %v", err, rsp.ErrNeedsReset)
	}
	if _, err := c.StepOver(ctx, cpu0); !errors.Is(err, rsp.ErrNeedsReset) {
		t.Errorf("step: %v, want %v", err, rsp.ErrNeedsReset)
	}
	if again, err := c.Wait(ctx); err != nil || again != stop {
		t.Errorf("wait again: %+v, %v", again, err)
	}
}

func exit(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	runTo(t, ctx, c, romLoop)
	must(t, c.WriteRegister(ctx, cpu0, amd64.RIP, romTriple))
	stop := resume(t, ctx, c, rsp.ReasonExited)
	if !stop.Exited || stop.ExitCode != 0 {
		t.Errorf("exit: %+v", stop)
	}
	select {
	case _, open := <-c.Stops():
		if open {
			_, open = <-c.Stops()
		}
		if open {
			t.Error("Stops is open after the end")
		}
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	if _, err := c.Registers(ctx, cpu0); !errors.Is(err, rsp.ErrClosed) {
		t.Errorf("registers after the end: %v", err)
	}
}

func monitor(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	out, err := c.Monitor(ctx, "info status")
	must(t, err)
	if want := "VM status: paused (prelaunch)\r\n"; out != want {
		t.Errorf("info status: %q, want %q", out, want)
	}
	if out, err = c.Monitor(ctx, "no-such-command"); err != nil || out == "" {
		t.Errorf("unknown command: %q, %v", out, err)
	}
	for _, cmd := range []string{"", "c", " cont"} {
		if _, err := c.Monitor(ctx, cmd); err == nil {
			t.Errorf("monitor %q was accepted", cmd)
		}
	}
}

func kill(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	must(t, c.Continue(ctx))
	must(t, c.Kill(ctx)) // interrupts first
	if _, err := c.Threads(ctx); !errors.Is(err, rsp.ErrClosed) {
		t.Errorf("threads after kill: %v", err)
	}
}

func detach(t *testing.T, ctx context.Context, c *rsp.Client) {
	shakeHands(t, ctx, c)
	must(t, c.SetPhysicalMemory(ctx, true))
	must(t, c.Detach(ctx))
	if err := c.Continue(ctx); !errors.Is(err, rsp.ErrClosed) {
		t.Errorf("continue after detach: %v", err)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
