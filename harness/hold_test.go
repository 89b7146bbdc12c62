package harness

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"kcatch/gdb/rsp"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestHold: an oops is held where it begins, with the stack whole and the core written. The stub takes the next debugger, whom no
// breakpoint of ours stops: panic() is passed on the way on.
func TestHold(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append = "kcatch_fault=late-bug"
	called := 0
	mine := errors.New("mine")
	p.Hold = &Hold{Over: func(ctx context.Context, h Held) error {
		called++
		if r := h.Result; r.Class != verdict.Bug || r.CPUs[0].Frames[0].Function != "oops_begin" || !h.Placed || uint64(r.Kernel.KASLRSlide) != h.Slide {
			t.Errorf("%s, slide 0x%x: %s", r.Class, h.Slide, r.Summary)
		}
		for _, file := range []string{h.Core, h.Result.Artifacts.Result} {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
		conn, err := net.Dial("unix", h.Socket)
		if err != nil {
			return err
		}
		stub := rsp.New(conn, rsp.Options{})
		defer stub.Close()
		if err := stub.Handshake(ctx); err != nil {
			return err
		}
		regs, err := stub.Registers(ctx, rsp.Thread{PID: 1, TID: 1})
		if err != nil || regs.RIP != uint64(h.Result.CPUs[0].Frames[0].PC) {
			t.Errorf("the machine is at 0x%x: %v", regs.RIP, err)
		}
		if err := stub.Continue(ctx); err != nil {
			return err
		}
		select {
		case s := <-stub.Stops():
			t.Errorf("stopped again: %v", s)
		case <-time.After(300 * time.Millisecond):
		}
		select {
		case <-h.Exited:
			t.Error("QEMU has ended")
		default:
		}
		return mine
	}}
	r, err := Boot(context.Background(), p, Progress{})
	if !errors.Is(err, mine) || called != 1 || r.Verdict != verdict.Bad {
		t.Errorf("%v after %d calls: %s", err, called, r.Summary)
	}
}
