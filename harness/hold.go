package harness

import (
	"context"
	"errors"
	"time"

	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Hold asks for the machine itself, as it stands when there is a result; see [Plan.Hold]. A boot that is held ends at its first
// oops or panic, while the stacks are whole, and not when the kernel has come to rest after it.
type Hold struct {
	// Core says that a core is wanted of a boot that is not bad, too.
	Core bool
	// Reverse says that the machine is to be one that goes backward: the boot is recorded (TCG, one vCPU), and what is handed over plays
	// it again.
	Reverse bool
	// Over is called once, after the artifacts are written. QEMU ends when it returns; its error is the boot's.
	Over func(ctx context.Context, h Held) error
}

// Held is a machine that stands, and nobody at its GDB stub.
type Held struct {
	Result *verdict.Result
	// Socket is QEMU's GDB stub, or what stands before it, see Hold.Reverse; a Unix socket that takes one debugger at a time. No breakpoint is set.
	Socket string
	// Vmlinux is empty when there is none. Slide is what its addresses are off by, when Placed says that the kernel was found.
	Vmlinux string
	Slide   uint64
	Placed  bool
	Core    string // empty when none was written
	Dir     string // the artifacts'
	// Exited is closed when QEMU has ended: a debugger may kill it.
	Exited <-chan struct{}
}

// ErrHold ends the watch, with the machine where it stands, when an [Observer]'s Passed returns it. It counts as the boot having
// reached what it was to reach.
var ErrHold = errors.New("hold the machine here")

// errDeath ends the watch of a boot that is held at its first oops or panic. It does not leave this package.
var errDeath = errors.New("the first death of a boot that is held")

// heldAt is the end of a watch that one of the two errors ended; err is any other.
func (b *boot) heldAt(ctx context.Context, err error, began time.Time) (watch.Stop, error) {
	stop := watch.Stop{After: time.Since(began), Placement: b.place, Until: b.plan.Until, Limit: b.plan.Timeout, Pace: watch.Pace{Ticks: -1}}
	switch {
	case errors.Is(err, errDeath):
		stop.Kind = watch.Held
	case errors.Is(err, ErrHold):
		stop.Kind = watch.Reached
	default:
		return watch.Stop{}, err
	}
	cpus, err := b.machine.CPUs(ctx)
	stop.CPUs = cpus
	return stop, err
}

// handOver gives the machine to who asked for it.
func (b *boot) handOver(ctx context.Context, r *verdict.Result, scene *autopsy.Scene) error {
	if b.plan.Hold.Core && r.Artifacts.VMCore == "" {
		if err := b.saveCore(scene, false); err != nil {
			return err
		}
		r.Artifacts.VMCore = b.artifacts.path(coreName)
	}
	if err := b.stub.Clear(ctx); err != nil {
		return b.ended(unheard("hold", err))
	}
	_ = b.stub.Close() // the machine goes on standing
	if b.intLog != "" {
		_, _ = b.machine.Monitor(ctx, "log none") // it would have each tick of a machine that a debugger lets go
	}
	h := Held{Result: r, Socket: b.machine.GDBPath(), Vmlinux: b.plan.Vmlinux, Core: r.Artifacts.VMCore, Dir: b.artifacts.dir, Exited: b.machine.Exited()}
	if b.place != nil {
		h.Slide, h.Placed = b.place.Slide, true
	}
	if b.plan.Hold.Reverse {
		return b.handOverReverse(ctx, h)
	}
	return b.plan.Hold.Over(ctx, h)
}
