package harness

import (
	"context"
	"os"
	"slices"

	"kcatch/gdb/guest"
	"kcatch/harness/machine"
)

// exceptionsName is QEMU's log of exceptions in the artifact directory.
const exceptionsName = "exceptions.log"

// exceptionLog decides where QEMU logs the exceptions of the early boot, which are few and the best witness of a death
// before there is a log in memory: the vector of each, and what became of one that could not be delivered. It is on until
// interrupts are: five to ten entries in a boot of 6.1. Empty where it would be in the user's way, or KVM's, which has none.
func (b *boot) exceptionLog() string {
	if b.accel == machine.KVM || slices.Contains(b.plan.QEMUArg, "-d") || slices.Contains(b.plan.QEMUArg, "-D") {
		return ""
	}
	b.intLog = b.artifacts.path(exceptionsName)
	return b.intLog
}

// maxExceptionLog bounds the log of a kernel that takes exceptions and does nothing else, in bytes.
const maxExceptionLog = 8 << 20

// endExceptionLog ends the log of exceptions when a vCPU is seen in the kernel with interrupts on, because from then on every tick
// is in it, with 22 lines. What stays is cpu_reset, which costs nothing: by it a triple fault is told from a reset by a device for
// as long as the guest runs. A log that grows too large is ended for good: a guest that resets its CPUs over and over fills it, too.
func (b *boot) endExceptionLog(ctx context.Context, cpus []machine.CPUState) (ended bool) {
	if b.intLog == "" || b.logCut {
		return true
	}
	if st, err := os.Stat(b.intLog); err == nil && st.Size() >= maxExceptionLog {
		b.logCut = true
		_, _ = b.machine.Monitor(ctx, "log none") // a QEMU that does not answer shows elsewhere
		return true
	}
	on := slices.ContainsFunc(cpus, func(c machine.CPUState) bool { return c.InterruptsOn() && c.RIP >= guest.StartKernelMap })
	if on && !b.logThin {
		b.logThin = true
		if _, err := b.machine.Monitor(ctx, "log cpu_reset"); err != nil {
			b.logCut = true
		}
	}
	return false
}

// exceptionsKept is how many of the log's exceptions the autopsy sees.
const exceptionsKept = 16

// exceptionsPath is where the log is, empty when there is none.
func (b *boot) exceptionsPath() string {
	if _, err := os.Stat(b.intLog); err != nil {
		return ""
	}
	return b.intLog
}

// exceptions reads the log; nil when there is none.
func (b *boot) exceptions() *machine.ExceptionLog {
	if b.intLog == "" {
		return nil
	}
	f, err := os.Open(b.intLog)
	if err != nil {
		return nil
	}
	defer f.Close()
	log, err := machine.ReadExceptions(f, exceptionsKept)
	if err != nil {
		return nil
	}
	log.Whole = log.Whole && !b.logCut
	return &log
}
