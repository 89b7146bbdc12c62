package linux

import (
	"encoding/binary"
	"fmt"

	"kcatch/gdb/amd64"
)

// PtRegsSize is sizeof(struct pt_regs) on x86_64, in bytes.
const PtRegsSize = 168

// PtRegs is what entry code saved of an interrupted context.
type PtRegs struct {
	// Registers holds the general registers, RIP, EFLAGS, CS and SS; the other fields are zero.
	Registers amd64.Registers
	// OrigAX is the error code of an exception, the number of a system call, or ~vector of an interrupt.
	OrigAX uint64
}

// DecodePtRegs reads a struct pt_regs (arch/x86/include/asm/ptrace.h):
//
//	r15 0 r14 8 r13 16 r12 24 bp 32 bx 40 r11 48 r10 56 r9 64 r8 72 ax 80 cx 88 dx 96 si 104 di 112
//	orig_ax 120 ip 128 cs 136 flags 144 sp 152 ss 160
//
// Only 16 bits of cs and ss are selectors: FRED keeps more there since v6.9.
func DecodePtRegs(b []byte) (PtRegs, error) {
	if len(b) < PtRegsSize {
		return PtRegs{}, fmt.Errorf("decode pt_regs: have %d bytes, need %d", len(b), PtRegsSize)
	}
	at := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	return PtRegs{
		OrigAX: at(120),
		Registers: amd64.Registers{
			R15: at(0), R14: at(8), R13: at(16), R12: at(24), RBP: at(32), RBX: at(40), R11: at(48), R10: at(56),
			R9: at(64), R8: at(72), RAX: at(80), RCX: at(88), RDX: at(96), RSI: at(104), RDI: at(112),
			RIP: at(128), CS: uint16(at(136)), EFLAGS: at(144), RSP: at(152), SS: uint16(at(160)),
		},
	}, nil
}

// ReadPtRegs reads the struct pt_regs at a run-time address.
func ReadPtRegs(mem Memory, addr uint64) (PtRegs, error) {
	var b [PtRegsSize]byte
	if _, err := mem.ReadMemory(b[:], addr); err != nil {
		return PtRegs{}, fmt.Errorf("read pt_regs: 0x%x: %w", addr, err)
	}
	return DecodePtRegs(b[:])
}
