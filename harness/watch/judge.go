package watch

import (
	"time"

	"kcatch/harness/machine"
)

// verdictOf is one way in which a boot ends. It looks at what was seen and says whether it is over.
type verdictOf func(w *watch, now time.Time) (Stop, bool)

// judges are asked in this order after every sample; the first that is sure ends the watch.
var judges = []verdictOf{reached, shutDown, dead, panicOver, stuck, timedOut}

func (w *watch) judge(now time.Time) (Stop, bool) {
	for _, j := range judges {
		if stop, over := j(w, now); over {
			return stop, true
		}
	}
	return Stop{}, false
}

// reached: what --until names was seen.
func reached(w *watch, now time.Time) (Stop, bool) {
	switch w.in.Until {
	case "init":
		return Stop{Kind: Reached}, w.initReached(now) && !w.in.Linger
	case "console":
		return Stop{Kind: Reached}, w.bytes > 0 && w.placement != nil || w.bytes > 0 && w.in.Symbols == nil
	}
	return Stop{Kind: Reached}, w.reached
}

// initReached: our init printed its marker, or, with another init, the kernel said that it runs init, and it did not die of
// that within a while, which is shorter when a vCPU was seen in ring 3.
func (w *watch) initReached(now time.Time) bool {
	if w.in.Marker != "" {
		return w.marker
	}
	return !w.initAt.IsZero() && w.panicAt.IsZero() && w.panicHit.IsZero() && (!w.userAt.IsZero() && now.Sub(w.userAt) >= userGrace || now.Sub(w.initAt) > initGrace)
}

// shutDown: QEMU froze the machine because the guest reset, powered off or reported a panic. After our init has said
// that it ran, a shutdown is what was asked for, unless a panic came first: with panic=-1 it resets the machine before
// panicOver has looked.
func shutDown(w *watch, _ time.Time) (Stop, bool) {
	switch {
	case w.event == nil:
		return Stop{}, false
	case w.event.Name == "GUEST_PANICKED":
		return Stop{Kind: Panicked}, true
	case w.in.Until == "init" && w.initNow() && w.panicAt.IsZero() && w.panicHit.IsZero():
		return Stop{Kind: Reached, Reason: w.event.Reason}, true
	}
	return Stop{Kind: Shutdown, Reason: w.event.Reason}, true
}

// initNow looks once more: the last words of init may have come with the last bytes before the shutdown. Those on the serial line may
// wait to be read, and a kernel without /dev/kmsg has them nowhere else.
func (w *watch) initNow() bool {
	w.readConsole()
	w.logHead = ^uint64(0)
	w.readLog()
	if w.in.Marker == "" {
		return !w.initAt.IsZero()
	}
	if !w.marker && (w.placement != nil || w.in.Symbols == nil) { // else the kernel was not even there
		time.Sleep(gulp)
		w.readConsole()
	}
	return w.marker
}

// deadPolls is how many samples in a row must agree that nothing can wake the kernel again.
const deadPolls = 3

// dead: every vCPU that is in the kernel is halted with interrupts off.
func dead(w *watch, _ time.Time) (Stop, bool) { return Stop{Kind: Dead}, w.deadFor >= deadPolls }

// firmwareEnd is where firmware, real-mode setup and AP trampolines end. A vCPU halted below it is parked, not dead.
const firmwareEnd = 1 << 20

// allHaltedForGood reports whether at least one vCPU runs the kernel (or its decompressor) and all that do are halted
// with interrupts off: only an NMI could wake them.
func allHaltedForGood(cpus []machine.CPUState) bool {
	any := false
	for _, c := range cpus {
		if pc := c.PC(); pc < firmwareEnd && (pc < machine.SetupStart || pc >= machine.SetupEnd) {
			if c.Index == 0 {
				return false // the boot processor is still in the firmware
			}
			continue
		}
		if !c.Halted || c.InterruptsOn() {
			return false
		}
		any = true
	}
	return any
}

// panicOver: panic() has printed its text, and has had time to print the rest. It loops, reboots or waits from here on;
// none of that is waited for.
func panicOver(w *watch, now time.Time) (Stop, bool) {
	said := !w.panicAt.IsZero() && now.Sub(w.panicAt) >= panicGrace
	mute := !w.panicHit.IsZero() && now.Sub(w.panicHit) >= mutePanic
	return Stop{Kind: Dead, Reason: "panic"}, said || mute
}

// stuck: no log record, no byte on the console, no breakpoint and no memory taken into use for Input.Quiet. A vCPU that
// executes must also have had the CPU time to get somewhere, because on a loaded host a slow boot is no hang; and it
// must have been seen in few places, because a kernel at silent work is none either. What keeps a kernel's own watchdogs
// reporting is no progress. User space may be silent for as long as it likes, but a vCPU that stays in the kernel with
// interrupts off is not it.
func stuck(w *watch, now time.Time) (Stop, bool) {
	quiet := now.Sub(w.since.at)
	if w.asleep() && quiet >= w.in.Quiet {
		return Stop{Kind: Stuck, Quiet: quiet}, true
	}
	if quiet < w.in.Quiet || w.marker && !w.in.Talks && !w.since.shut() {
		return Stop{}, false
	}
	if !idle(w.cpus) && (w.in.Machine.CPUTime()-w.since.cpu < w.in.Quiet/2 || !w.since.circles()) {
		return Stop{}, false
	}
	return Stop{Kind: Stuck, Quiet: quiet}, true
}

func idle(cpus []machine.CPUState) bool {
	for _, c := range cpus {
		if !c.Halted {
			return false
		}
	}
	return len(cpus) > 0
}

// timedOut: the time for one boot is over. A running kernel is then a hang of the kind its state tells.
func timedOut(w *watch, now time.Time) (Stop, bool) {
	return Stop{Kind: TimedOut, Quiet: now.Sub(w.since.at)}, now.Sub(w.start) >= w.in.Timeout
}
