package autopsy

import (
	"fmt"
	"slices"

	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// hang: nothing ended the boot; it does not go on.
func hang(e *Evidence) *Finding {
	if len(e.Chains) == 0 {
		return nil
	}
	if e.Stop.Asleep {
		return asleep(e)
	}
	pick, kind := firstOf(e.Chains), verdict.Idle
	for i := range e.Chains {
		c := &e.Chains[i]
		if c.has(putAway...) { // it waits for nothing, and nobody waits for it
			continue
		}
		k := hangKind(c, e.Stop.Pace)
		if rank(k) > rank(kind) || rank(k) == rank(kind) && k != verdict.Idle && irqsOff(c, e.Stop.Pace) > irqsOff(pick, e.Stop.Pace) {
			pick, kind = c, k
		}
	}
	f := &Finding{Class: verdict.Hang, Hang: kind, CPU: pick.CPU, Frame: first(pick, waiting), Notes: paceNotes(e.Stop)}
	if kind == verdict.Idle && len(e.Tasks) > 0 && !e.Tasks[0].OnCPU { // nobody runs: what init waits for is the cause
		t := awaited(e.Tasks)
		f.Task, f.Frame = t, first(&t.Chain, waiting)
		if t != &e.Tasks[0] {
			f.Notes = append(f.Notes, fmt.Sprintf("init waits for what it runs, and task %d (%s) is what does not come back from the kernel", t.PID, t.Comm))
		} else if e.Kernel.InitRan && alone(e.Tasks) {
			f.Notes = append(f.Notes, "of user space init alone is left: what it ran was killed, or ended without asking for a power-off")
		}
		f.What = fmt.Sprintf("every vCPU is idle; task %d (%s) waits", t.PID, t.Comm)
		if e.Stop.Kind == watch.TimedOut {
			f.What = e.Stop.String() + "; " + f.What
		}
		if f.Frame >= 0 {
			f.What += " in " + place(&t.Chain.Frames[f.Frame])
		}
		return f
	}
	if pick.Where == LowMemory && len(pick.Frames) == 0 {
		f.Class, f.Hang, f.What = verdict.NoKernel, "", "the firmware started no kernel"
		return f
	}
	if e.Stop.Kind == watch.TimedOut {
		// One look at a kernel that may be slow: what it does now, and no more.
		f.What = fmt.Sprintf("%s; then vCPU %d %s", e.Stop, pick.CPU, state(pick))
		if f.Frame >= 0 {
			f.What = fmt.Sprintf("%s; then vCPU %d %s in %s", e.Stop, pick.CPU, doing(pick), place(&pick.Frames[f.Frame]))
		}
		return f
	}
	what := map[verdict.HangKind]string{
		verdict.SpinIRQsOff: "spins with interrupts off", verdict.Spin: "runs without getting anywhere",
		verdict.Idle: "every vCPU is idle", verdict.Halted: "halted with interrupts off"}[kind]
	f.What = what
	if f.Frame >= 0 {
		f.What += " in " + place(&pick.Frames[f.Frame])
	}
	return f
}

// awaited is the task that a machine waits for on which nobody runs: init, or where that waits for a child, the first task of user space
// that is in the kernel and cannot be interrupted.
func awaited(tasks []Blocked) *Blocked {
	if tasks[0].Chain.has("do_wait", "do_sigtimedwait") {
		for i := range tasks[1:] {
			if t := &tasks[1+i]; !t.Kernel && !t.OnCPU && t.stuck() {
				return t
			}
		}
	}
	return &tasks[0]
}

// alone reports whether init waits, as busybox's does when its table is done, and no other task of user space is there. Once init has run
// tasks are all of these, as far as there is room.
func alone(tasks []Blocked) bool {
	return tasks[0].PID == 1 && tasks[0].Chain.has("do_sigtimedwait") &&
		!slices.ContainsFunc(tasks[1:], func(t Blocked) bool { return !t.Kernel })
}

// suspending are the functions of the kernel's way into suspend to RAM (kernel/power/suspend.c).
var suspending = []string{"pm_suspend", "enter_state", "suspend_devices_and_enter", "suspend_enter"}

// asleep: the guest suspended the machine to RAM, and no device woke it. The cause is who asked for it, as of a reset.
func asleep(e *Evidence) *Finding {
	c := firstOf(e.Chains)
	for i := range e.Chains {
		if e.Chains[i].has(suspending...) {
			c = &e.Chains[i]
		}
	}
	f := &Finding{Class: verdict.Hang, Hang: verdict.Idle, CPU: c.CPU, Frame: first(c, waiting), What: "the machine is suspended to RAM, and nothing wakes it",
		Notes: []string{"QEMU wakes a guest by a device of its own, such as an alarm that the guest has set (rtcwake), or when it is told to"}}
	if at := c.outermost(suspending...); at >= 0 {
		f.Frame = beyond(c, at, suspending)
		f.What += ", asked by " + place(&c.Frames[f.Frame])
	}
	return f
}

// firstOf is the chain that a machine is judged by on which every vCPU is idle: one that halts outside of the idle task, as a loop of STI
// and HLT in a driver does, before one that is in it, and what is put away last.
func firstOf(chains []Chain) *Chain {
	for _, is := range []func(Chain) bool{
		func(c Chain) bool {
			return !c.has(putAway...) && c.idle(0) < 0 && c.Where == KernelText
		},
		func(c Chain) bool { return !c.has(putAway...) },
	} {
		if i := slices.IndexFunc(chains, is); i >= 0 {
			return &chains[i]
		}
	}
	return &chains[0]
}

// putAway are the functions in which a CPU stays that the kernel has taken offline or stopped (arch/x86/kernel/smpboot.c, process.c,
// acpi/cstate.c). It is halted with interrupts off, or spins so where MWAIT is nothing but a pause, as it is under TCG.
var putAway = []string{"native_play_dead", "play_dead", "hlt_play_dead", "mwait_play_dead", "mwait_play_dead_cpuid_hint", "acpi_idle_play_dead",
	"acpi_processor_ffh_play_dead", "stop_this_cpu"}

// hangKind is what a vCPU does. Of one that executes the samples tell it better than the last look, which may have met it
// in an interrupt, or in a moment between two.
func hangKind(c *Chain, seen watch.Pace) verdict.HangKind {
	switch poll := c.index(0, "cpu_idle_poll"); {
	case poll >= 0 && (len(c.Traps) == 0 || poll < c.Traps[0].Index): // idle=poll: the idle task runs
		return verdict.Idle
	case c.Halted && !c.Regs.InterruptsOn():
		if c.Where == LowMemory { // a parked AP
			return verdict.Idle
		}
		return verdict.Halted
	case c.Halted:
		return verdict.Idle
	}
	if irqsOff(c, seen) > mostlyOff {
		return verdict.SpinIRQsOff
	}
	return verdict.Spin
}

// mostlyOff is the share of samples with interrupts off of a vCPU that has them off for good: the first few may be of the time
// before. A loop around schedule() comes to 0.9.
const mostlyOff = 0.98

// irqsOff is that share; without samples, what the last look says.
func irqsOff(c *Chain, seen watch.Pace) float64 {
	for _, v := range seen.VCPUs {
		if v.CPU == c.CPU && v.Running > 0 {
			return float64(v.IRQsOff) / float64(v.Running)
		}
	}
	if c.Regs.InterruptsOn() {
		return 0
	}
	return 1
}

func rank(k verdict.HangKind) int {
	return slices.Index([]verdict.HangKind{verdict.Idle, verdict.Spin, verdict.Halted, verdict.SpinIRQsOff}, k)
}

// paceNotes says how it is known that the guest got nowhere.
func paceNotes(stop watch.Stop) (notes []string) {
	p := stop.Pace
	if p.Watchdog != "" {
		notes = append(notes, "the kernel's own watchdog says: "+p.Watchdog)
	}
	if stop.Kind != watch.Stuck {
		return notes
	}
	text := fmt.Sprintf("no log record, no console output and no new memory in use for %.0f s", stop.Quiet.Seconds())
	if p.Ticks >= 0 {
		text += fmt.Sprintf("; %d timer ticks", p.Ticks)
	}
	for _, v := range p.VCPUs {
		text += fmt.Sprintf("; vCPU %d seen running %d times (%d with interrupts off), halted %d", v.CPU, v.Running, v.IRQsOff, v.Halted)
	}
	return append(notes, text)
}
