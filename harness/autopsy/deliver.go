package autopsy

import (
	"encoding/binary"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/harness/machine"
)

// A 64-bit interrupt gate, SDM vol. 3A, 6.14.1: 16 bytes, the handler's address in three pieces, bit 47 present.
const (
	gateSize    = 16
	gatePresent = 1 << 47
	istMask     = 7
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
		low, high := binary.LittleEndian.Uint64(gate[:]), binary.LittleEndian.Uint64(gate[8:])
		if low&gatePresent == 0 {
			return "the IDT's gate for " + v.String() + " is empty"
		}
		handler := low&0xffff | low>>32&0xffff0000 | high<<32
		if !readable(handler, 1) {
			return "the handler of " + v.String() + " is not mapped"
		}
		if low>>32&istMask == 0 && !readable(regs.RSP&^15-40, 40) { // ss, rsp, rflags, cs, rip are pushed
			return "the stack is not mapped"
		}
	}
	return ""
}
