package autopsy

import (
	"encoding/binary"
	"slices"
)

// handedOn are the names by which the handlers of exceptions hand the error code on (arch/x86/kernel/traps.c and dumpstack.c,
// arch/x86/mm/fault.c; 6.1 and 6.12): exc_page_fault(regs, error_code), die(str, regs, err).
var handedOn = []string{"error_code", "err"}

// handedCode is the error code of exception t of a chain, as its handler still has it among its arguments. The entry code has taken it out of
// pt_regs by then, and the kernel's own report may be lost with its log. arguments gives those of Frames[i].
func handedCode(c *Chain, t int, arguments func(i int) []Variable) (uint64, bool) {
	inner := 0
	if t > 0 {
		inner = c.Traps[t-1].Index
	}
	for i := c.Traps[t].Index - 1; i >= inner; i-- { // the nearest to the entry code first
		for _, v := range arguments(i) {
			if slices.Contains(handedOn, v.Name) && v.Argument && v.Err == nil && len(v.Bytes) == 8 {
				return binary.LittleEndian.Uint64(v.Bytes), true
			}
		}
	}
	return 0, false
}

// readErrorCode completes an exception of a chain by its error code, if the machine still has it. It is to be asked while the stack is whole.
func (s *Scene) readErrorCode(c *Chain, trap *Trap) {
	t := slices.IndexFunc(c.Traps, func(o Trap) bool { return o.Index == trap.Index })
	if t < 0 || trap.HasCode || !trap.Known || trap.Interrupt || !trap.Vector.HasErrorCode() {
		return
	}
	walked := c
	if !s.Values.Args && !s.Values.Locals { // without variables the chain was walked without the registers that functions save
		with := *s
		with.Values.Args = true
		again := with.ChainOf(c.CPU, c.Regs)
		if len(again.Traps) != len(c.Traps) {
			return
		}
		walked = &again
	}
	if code, ok := handedCode(walked, t, func(i int) []Variable { return walked.Variables(i, false) }); ok {
		trap.ErrorCode, trap.HasCode = code, true
		c.Frames[trap.Index].Exception = trap.exception()
	}
}
