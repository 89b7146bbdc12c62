package autopsy

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

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
			if class == "" || c.outermost("panic", "vpanic") > c.Traps[t].Index { // what a panic comes to is not the first death
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

// refusedEntry reports whether the exception is that a function's very first instruction could not be fetched: it was called when its
// memory was code no more (.init.text after the boot), and who called it is at fault.
func refusedEntry(c *Chain, t *Trap) bool {
	return t.Known && t.Vector == amd64.PageFault && t.CR2 == t.PC && t.Index+1 < len(c.Frames) && c.Frames[t.Index].Function != "" && c.Frames[t.Index].Offset == 0
}

// atTrap is the finding for the code that an exception interrupted.
func atTrap(c *Chain, t *Trap, class verdict.Class) *Finding {
	from := t.Index
	if t.WildPC {
		from++ // the frame of the wild pc itself is no code
	}
	refused := "" // a function that was jumped to
	if !t.WildPC && refusedEntry(c, t) {
		for refused = c.Frames[from].Function; c.Frames[from].Inline && from+2 < len(c.Frames); from++ {
			refused = c.Frames[from+1].Function
		}
		from++
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
	case refused != "":
		f.What = fmt.Sprintf("%s: jump to %s(), whose memory is no code now, from %s", name, refused, place(&c.Frames[at]))
	case t.WildPC && at == t.Index:
		f.What = fmt.Sprintf("%s: jump to 0x%x, which is no code, from nobody whom the stack still tells: by a return address that was written over, it may be", name, t.PC)
	case t.Returned:
		f.What = fmt.Sprintf("%s: return to 0x%x, which is no code, from what was called by %s", name, t.PC, place(&c.Frames[at]))
		f.Notes = append(f.Notes, "the return address was not the caller's any more; who called is a guess by what is above it on the stack")
	case t.WildPC:
		f.What = fmt.Sprintf("%s: jump to 0x%x, which is no code, from %s", name, t.PC, place(&c.Frames[at]))
	default:
		f.What = fmt.Sprintf("%s in %s", name, place(&c.Frames[at]))
	}
	return f
}

// reported: the kernel survived an oops or a BUG for a while, and what ended the boot came later. WARN is no death.
func reported(e *Evidence) *Finding {
	f := firstReport(e, []verdict.Class{verdict.Oops, verdict.Bug})
	if f != nil && e.Stop.Kind == watch.Saved {
		return atReport(e, f)
	}
	return f
}

// firstReport is the finding for the first of the log's reports that is of one of the classes. What comes after a panic is no
// first death: its notifiers and consoles may die, too.
func firstReport(e *Evidence, classes []verdict.Class) *Finding {
	_, panicked := panicRecord(e)
	for i := range e.Reports {
		r := &e.Reports[i]
		if !slices.Contains(classes, r.Class) || r.Seq > panicked {
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
