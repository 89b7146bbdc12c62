package unwind

import "kcatch/gdb/amd64"

// Row is the whole knowledge about one code address: how to compute the canonical frame address (CFA), and from it
// the caller's registers. A register whose rule is the zero Rule is unknown in the caller.
type Row struct {
	CFA  CFARule
	Regs [amd64.NumReg]Rule
	// Trap says that the CFA is the address of registers that an exception or interrupt saved there.
	Trap Trap
	// Signal makes the caller's pc exact although no registers were saved (ORC's signal bit).
	Signal bool
	// End marks code that has no caller: the outermost frame.
	End bool
	// Saved is a second opinion on the same address with more register rules (.debug_frame beside ORC).
	// Its rules for registers that this row leaves unknown are used only if both rows give the same CFA.
	Saved *Row
}

// Trap tells a call from an exception frame. The zero value is a call.
type Trap uint8

const (
	// TrapNone is a call: the caller's pc is a return address.
	TrapNone Trap = iota
	// TrapPtRegs: the CFA is the address of a whole struct pt_regs (168 bytes).
	TrapPtRegs
	// TrapIret: the CFA is the address of the part that the CPU pushed: ip, cs, flags, sp, ss (40 bytes).
	TrapIret
)

// CFARule computes the CFA. The zero rule is invalid.
type CFARule struct {
	Kind   CFAKind
	Reg    amd64.Reg
	Offset int64
	Add    int64
}

// CFAKind is the form of a [CFARule].
type CFAKind uint8

const (
	// CFARegister: cfa = reg + offset
	CFARegister CFAKind = iota + 1
	// CFAIndirect: cfa = *(reg + offset) + add. The kernel switches stacks with it.
	CFAIndirect
	// CFAChain: cfa = rbp + 16 in a frame-pointer kernel, where entry code marks an exception frame in bit 0
	// of rbp: then cfa = rbp - 1 and it is the address of a pt_regs. (ENCODE_FRAME_POINTER, asm/frame.h,
	// Linux 946c191161ce "x86/entry/unwind: Create stack frames for saved interrupt registers", v4.10.)
	// The row's own register rules are not used.
	CFAChain
	// CFAScan: nothing is known, the caller is guessed: the first word on the stack that is a return address.
	CFAScan
)

// Rule says where one register of the caller is. The zero Rule means that it is lost.
type Rule struct {
	Kind   RuleKind
	Reg    amd64.Reg
	Offset int64
}

// RuleKind is the form of a [Rule].
type RuleKind uint8

const (
	// Lost: unknown
	Lost RuleKind = iota
	// Same: reg of the callee, unchanged
	Same
	// AtCFA: *(cfa + offset)
	AtCFA
	// ValCFA: cfa + offset
	ValCFA
	// AtReg: *(reg + offset)
	AtReg
	// ValReg: reg + offset
	ValReg
)

// Struct pt_regs, x86_64: byte offsets of the registers (arch/x86/include/asm/ptrace.h; unchanged since 2.6).
const (
	PtRegsSize = 168
	ptRegsCS   = 136
	iretCS     = 8
)

var ptRegsOffset = [amd64.NumReg]int64{
	amd64.R15: 0, amd64.R14: 8, amd64.R13: 16, amd64.R12: 24, amd64.RBP: 32, amd64.RBX: 40,
	amd64.R11: 48, amd64.R10: 56, amd64.R9: 64, amd64.R8: 72, amd64.RAX: 80, amd64.RCX: 88,
	amd64.RDX: 96, amd64.RSI: 104, amd64.RDI: 112, amd64.RIP: 128, amd64.RSP: 152,
}

// PtRegsRow is the row of code whose caller was interrupted and whose registers lie in a pt_regs at reg + offset.
func PtRegsRow(reg amd64.Reg, offset int64) Row {
	return ptRegsAt(CFARule{Kind: CFARegister, Reg: reg, Offset: offset})
}

// ptRegsAt: reg = *(cfa + its offset in pt_regs), for all registers.
func ptRegsAt(cfa CFARule) Row {
	row := Row{CFA: cfa, Trap: TrapPtRegs}
	for reg, off := range ptRegsOffset {
		row.Regs[reg] = Rule{Kind: AtCFA, Offset: off}
	}
	return row
}

// callRow is the row of ordinary code: rip = *(cfa - 8), rsp = cfa.
func callRow(cfa CFARule) Row {
	row := Row{CFA: cfa}
	row.Regs[amd64.RIP] = Rule{Kind: AtCFA, Offset: -8}
	row.Regs[amd64.RSP] = Rule{Kind: ValCFA}
	return row
}

// iretRow is the row of entry code that has saved nothing yet: rip = *cfa, rsp = *(cfa + 24); the rest is untouched
// only as far as the caller of this function says.
func iretRow(cfa CFARule) Row {
	row := Row{CFA: cfa, Trap: TrapIret}
	row.Regs[amd64.RIP] = Rule{Kind: AtCFA}
	row.Regs[amd64.RSP] = Rule{Kind: AtCFA, Offset: 24}
	return row
}

// calleeSaved are the registers that a function gives back as it found them (psABI, 3.2.1).
var calleeSaved = [...]amd64.Reg{amd64.RBX, amd64.RBP, amd64.R12, amd64.R13, amd64.R14, amd64.R15}
