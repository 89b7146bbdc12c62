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

// Finding is what the rules say of a death.
type Finding struct {
	Class verdict.Class
	Hang  verdict.HangKind
	CPU   int      // the vCPU whose chain shows it
	Chain *Chain   // in place of that vCPU's, where the death is older than the stop; else nil
	Frame int      // index of the frame at fault in that chain; -1 when there is none
	Task  *Blocked // the task that waits, when Frame is in its chain
	Trap  *Trap
	What  string // "#UD in __SetPageReserved()": the summary without the class
	Notes []string
}

// rule is one way to die. judge returns nil when it does not apply; the first rule of the table that applies wins, so
// that the order says what is the first death: an oops comes before the panic that follows it.
type rule struct {
	name  string
	judge func(*Evidence) *Finding
}

// rules is the table. A machine that was reset or is halted says so from outside; what it was doing then is read from
// the chains, so the chain rules come first.
var rules = []rule{
	{"exception", exception},
	{"oops or BUG in the log", reported},
	{"panic", panicked},
	{"decompressor", decompressing},
	{"reset", reset},
	{"triple fault", tripleFault},
	{"shutdown", shutdown},
	{"hang", hang},
}

// Judge applies the rules. It always finds something: a stop that fits none is a hang of unknown kind, and says so.
func Judge(e *Evidence) Finding {
	for _, r := range rules {
		if f := r.judge(e); f != nil {
			return *f
		}
	}
	return Finding{Class: verdict.Hang, Hang: verdict.Spin, Frame: -1, What: "stopped for a reason no rule knows: " + e.Stop.String()}
}

// dying are the functions of an oops: an exception whose handler has called one is a death.
// oops_begin, die and friends: arch/x86/kernel/dumpstack.c; make_task_dead: kernel/exit.c (6.2, and 6.1.y stable).
// exc_invalid_op comes back for a WARN alone.
var dying = []string{"die", "__die", "__die_body", "die_addr", "oops_end", "oops_begin", "page_fault_oops", "make_task_dead", "do_trap_no_signal", "exc_invalid_op"}

// doubleFaulting are the functions of the #DF handler (arch/x86/kernel/traps.c).
var doubleFaulting = []string{"exc_double_fault", "asm_exc_double_fault", "handle_stack_overflow"}

// deadly is the class of a chain's exception number t, empty when the kernel may go on after it. What tells is its
// handler: the frames from the next exception inward up to the code that it interrupted.
func deadly(c *Chain, t int) verdict.Class {
	trap := &c.Traps[t]
	from := 0
	if t > 0 {
		from = c.Traps[t-1].Index
	}
	calls := func(names ...string) bool {
		at := c.index(from, names...)
		return at >= 0 && at < trap.Index
	}
	warning := trap.Bug != nil && trap.Bug.Warning
	switch {
	case trap.Interrupt, warning && t > 0:
		return ""
	case trap.Early:
		// A legal fault of the direct map and a WARN come back; what is halted does not, nor does a handler that faulted.
		if !warning && (calls("early_fixup_exception") || c.Halted && t == 0) || c.Halted && warning {
			return verdict.EarlyException
		}
	case calls(doubleFaulting...):
		return verdict.DoubleFault
	case warning || !calls(dying...):
	case trap.Bug != nil:
		return verdict.Bug
	default:
		return verdict.Oops
	}
	return ""
}

// exception: a vCPU is in the handler of an exception that the kernel does not survive. Of several on one stack, because
// the handler itself faulted, the outermost is the first death and the cause.
func exception(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		for t := len(c.Traps) - 1; t >= 0; t-- {
			class := deadly(c, t)
			if class == "" {
				continue
			}
			trap := &c.Traps[t]
			if class == verdict.Oops && trap.Vector == amd64.InvalidOpcode && trap.Bug == nil && len(e.Reports) > 0 && e.Reports[0].Class == verdict.Bug {
				class, trap.Bug = verdict.Bug, e.Reports[0].Bug // in a module whose bug table could not be read
			}
			f := atTrap(c, trap, class)
			if t > 0 {
				f.Notes = append(f.Notes, fmt.Sprintf("its handler faulted in its turn, %d exceptions deep; the outermost is the cause", t+1))
			}
			return f
		}
		// On a stack that says no more than this.
		if at := c.index(0, doubleFaulting...); at >= 0 {
			return &Finding{Class: verdict.DoubleFault, CPU: c.CPU, Frame: beyond(c, at, reporting), What: "double fault"}
		}
	}
	return nil
}

// warned is the finding for a chain that stands in __warn(): the code whose trap it reports, or its caller where the
// kernel warns without a trap.
func warned(c *Chain) *Finding {
	if len(c.Traps) > 0 {
		return atTrap(c, &c.Traps[0], verdict.Warn)
	}
	if len(c.Frames) == 0 {
		return nil
	}
	at := beyond(c, 0, reporting)
	return &Finding{Class: verdict.Warn, CPU: c.CPU, Frame: at, What: "WARN in " + place(&c.Frames[at])}
}

// atTrap is the finding for the code that an exception interrupted.
func atTrap(c *Chain, t *Trap, class verdict.Class) *Finding {
	from := t.Index
	if t.WildPC {
		from++ // the frame of the wild pc itself is no code
	}
	at := beyond(c, from, reporting)
	f := &Finding{Class: class, CPU: c.CPU, Frame: at, Trap: t}
	name := "an exception"
	if t.Known {
		name = t.Vector.String()
	}
	switch {
	case at >= len(c.Frames):
		f.Frame = -1
		f.What = fmt.Sprintf("%s at 0x%x", name, t.PC)
	case t.WildPC:
		f.What = fmt.Sprintf("%s: jump to 0x%x, which is no code, from %s", name, t.PC, place(&c.Frames[at]))
	default:
		f.What = fmt.Sprintf("%s in %s", name, place(&c.Frames[at]))
	}
	return f
}

