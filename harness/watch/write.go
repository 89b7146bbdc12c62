package watch

import (
	"context"
	"slices"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/rsp"
)

// Write is a write to watched memory. The vCPU stands after the instruction that wrote, or on it for a repeated string
// instruction that has more to do (QEMU's target/i386: each round of it is an instruction of its own); memory has the new value.
type Write struct {
	Addr  uint64 // of the watchpoint, as it was inserted
	CPU   int
	Regs  amd64.Registers
	After time.Duration
}

// Next is what becomes of a watchpoint after a write, or of a breakpoint of Input.Breaks after a hit.
type Next int

// The zero value leaves it where it is.
const (
	Keep  Next = iota
	Rest       // it is taken out, and put in again after a while: see [rest]
	Drop       // it is taken out
	Moved      // Input.Rewatch has other watchpoints from now on
)

// rest is how long a watchpoint or breakpoint rests. A write that the guest's timer interrupt makes each time would leave it no time for
// anything else: under icount each stop takes it to its next tick (harness/whowrote.go, tries).
const rest = 20 * time.Millisecond

type resting struct {
	point rsp.Breakpoint
	until time.Time
}

// written hands a stop at a write watchpoint on, and takes the watchpoint out when that was enough. The caller resumes. It is no
// sign of progress: a kernel that hangs counts its ticks, too.
func (w *watch) written(ctx context.Context, s rsp.Stop) error {
	regs, err := w.in.Stub.Registers(ctx, s.Thread)
	if err != nil {
		return lost(err)
	}
	w.locate()
	if w.in.Written == nil {
		return nil
	}
	next, err := w.in.Written(ctx, Write{Addr: s.Watch.Addr, CPU: s.Thread.CPU(), Regs: regs, After: time.Since(w.start)})
	if err != nil || next == Keep {
		return err
	}
	if next == Moved {
		return w.rewatch(ctx)
	}
	i := slices.IndexFunc(w.in.Watched, func(b rsp.Breakpoint) bool { return b.Addr == s.Watch.Addr })
	if i < 0 {
		return nil
	}
	point := w.in.Watched[i]
	if err := w.in.Stub.Remove(ctx, point); err != nil {
		return lost(err)
	}
	w.in.Watched = slices.Delete(slices.Clone(w.in.Watched), i, i+1)
	if next == Rest {
		w.resting = append(w.resting, resting{point, time.Now().Add(rest)})
	}
	return nil
}

// rewatch takes out the watchpoints that Input.Rewatch has no more, and puts in those that are new.
func (w *watch) rewatch(ctx context.Context) error {
	all := w.in.Rewatch()
	for _, b := range w.in.Watched {
		if !slices.Contains(all, b) {
			if err := w.in.Stub.Remove(ctx, b); err != nil {
				return lost(err)
			}
		}
	}
	w.resting = slices.DeleteFunc(w.resting, func(r resting) bool { return r.point.Kind != rsp.Hardware })
	for _, b := range all {
		if !slices.Contains(w.in.Watched, b) {
			if err := w.in.Stub.Insert(ctx, b); err != nil {
				return lost(err)
			}
		}
	}
	w.in.Watched = all
	return nil
}

func breakAt(addr uint64) rsp.Breakpoint {
	return rsp.Breakpoint{Kind: rsp.Hardware, Addr: addr, Len: 1}
}

// broken tells of a stop at one of Input.Breaks.
func (w *watch) broken(ctx context.Context, cpu int, regs amd64.Registers) error {
	i := slices.Index(w.in.Breaks, regs.RIP)
	if i < 0 || w.in.Broken == nil {
		return nil
	}
	next := w.in.Broken(cpu, regs)
	if next == Keep {
		return nil
	}
	point := breakAt(regs.RIP)
	if err := w.in.Stub.Remove(ctx, point); err != nil {
		return lost(err)
	}
	w.in.Breaks = slices.Delete(slices.Clone(w.in.Breaks), i, i+1)
	if next == Rest {
		w.resting = append(w.resting, resting{point, time.Now().Add(rest)})
	}
	return nil
}

// rearm puts the watchpoints and breakpoints in again that have rested. They rest in the order of their times.
func (w *watch) rearm(ctx context.Context, now time.Time) error {
	if len(w.resting) == 0 || now.Before(w.resting[0].until) {
		return nil
	}
	if err := w.interrupt(ctx); err != nil {
		return err
	}
	for len(w.resting) > 0 && !now.Before(w.resting[0].until) {
		point := w.resting[0].point
		if err := w.in.Stub.Insert(ctx, point); err != nil {
			return lost(err)
		}
		w.resting = w.resting[1:]
		if point.Kind == rsp.Hardware {
			w.in.Breaks = append(w.in.Breaks, point.Addr)
			continue
		}
		w.in.Watched = append(w.in.Watched, point)
		if w.in.Rearmed != nil {
			w.in.Rearmed(point.Addr)
		}
	}
	return w.resume(ctx)
}

// interrupt stops the machine.
func (w *watch) interrupt(ctx context.Context) error {
	s, err := w.in.Stub.Interrupt(ctx)
	if err != nil {
		return lost(err)
	}
	w.stands()
	return w.besides(ctx, s)
}

// besides takes a stop that may be another than the one that was asked for, by an interrupt or a step: a write counts like any other,
// and so does a reset that QEMU froze.
func (w *watch) besides(ctx context.Context, s rsp.Stop) error {
	if slide, ok := w.anchorRead(s); ok {
		return w.anchored(ctx, slide)
	}
	switch s.Reason() {
	case rsp.ReasonWatch:
		return w.written(ctx, s)
	case rsp.ReasonShutdown, rsp.ReasonInternalError:
		return w.freeze(s)
	}
	return nil
}
