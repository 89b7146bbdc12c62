package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kcatch/gdb/rsp"
)

// probe is one run of the test guest under an accelerator.
type probe struct {
	qemu, accel, cpu string
	deadline         time.Duration // for all of it
}

// exitGrace is how long QEMU may take to be gone when its socket has closed, which it makes before it tries KVM.
const exitGrace = time.Second

// run lets the test guest run and says what went wrong; empty: it did all that kcatch asks of an accelerator. Four hardware
// breakpoints are inserted before its first instruction, each is hit in long mode, stepped over and taken out, and the guest
// runs to its end. round is the shortest time that one round of its work took. An error is one of ours, not of the accelerator.
func (p probe) run(ctx context.Context) (round time.Duration, trouble string, err error) {
	dir, err := makeRunDir(runBase())
	if err != nil {
		return 0, "", err
	}
	defer dir.remove()
	kernel := filepath.Join(dir.path, "guest")
	if err := os.WriteFile(kernel, testGuest(), 0o600); err != nil {
		return 0, "", infra("probe accelerator", err)
	}
	proc, err := startProcess(p.qemu, p.argv(dir.path, kernel))
	if err != nil {
		return 0, "", infra("probe accelerator: "+p.qemu, err)
	}
	defer proc.kill()
	within, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	round, gone, failed := p.play(within, proc, dir.path+"/g")
	if failed == nil {
		return round, "", nil
	}
	ended := gone || within.Err() == nil && !answered(failed) && proc.wait(exitGrace)
	switch line := firstComplaint(proc.out.String()); {
	case ctx.Err() != nil:
		return 0, "", fmt.Errorf("probe accelerator: %w", context.Cause(ctx))
	case ended && line != "":
		return 0, "a test guest did not start: " + line, nil
	case ended && proc.state.ExitCode() == testGuestExit:
		return 0, "a test guest ran through its breakpoints", nil
	case ended:
		return 0, "a test guest did not run: qemu ended with " + proc.state.String(), nil
	case within.Err() != nil:
		return 0, fmt.Sprintf("a test guest did not run in %s", p.deadline), nil
	}
	return 0, "a test guest failed: " + clean(failed.Error()), nil
}

// argv is the machine: bare, stopped before its first instruction.
func (p probe) argv(dir, kernel string) []string {
	return []string{p.qemu, "-machine", "q35", "-accel", p.accel, "-cpu", p.cpu, "-m", "32M",
		"-nodefaults", "-no-user-config", "-display", "none", "-net", "none", "-no-reboot",
		"-kernel", kernel, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-chardev", "socket,id=gdb0,path=" + comma(dir+"/g") + ",server=on,wait=off", "-gdb", "chardev:gdb0", "-S"}
}

// play takes the guest from mark to mark and to its end. gone says that QEMU had ended by then: of itself, for what we hang up
// on may end, too.
func (p probe) play(ctx context.Context, proc *process, socket string) (round time.Duration, gone bool, err error) {
	conn, err := dialProcess(ctx, proc, socket)
	if err != nil {
		return 0, proc.exited(), err
	}
	stub := rsp.New(conn, rsp.Options{Timeout: p.deadline, KVM: p.accel == KVM.String()})
	defer stub.Close()
	round, err = marks(ctx, proc, stub)
	return round, proc.exited(), err
}

// marks is what play does once it is connected.
func marks(ctx context.Context, proc *process, stub *rsp.Client) (round time.Duration, err error) {
	if err := stub.Handshake(ctx); err != nil {
		return 0, err
	}
	for _, at := range testGuestMarks {
		if err := stub.Insert(ctx, mark(at)); err != nil {
			return 0, err
		}
	}
	for i, at := range testGuestMarks {
		took, err := reach(ctx, stub, at)
		if err != nil {
			return 0, err
		}
		if i > 0 && (round == 0 || took < round) {
			round = took
		}
		if i == len(testGuestMarks)-1 {
			break // the last one lies behind the rounds
		}
		if err := enter(ctx, stub); err != nil {
			return 0, err
		}
	}
	for _, at := range testGuestMarks {
		if err := stub.Remove(ctx, mark(at)); err != nil {
			return 0, err
		}
	}
	if err := stub.Continue(ctx); err != nil {
		return 0, err
	}
	// The marks are passed once more, and must not be hit.
	if s, err := stub.Wait(ctx); err == nil && s.Reason() != rsp.ReasonExited {
		return 0, astray("it stopped where a breakpoint was taken out (%s)", s.Reason())
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if proc.state.ExitCode() != testGuestExit {
		return 0, rsp.ErrClosed
	}
	return round, nil
}

// astrayError is what the test guest did that it should not.
type astrayError string

func (e astrayError) Error() string { return string(e) }

func astray(format string, args ...any) error { return astrayError(fmt.Sprintf(format, args...)) }

// answered reports that QEMU was there to say or do what is wrong.
func answered(err error) bool {
	var refused *rsp.StubError
	var guest astrayError
	return errors.As(err, &refused) || errors.As(err, &guest)
}

func mark(at uint64) rsp.Breakpoint { return rsp.Breakpoint{Kind: rsp.Hardware, Addr: at} }

// firstThread is the test guest's only vCPU.
var firstThread = rsp.Thread{TID: 1}

// reach lets the guest go on to a mark, and says how long that took.
func reach(ctx context.Context, stub *rsp.Client, at uint64) (time.Duration, error) {
	begin := time.Now()
	if err := stub.Continue(ctx); err != nil {
		return 0, err
	}
	s, err := stub.Wait(ctx)
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	switch s.Reason() {
	case rsp.ReasonBreak:
		return took, stands(ctx, stub, at)
	case rsp.ReasonExited:
		return 0, rsp.ErrClosed // its exit status says more
	}
	return 0, astray("it stopped for another reason than its breakpoint (%s)", s.Reason())
}

// enter steps from a mark into the work. A step may end before the instruction, when QEMU had an interrupt to look after.
func enter(ctx context.Context, stub *rsp.Client) error {
	var err error
	for range 4 {
		if _, err = stub.StepOver(ctx, firstThread); err != nil {
			return err
		}
		if err = stands(ctx, stub, testGuestWork); err == nil {
			return nil
		}
	}
	return err
}

func stands(ctx context.Context, stub *rsp.Client, at uint64) error {
	regs, err := stub.Registers(ctx, firstThread)
	if err != nil {
		return err
	}
	if regs.RIP != at || !regs.Long() {
		return astray("it stopped at 0x%x, not at 0x%x", regs.RIP, at)
	}
	return nil
}
