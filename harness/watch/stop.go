package watch

import (
	"fmt"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
)

// Kind is how the watch ended. The zero value is invalid.
type Kind int

// The ends of a watch.
const (
	Reached  Kind = iota + 1 // what --until names was reached
	Dead                     // every vCPU in the kernel is halted with interrupts off
	Shutdown                 // the guest reset or powered off; the machine is frozen as it was
	Panicked                 // QEMU was told of a panic (pvpanic)
	Stuck                    // no progress for long enough to say so
	TimedOut                 // the time for one boot is over
	Held                     // stopped at the first oops or panic, for somebody to look at; no watch ends so by itself
	Saved                    // a core's machine: how it came to stand is not known; no watch ends so
)

// Stop is the end of a watch. The machine stands still.
type Stop struct {
	Kind      Kind
	Reason    string        // QMP's reason of a shutdown: guest-reset, guest-shutdown…
	After     time.Duration // since the machine was let go
	Quiet     time.Duration // how long there had been no progress
	Placement *guest.Placement
	CPUs      []machine.CPUState // as they stand
	Hits      []Hit
	Marks     []verdict.Mark
	Marker    bool // our init's marker was seen
	Asleep    bool // the guest is suspended to RAM
	Until     string
	Limit     time.Duration // of the whole boot
	Pace      Pace          // what was seen since the last sign of progress
}

// Hit is a breakpoint that was passed: the vCPU's registers at the entry of Symbol.
type Hit struct {
	Symbol string
	CPU    int
	Regs   amd64.Registers
	After  time.Duration
}

// String is the stop in words.
func (s Stop) String() string {
	switch s.Kind {
	case Reached:
		return "reached what was asked for"
	case Dead:
		if s.Reason != "" {
			return s.Reason
		}
		return "halted with interrupts off"
	case Shutdown:
		return "the guest shut down (" + s.Reason + ")"
	case Panicked:
		return "the guest reported a panic"
	case Stuck:
		return fmt.Sprintf("no progress for %.0f s", s.Quiet.Seconds())
	case TimedOut:
		if s.Marker {
			return fmt.Sprintf("init ran, and what it runs had not ended after %s", s.Limit)
		}
		return fmt.Sprintf("%s was not reached in %s", s.Until, s.Limit)
	case Held:
		return "stopped at its first death"
	case Saved:
		return "as it was when the core was written"
	}
	return "invalid"
}
