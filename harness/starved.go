package harness

import (
	"errors"
	"strings"

	"kcatch/harness/machine"
	"kcatch/harness/verdict"
)

// errStarved ends a boot whose death may be the host's doing, so that it is tried once more. It does not leave this package.
var errStarved = errors.New("the guest's clock ran ahead of it")

// starvedPanic begins the panic of check_timer() (arch/x86/kernel/apic/io_apic.c): the kernel waits ten ticks of the timer by
// the clock, and gives up when it has seen fewer than four. Under TCG the clock is the host's, so that a guest which gets no CPU
// time for 40 ms sees none: once in 75 boots at a load of 11 on two cores. A machine without a timer gives it each time.
const starvedPanic = "IO-APIC + timer doesn't work!"

// starved reports whether a death is one that a good kernel dies on a host that is too busy.
func (b *boot) starved(r *verdict.Result) bool {
	return b.accel == machine.TCG && r.Class == verdict.Panic && strings.Contains(r.Summary, starvedPanic)
}

// starvedNote says in the second result what the first was.
const starvedNote = "this is the second boot: the first ended in the panic \"" + starvedPanic + "\", which a good kernel dies of on a host that is too busy"