// reported: the kernel survived an oops or a BUG for a while, and what ended the boot came later. WARN is no death.
func reported(e *Evidence) *Finding {
	return firstReport(e, []verdict.Class{verdict.Oops, verdict.Bug})
}

// firstReport is the finding for the first of the log's reports that is of one of the classes.
func firstReport(e *Evidence, classes []verdict.Class) *Finding {
	for i := range e.Reports {
		r := &e.Reports[i]
		if !slices.Contains(classes, r.Class) {
			continue
		}
		f := &Finding{Class: r.Class, CPU: max(r.CPU, 0), Chain: &r.Chain, Frame: first(&r.Chain, reporting), What: r.Text,
			Notes: []string{"the kernel survived this; the chain is from its own log"}}
		if f.Frame >= 0 {
			f.What = strings.TrimSuffix(r.Text, "!") + " in " + place(&r.Chain.Frames[f.Frame])
		}
		return f
	}
	return nil
}

// panicked: a vCPU is in panic().
func panicked(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		at := c.index(0, "vpanic", "panic")
		if at < 0 {
			continue
		}
		if out := c.index(at, "panic"); out >= 0 {
			at = out
		}
		frame := beyond(c, at, reporting)
		what := panicText(e)
		if what == "" {
			what = "panic"
		}
		return &Finding{Class: verdict.Panic, CPU: c.CPU, Frame: frame, What: what + " in " + place(&c.Frames[frame])}
	}
	return nil
}

// panicText is the kernel's own text, from the log in memory: "Kernel panic - not syncing: %s" (kernel/panic.c).
func panicText(e *Evidence) string {
	for _, r := range e.Log { // the first: "---[ end Kernel panic" repeats it
		if text, ok := strings.CutPrefix(r.Text, "Kernel panic - not syncing: "); ok && text != "" && r.Facility == 0 {
			line, _, _ := strings.Cut(text, "\n")
			return line
		}
	}
	return ""
}

// decompressing: the pc lies in the decompressor and the vCPU is halted with interrupts off: error() in
// arch/x86/boot/compressed/error.c. Its text is read from the code that called it, or from the console if that has it.
func decompressing(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		if c.Where != BootText || !c.Halted || e.Stop.Kind == watch.Shutdown {
			continue
		}
		f := &Finding{Class: verdict.DecompressorError, CPU: c.CPU, Frame: first(c, []string{"error"}), What: "the decompressor gave up"}
		text := c.Message
		if text == "" {
			text = haltedText(e.Console)
		}
		if text != "" {
			f.What += ": " + text
		}
		if f.Frame >= 0 {
			f.What += " in " + place(&c.Frames[f.Frame])
		}
		return f
	}
	return nil
}

// haltedText is the line before " -- System halted" on the console, which error() prints after its text.
func haltedText(console string) string {
	before, _, ok := strings.Cut(console, " -- System halted")
	if !ok {
		return ""
	}
	lines := strings.FieldsFunc(before, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return ""
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

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

// reset: the kernel asked for it by its reboot path.
func reset(e *Evidence) *Finding {
	if e.Stop.Kind != watch.Shutdown {
		return nil
	}
	for i := range e.Chains {
		if f := askedFor(&e.Chains[i], verdict.Reset, "the kernel reset the machine"); f != nil {
			return f
		}
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
	what := "the guest shut down (" + e.Stop.Reason + ")"
	if e.Stop.Kind == watch.Dead {
		what = "the kernel halted the machine"
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

// hang: nothing ended the boot; it does not go on.
func hang(e *Evidence) *Finding {
	if len(e.Chains) == 0 {
		return nil
	}
	pick, kind := &e.Chains[0], verdict.Idle
	for i := range e.Chains {
		c := &e.Chains[i]
		k := hangKind(c, e.Stop.Pace)
		if rank(k) > rank(kind) || rank(k) == rank(kind) && irqsOff(c, e.Stop.Pace) > irqsOff(pick, e.Stop.Pace) {
			pick, kind = c, k
		}
	}
	f := &Finding{Class: verdict.Hang, Hang: kind, CPU: pick.CPU, Frame: first(pick, waiting), Notes: paceNotes(e.Stop)}
	if kind == verdict.Idle && len(e.Tasks) > 0 { // nobody runs: what init waits for is the cause
		t := &e.Tasks[0]
		f.Task, f.Frame = t, first(&t.Chain, waiting)
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

// hangKind is what a vCPU does. Of one that executes the samples tell it better than the last look, which may have met it
// in an interrupt, or in a moment between two.
func hangKind(c *Chain, seen watch.Pace) verdict.HangKind {
	switch {
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

// first is the innermost frame that is in none of the list, or -1 when the chain is empty.
func first(c *Chain, list []string) int {
	if len(c.Frames) == 0 {
		return -1
	}
	return beyond(c, 0, list)
}

// inModule is " [module]" for a frame in one.
func inModule(f *verdict.Frame) string {
	if f.Module == "" {
		return ""
	}
	return " [" + f.Module + "]"
}

// place is a frame for a sentence: "__SetPageReserved() include/linux/page-flags.h:503".
func place(f *verdict.Frame) string {
	switch {
	case f.Function == "":
		return f.PC.String()
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s()%s  %s:%d", f.Function, inModule(f), f.File, f.Line)
	}
	return f.Function + "()" + inModule(f)
}
