package watch

import (
	"context"
	"fmt"
	"time"

	"kcatch/gdb/rsp"
	"kcatch/internal/blame"
)

// standStill stops the machine, unless it already stands.
func (w *watch) standStill(ctx context.Context, kind Kind) error {
	if !w.in.Stub.Running() {
		select {
		case s, ok := <-w.in.Stub.Stops():
			return w.lastWrite(ctx, s, ok)
		default:
			return nil
		}
	}
	if w.event != nil { // frozen by QEMU; its stop reply is on the way
		select {
		case s, ok := <-w.in.Stub.Stops():
			return w.lastWrite(ctx, s, ok)
		case <-time.After(stopGrace):
		}
	}
	if w.asleep() {
		_, err := w.in.Stub.Stood(ctx)
		if err != nil {
			return lost(err)
		}
		w.stands()
		return nil
	}
	if err := w.interrupt(ctx); err != nil {
		return err
	}
	if kind == Stuck || kind == TimedOut {
		return w.settle(ctx)
	}
	return nil
}

// lastWrite takes a stop that came while the boot was judged to be over: a write counts like those before it, and its value is in
// the memory that is looked at now.
func (w *watch) lastWrite(ctx context.Context, s rsp.Stop, ok bool) error {
	if !ok || s.Reason() != rsp.ReasonWatch {
		return nil
	}
	if _, read := w.anchorRead(s); read {
		return nil
	}
	return w.written(ctx, s)
}

// typicalTries bounds how often a hung machine is stopped until it stands where it mostly is.
const typicalTries = 20

// freeze takes note of a stop that QEMU made. The QMP event says why, but for an internal error, which has none.
func (w *watch) freeze(s rsp.Stop) error {
	if s.Reason() == rsp.ReasonInternalError {
		return &blame.Error{Kind: blame.Infrastructure, Msg: "watch: " + ErrInternal.Error(), Err: ErrInternal}
	}
	w.frozen, w.frozenAt = s, time.Now()
	return nil
}

// settle lets a hung machine go on until it does not stand in one of the interrupts that it takes, whose handler is not
// what hangs. After so many tries it is taken as it stands.
func (w *watch) settle(ctx context.Context) error {
	for range typicalTries {
		cpus, err := w.in.Machine.CPUs(ctx)
		if err != nil {
			return lost(err)
		}
		if w.since.typical(cpus) {
			return nil
		}
		if err := w.resume(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tick):
		}
		if err := w.interrupt(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) gone() bool {
	select {
	case <-w.in.Machine.Exited():
		return true
	case <-time.After(stopGrace / 4):
		return false
	}
}

// standing looks at a machine that does not run and for which nothing has ended the watch: the reason is on its way, or
// there is none. Then it is no hang of the kernel's: the stub talks nonsense, or somebody else has stopped the machine.
func (w *watch) standing(now time.Time) error {
	if err := w.in.Stub.RunError(); err != nil {
		if w.gone() {
			return w.in.Machine.ExitError()
		}
		return lost(err)
	}
	if w.event == nil && !w.frozenAt.IsZero() && now.Sub(w.frozenAt) >= eventGrace {
		return blame.New(blame.Infrastructure, fmt.Sprintf("watch: QEMU has stopped the machine and does not say why (gdb stub: %s)", w.frozen.Reason()), "")
	}
	return nil
}

// connectionLost is the error for a peer that hung up: QEMU's own if it ended, else the socket's.
func (w *watch) connectionLost(to string) error {
	if w.gone() {
		return w.in.Machine.ExitError()
	}
	return blame.New(blame.Infrastructure, "watch: the connection to QEMU ("+to+") was lost while QEMU runs", "")
}
