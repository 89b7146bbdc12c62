package tui

import (
	"fmt"

	"kcatch/harness/verdict"
)

// registerWidth is a register's column: six for the name and a space, "0x" and 16 digits, two between.
const registerWidth = 7 + 18 + 2

// registerCount is how many there are.
const registerCount = 23

// registersPerLine is how many stand side by side in so many columns.
func registersPerLine(width int) int { return max(1, (width+2)/registerWidth) }

// registerRows is how many lines they take then.
func registerRows(width int) int {
	return (registerCount + registersPerLine(width) - 1) / registersPerLine(width)
}

// registerLines is the registers of the chain's vCPU, in as many columns as there is room for.
func (m Model) registerLines(width int) []Line {
	c := m.chains[m.chain]
	if c.regs == nil {
		return []Line{plain("no registers: "+c.name+" is no vCPU that the result has them of", Dim)}
	}
	all := registers(c.regs)
	rows := registerRows(width)
	out := make([]Line, rows)
	for i, r := range all { // downwards, as gdb's
		row := &out[i%rows]
		if len(*row) > 0 {
			*row = append(*row, Span{"  ", Plain})
		}
		*row = append(*row, Span{pad(r.name, 7), Dim}, Span{fmt.Sprintf("0x%016x", uint64(r.value)), Plain})
	}
	return out
}

type register struct {
	name  string
	value verdict.Hex
}

func registers(r *verdict.RegDump) [registerCount]register {
	return [...]register{
		{"rip", r.RIP}, {"rsp", r.RSP}, {"rbp", r.RBP}, {"eflags", r.RFLAGS}, {"rax", r.RAX}, {"rbx", r.RBX}, {"rcx", r.RCX}, {"rdx", r.RDX},
		{"rsi", r.RSI}, {"rdi", r.RDI}, {"r8", r.R8}, {"r9", r.R9}, {"r10", r.R10}, {"r11", r.R11}, {"r12", r.R12}, {"r13", r.R13},
		{"r14", r.R14}, {"r15", r.R15}, {"cr0", r.CR0}, {"cr2", r.CR2}, {"cr3", r.CR3}, {"cr4", r.CR4}, {"efer", r.EFER},
	}
}
