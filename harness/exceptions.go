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

// endExceptionLog ends the log when a vCPU is seen in the kernel with interrupts on, because from then on every tick is in
// it, with 22 lines; or when it grows too large.
func (b *boot) endExceptionLog(ctx context.Context, cpus []machine.CPUState) (ended bool) {
	if b.intLog == "" {
		return true
	}
	on := slices.ContainsFunc(cpus, func(c machine.CPUState) bool { return c.InterruptsOn() && c.RIP >= guest.StartKernelMap })
	if st, err := os.Stat(b.intLog); !on && (err != nil || st.Size() < maxExceptionLog) {
		return false
	}
	_, _ = b.machine.Monitor(ctx, "log none") // a QEMU that does not answer shows elsewhere
	return true
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

// exceptions reads the log; nil when there is none, or when it ended before the death.
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
	return &log
}
