package autopsy

import (
	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/harness/machine"
)

// A 64-bit gate has 16 bytes; the low three bits of byte 4 choose a stack, or none (SDM vol. 3A, 6.14.1).
const (
	gateSize = 16
	istByte  = 4
)

// undeliverable says why a vCPU could not take an exception as it stands, or is empty when it could: then it is not the one
// that reset the machine. It looks at the ways of a #PF, a #GP and the #DF that comes of them: the IDT, the handler's code
// and, for a gate that does not switch stacks, the stack.
func undeliverable(cpu machine.CPUState, regs amd64.Registers, space guest.Space) string {
	if regs.CR0&amd64.CR0PE == 0 || regs.EFER&amd64.EFERLMA == 0 {
		return "" // in real or 32-bit mode gates look different
	}
	readable := func(at uint64, n int) bool {
		_, err := space.ReadMemory(make([]byte, n), at)
		return err == nil
	}
	if !readable(regs.RIP, 1) {
		return "its own code is not mapped"
	}
	for _, v := range []amd64.Vector{amd64.PageFault, amd64.GeneralProtection, amd64.DoubleFault} {
		if uint64(cpu.IDTLimit) < uint64(v+1)*gateSize-1 {
			return "the IDT has no gate for " + v.String()
		}
		var gate [gateSize]byte
		if _, err := space.ReadMemory(gate[:], cpu.IDTBase+uint64(v)*gateSize); err != nil {
			return "the IDT is not mapped"
		}
		handler, ok := guest.GateOffset(gate)
		if !ok {
			return "the IDT's gate for " + v.String() + " is empty"
		}
		if !readable(handler, 1) {
			return "the handler of " + v.String() + " is not mapped"
		}
		if gate[istByte]&7 == 0 && !readable(regs.RSP&^15-40, 40) { // ss, rsp, rflags, cs, rip are pushed
			return "the stack is not mapped"
		}
	}
	return ""
}
