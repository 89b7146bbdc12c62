package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/rsp"
)

// froze is a stub whose machine QEMU has stopped in the moment in which it is interrupted.
type froze struct{ signal int }

func (s froze) Insert(context.Context, rsp.Breakpoint) error { return nil }
func (s froze) Remove(context.Context, rsp.Breakpoint) error { return nil }
func (s froze) Continue(context.Context) error {
	return fmt.Errorf("continue: %w", rsp.ErrNeedsReset)
}
func (s froze) Interrupt(context.Context) (rsp.Stop, error) { return rsp.Stop{Signal: s.signal}, nil }
func (s froze) Stood(context.Context) (rsp.Stop, error)     { return rsp.Stop{Signal: s.signal}, nil }
func (s froze) StepOver(context.Context, rsp.Thread) (rsp.Stop, error) {
	return rsp.Stop{Signal: s.signal}, nil
}
func (s froze) Registers(context.Context, rsp.Thread) (amd64.Registers, error) {
	return amd64.Registers{}, nil
}
func (s froze) Stops() <-chan rsp.Stop { return nil }
func (s froze) Running() bool          { return false }
func (s froze) RunError() error        { return nil }

// TestFrozenWhileArmed: a guest that resets in the moment in which breakpoints are put in has reset, and QEMU answers; one that KVM
// could not run on has not.
func TestFrozenWhileArmed(t *testing.T) {
	arm := func(signal int) (*watch, error) {
		w := &watch{in: Input{Machine: still{}, Stub: froze{signal}}, points: []point{{symbol: "panic", link: 0xffffffff81000000}}, placement: &guest.Placement{}}
		return w, w.arm(t.Context())
	}
	if w, err := arm(0x03); err != nil || w.frozenAt.IsZero() || w.frozen.Reason() != rsp.ReasonShutdown {
		t.Errorf("a reset: frozen by %q, %v", w.frozen.Reason(), err)
	}
	if _, err := arm(0x06); !errors.Is(err, ErrInternal) {
		t.Errorf("an internal error: %v", err)
	}
	if _, err := arm(0x02); !errors.Is(err, rsp.ErrNeedsReset) {
		t.Errorf("a machine that does not go on, nobody knows why: %v", err)
	}
}

// TestFrozenByAStep: the instruction at a breakpoint is the one that resets the machine.
func TestFrozenByAStep(t *testing.T) {
	stop := func(signal int) (*watch, error) {
		w := &watch{in: Input{Machine: still{}, Stub: froze{signal}, Locate: func() *guest.Placement { return nil }}}
		return w, w.stopped(t.Context(), rsp.Stop{Signal: 0x05, Thread: rsp.Thread{TID: 1}})
	}
	if w, err := stop(0x03); err != nil || w.frozenAt.IsZero() || w.frozen.Reason() != rsp.ReasonShutdown {
		t.Errorf("a reset: frozen by %q, %v", w.frozen.Reason(), err)
	}
	if _, err := stop(0x06); !errors.Is(err, ErrInternal) {
		t.Errorf("an internal error: %v", err)
	}
}

// waiting is a stub whose machine has stopped by itself, and nobody has taken that yet.
type waiting struct {
	froze
	stops chan rsp.Stop
}

func (s waiting) Stops() <-chan rsp.Stop { return s.stops }

// TestTheLastWrite: a machine that stands at a write when the boot is judged to be over has written: the memory that is read
// then has the value.
func TestTheLastWrite(t *testing.T) {
	const at = 0xffff888000001000
	for _, tc := range []struct {
		name string
		stop rsp.Stop
		want int
	}{
		{"a write", rsp.Stop{Signal: 5, Watch: rsp.Watch{Kind: rsp.WriteWatch, Addr: at}}, 1},
		{"a breakpoint", rsp.Stop{Signal: 5}, 0},
	} {
		var written []uint64
		stub := waiting{stops: make(chan rsp.Stop, 1)}
		w := &watch{in: Input{Machine: still{}, Stub: stub, Locate: func() *guest.Placement { return nil },
			Written: func(_ context.Context, w Write) (Next, error) { written = append(written, w.Addr); return Keep, nil }}}
		stub.stops <- tc.stop
		if err := w.standStill(t.Context(), Reached); err != nil || len(written) != tc.want {
			t.Errorf("%s: written %x, %v; want %d", tc.name, written, err, tc.want)
		}
		if err := w.standStill(t.Context(), Reached); err != nil || len(written) != tc.want {
			t.Errorf("%s, once more: written %x, %v; want %d", tc.name, written, err, tc.want)
		}
	}
}
