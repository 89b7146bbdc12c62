package linux

import "kcatch/gdb/amd64"

// LastStored is the memory that a repeated string instruction at code[0] wrote in the round before, by RDI, which it has moved on
// since: [RDI-size, RDI), or above RDI with the direction flag set. ok is false when code is no `rep stos` or `rep movs`.
//
//	f3|f2 [66|67|40..4f]* aa|ab|a4|a5     SDM vol. 2B, REP/REPE/REPZ
func LastStored(code []byte, regs amd64.Registers) (addr, size uint64, ok bool) {
	rep, operand, wide := false, false, false
	for i := 0; i < len(code) && i < MaxInstruction; i++ {
		switch b := code[i]; {
		case b == 0xf3 || b == 0xf2:
			rep, wide = true, false
		case b == 0x66:
			operand, wide = true, false
		case b == 0x67:
			wide = false
		case b&0xf0 == 0x40:
			wide = b&8 != 0
		case b == 0xaa || b == 0xa4:
			return stored(regs, 1, rep)
		case b == 0xab || b == 0xa5:
			size = 4
			switch {
			case wide:
				size = 8
			case operand:
				size = 2
			}
			return stored(regs, size, rep)
		default:
			return 0, 0, false
		}
	}
	return 0, 0, false
}

func stored(regs amd64.Registers, size uint64, rep bool) (addr, n uint64, ok bool) {
	if regs.EFLAGS&amd64.FlagDF != 0 {
		return regs.RDI + size, size, rep
	}
	return regs.RDI - size, size, rep
}
