package autopsy

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// leaving are the functions of the kernel's way to a reset, a power-off or a halt (kernel/reboot.c, arch/x86/kernel/reboot.c,
// arch/x86/kernel/process.c).
var leaving = map[verdict.Class][]string{
	verdict.Reset: {"native_machine_emergency_restart", "native_machine_restart", "machine_restart", "kernel_restart",
		"emergency_restart", "machine_real_restart", "__machine_emergency_restart", "machine_emergency_restart", "acpi_reboot"},
	verdict.Shutdown: {"native_machine_power_off", "machine_power_off", "kernel_power_off", "do_kernel_power_off",
		"native_machine_halt", "machine_halt", "kernel_halt"},
}

// askedFor is the finding for a vCPU that is on the kernel's way out of the machine: class says which way, and the cause
// is who asked.
func askedFor(c *Chain, class verdict.Class, what string) *Finding {
	for i := len(c.Frames) - 1; i >= 0; i-- {
		if listed(c.Frames[i].Function, leaving[class]) {
			f := &Finding{Class: class, CPU: c.CPU, Frame: beyond(c, i, leaving[class]), What: what}
			f.What += ", asked by " + place(&c.Frames[f.Frame])
			return f
		}
	}
	return nil
}

// reset: the kernel asked for it by its reboot path, or wrote to a device that resets the machine, which a watchdog is too.
func reset(e *Evidence) *Finding {
	if e.Stop.Kind != watch.Shutdown {
		return nil
	}
	for i := range e.Chains {
		if f := askedFor(&e.Chains[i], verdict.Reset, "the kernel reset the machine"); f != nil {
			return f
		}
	}
	if e.Exceptions == nil || !e.Exceptions.Whole || e.Exceptions.TripleFault || e.Stop.Reason != "guest-reset" || len(e.Chains) == 0 {
		return nil
	}
	// The instruction that did it is behind the vCPU by a few, which may be in the delay that the kernel gives the device.
	c := writer(e.Chains)
	if c == nil {
		return &Finding{Class: verdict.Reset, Frame: -1, What: "a device reset the machine",
			Notes: []string{"QEMU logged no triple fault; of several vCPUs that ran it is not known which one wrote to the device"}}
	}
	f := &Finding{Class: verdict.Reset, CPU: c.CPU, Frame: first(c, waiting), What: "a device reset the machine",
		Notes: []string{"QEMU logged no triple fault, and no vCPU is on the kernel's own way to a reset: it was a write to a port (0x64, 0xcf9), or a watchdog"}}
	if f.Frame >= 0 {
		f.What += ", at " + place(&c.Frames[f.Frame])
	}
	return f
}

// writer is the chain of the vCPU that reset the machine by a device: the only one that is not idle, or of several the only one that waits
// for the device; the others go on for a moment. It is nil when that does not tell.
func writer(chains []Chain) *Chain {
	var busy, waits []*Chain
	for i := range chains {
		c := &chains[i]
		if c.Halted || c.idle(0) >= 0 {
			continue
		}
		busy = append(busy, c)
		if len(c.Frames) > 0 && listed(c.Frames[0].Function, waiting) {
			waits = append(waits, c)
		}
	}
	for _, only := range [][]*Chain{busy, waits} {
		if len(only) == 1 {
			return only[0]
		}
	}
	if len(chains) == 1 {
		return &chains[0]
	}
	return nil
}

// tripleFault: the machine was reset and no vCPU is on a reboot path: an exception could not be delivered. The vCPU that
// could deliver none is the one; where all could, one that was not halted.
func tripleFault(e *Evidence) *Finding {
	if e.Stop.Kind != watch.Shutdown || e.Stop.Reason != "guest-reset" || len(e.Chains) == 0 {
		return nil
	}
	c := &e.Chains[0]
	for _, is := range []func(*Chain) bool{
		func(c *Chain) bool { return c.Undeliverable != "" },
		func(c *Chain) bool { return !c.Halted },
	} {
		if i := slices.IndexFunc(e.Chains, func(c Chain) bool { return is(&c) }); i >= 0 {
			c = &e.Chains[i]
			break
		}
	}
	f := &Finding{Class: verdict.TripleFault, CPU: c.CPU, Frame: first(c, nil)}
	where := fmt.Sprintf("0x%x", c.Regs.LinearPC())
	if len(c.Frames) > 1 && c.Frames[0].Function == "" { // no code: a jump through a bad pointer
		f.Frame = 1
		where += ", which is no code, after a jump from " + place(&c.Frames[1])
	} else if f.Frame >= 0 {
		where = place(&c.Frames[f.Frame])
	}
	f.What = "the machine reset itself at " + where
	if t, became := undelivered(e.Exceptions, c); t != nil {
		f.Trap = t
		f.What = t.Vector.String() + " could not be delivered at " + where
		f.Notes = append(f.Notes, "by QEMU's log of exceptions: "+became)
		if f.Frame >= 0 {
			c.Frames[0].Exception = t.exception()
		}
	}
	if c.Undeliverable != "" {
		f.Notes = append(f.Notes, "the vCPU could take no exception: "+c.Undeliverable)
	}
	return f
}

// undelivered is the exception that became the triple fault of chain c, and what became of it in words: the log's last
// exceptions are all at the pc where the vCPU was frozen.
func undelivered(log *machine.ExceptionLog, c *Chain) (*Trap, string) {
	if log == nil || !log.TripleFault {
		return nil, ""
	}
	var at []machine.Exception
	for _, e := range slices.Backward(log.Last) {
		if e.PC != c.Regs.LinearPC() {
			break
		}
		at = append(at, e)
		// Exceptions while delivering one are #DF at the latest at the second; more are earlier, delivered ones.
		if len(at) > 1 && !contributory(e.Vector) {
			break
		}
	}
	if len(at) == 0 {
		return nil, ""
	}
	slices.Reverse(at)
	var words []string
	for _, e := range at {
		w := amd64.Vector(e.Vector).String()
		if e.Vector == int(amd64.PageFault) {
			w += fmt.Sprintf(" (at 0x%x)", e.CR2)
		}
		words = append(words, w)
	}
	e := at[0]
	t := &Trap{WildPC: len(c.Frames) > 0 && c.Frames[0].Function == "", Vector: amd64.Vector(e.Vector), Known: true, ErrorCode: e.ErrorCode, HasCode: amd64.Vector(e.Vector).HasErrorCode(), CR2: e.CR2, PC: c.Regs.RIP, Regs: c.Regs}
	return t, strings.Join(append(words, "triple fault"), ", then ")
}

// contributory: exceptions that, while another is delivered, make a double or triple fault of it (SDM vol. 3A, table 6-5).
func contributory(vector int) bool {
	return vector == 0 || vector == 8 || vector >= 10 && vector <= 14
}

// shutdown: the guest powered off or halted, or panicked in a way that QEMU saw (pvpanic), before it had reached what was
// asked.
func shutdown(e *Evidence) *Finding {
	what := "the guest was shutting down" // it is not down: a core that was written on the way, or the time was up
	switch e.Stop.Kind {
	case watch.Dead:
		what = "the kernel halted the machine"
	case watch.Shutdown, watch.Panicked:
		what = e.Stop.String()
	}
	for i := range e.Chains {
		if f := askedFor(&e.Chains[i], verdict.Shutdown, what); f != nil {
			return f
		}
	}
	switch e.Stop.Kind {
	case watch.Panicked:
		return &Finding{Class: verdict.Panic, Frame: -1, What: what}
	case watch.Shutdown:
		return &Finding{Class: verdict.Shutdown, Frame: -1, What: what}
	}
	return nil
}
