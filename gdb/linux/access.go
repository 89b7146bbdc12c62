package linux

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"kcatch/gdb/amd64"
)

// Access is the memory operand of an instruction.
type Access struct {
	Addr uint64 // linear, with the segment base for fs and gs
	Size int    // bytes; 0 when not known
	// Read and Write say what is done with it; both for `incl (%rax)`. A call or jump through it reads it.
	Read, Write bool
	// Formula is how the address came about: "rdi=0x0 + 0x30".
	Formula string
	// Note is what is wrong with the address by itself, empty when nothing shows: "not canonical".
	Note string
}

// String is the access as a sentence's part: "write of 8 bytes to 0x30: rdi=0x0 + 0x30".
func (a Access) String() string {
	var b strings.Builder
	direction := "from"
	switch {
	case a.Read && a.Write:
		b.WriteString("read and write")
		direction = "at"
	case a.Write:
		b.WriteString("write")
		direction = "to"
	default:
		b.WriteString("read")
	}
	if a.Size > 0 {
		fmt.Fprintf(&b, " of %d byte", a.Size)
		if a.Size != 1 {
			b.WriteByte('s')
		}
	}
	fmt.Fprintf(&b, " %s 0x%x: %s", direction, a.Addr, a.Formula)
	if a.Note != "" {
		fmt.Fprintf(&b, " (%s)", a.Note)
	}
	return b.String()
}

// accesses lists the memory that inst touches: its explicit operands, then the stack for push, pop, call and ret.
func accesses(inst x86asm.Inst, regs amd64.Registers) []Access {
	switch inst.Op {
	case x86asm.LEA, x86asm.NOP, x86asm.PREFETCHT0, x86asm.PREFETCHT1, x86asm.PREFETCHT2, x86asm.PREFETCHNTA,
		x86asm.PREFETCHW, x86asm.INVLPG, x86asm.UD1, x86asm.UD2:
		return nil // the operand is only named
	}
	var all []Access
	for i, arg := range inst.Args {
		mem, ok := arg.(x86asm.Mem)
		if !ok {
			continue
		}
		a, ok := memoryOperand(mem, inst, regs)
		if !ok {
			continue
		}
		if a.Size = inst.MemBytes; a.Size == 0 {
			a.Size = stringBytes(inst.Op)
		}
		a.Read, a.Write = direction(inst.Op, i == 0)
		all = append(all, a)
	}
	if a, ok := stackOperand(inst, regs); ok {
		all = append(all, a)
	}
	return all
}

func memoryOperand(m x86asm.Mem, inst x86asm.Inst, regs amd64.Registers) (a Access, ok bool) {
	var terms []string
	addr := uint64(m.Disp)
	switch m.Segment {
	case x86asm.FS:
		addr += regs.FSBase
		terms = append(terms, fmt.Sprintf("fs base=0x%x", regs.FSBase))
	case x86asm.GS:
		addr += regs.GSBase
		terms = append(terms, fmt.Sprintf("gs base=0x%x", regs.GSBase))
	}
	if m.Base == x86asm.RIP || m.Base == x86asm.EIP {
		next := regs.RIP + uint64(inst.Len)
		addr += next
		terms = append(terms, fmt.Sprintf("rip=0x%x", next))
	} else if m.Base != 0 {
		v, name, ok := registerValue(m.Base, regs)
		if !ok {
			return Access{}, false
		}
		addr += v
		terms = append(terms, fmt.Sprintf("%s=0x%x", name, v))
	}
	if m.Index != 0 {
		v, name, ok := registerValue(m.Index, regs)
		if !ok {
			return Access{}, false
		}
		addr += v * uint64(m.Scale)
		term := fmt.Sprintf("%s=0x%x", name, v)
		if m.Scale > 1 {
			term += fmt.Sprintf("*%d", m.Scale)
		}
		terms = append(terms, term)
	}
	if inst.AddrSize == 32 {
		addr = uint64(uint32(addr))
	}
	formula := strings.Join(terms, " + ")
	switch {
	case formula == "":
		formula = fmt.Sprintf("absolute 0x%x", uint64(m.Disp))
	case m.Disp < 0:
		formula += fmt.Sprintf(" - 0x%x", -uint64(m.Disp))
	case m.Disp > 0:
		formula += fmt.Sprintf(" + 0x%x", m.Disp)
	}
	return Access{Addr: addr, Formula: formula, Note: addressNote(addr, regs)}, true
}

// addressNote says what an address shows by itself.
func addressNote(addr uint64, regs amd64.Registers) string {
	bits := uint(47)
	if regs.CR4&amd64.CR4LA57 != 0 {
		bits = 56
	}
	top := int64(addr) >> bits
	switch {
	case top != 0 && top != -1:
		return "not canonical"
	case addr < 4096:
		return "null pointer"
	case addr >= ^uint64(0)-4095:
		return "error pointer"
	}
	return ""
}

// direction tells how an instruction uses its memory operand, which is the destination when it comes first (Intel
// order). Most instructions that name memory first read and write it; those that only do one are listed.
func direction(op x86asm.Op, first bool) (read, write bool) {
	if op == x86asm.XCHG || op == x86asm.XADD {
		return true, true
	}
	if !first {
		return true, false
	}
	switch op {
	case x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.PUSH, x86asm.CALL, x86asm.JMP, x86asm.LCALL, x86asm.LJMP,
		x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.LGDT, x86asm.LIDT, x86asm.LLDT, x86asm.LTR, x86asm.LMSW,
		x86asm.FXRSTOR, x86asm.FXRSTOR64, x86asm.XRSTOR, x86asm.XRSTOR64, x86asm.LDMXCSR, x86asm.FLDCW,
		x86asm.CMPSB, x86asm.CMPSW, x86asm.CMPSD, x86asm.CMPSQ, x86asm.SCASB, x86asm.SCASW, x86asm.SCASD, x86asm.SCASQ,
		x86asm.UCOMISS, x86asm.UCOMISD, x86asm.VERR, x86asm.VERW, x86asm.CLFLUSH, x86asm.OUTSB, x86asm.OUTSW, x86asm.OUTSD,
		x86asm.FLD, x86asm.FILD, x86asm.FADD, x86asm.FMUL:
		return true, false
	case x86asm.IMUL:
		return true, false
	case x86asm.MOV, x86asm.POP, x86asm.MOVNTI, x86asm.MOVAPS, x86asm.MOVAPD, x86asm.MOVUPS, x86asm.MOVUPD,
		x86asm.MOVDQA, x86asm.MOVDQU, x86asm.MOVSD_XMM, x86asm.MOVLPS, x86asm.MOVHPS, x86asm.MOVLPD, x86asm.MOVHPD, x86asm.MOVNTDQ, x86asm.MOVNTPS, x86asm.MOVD, x86asm.MOVQ, x86asm.MOVSS,
		x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.INSB, x86asm.INSW, x86asm.INSD, x86asm.FXSAVE, x86asm.FXSAVE64, x86asm.XSAVE, x86asm.XSAVE64,
		x86asm.SGDT, x86asm.SIDT, x86asm.SLDT, x86asm.STR, x86asm.SMSW, x86asm.STMXCSR, x86asm.FSTP, x86asm.FISTP,
		x86asm.FNSTCW, x86asm.FNSTSW,
		x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETG, x86asm.SETGE, x86asm.SETL,
		x86asm.SETLE, x86asm.SETNE, x86asm.SETNO, x86asm.SETNP, x86asm.SETNS, x86asm.SETO, x86asm.SETP, x86asm.SETS:
		return false, true
	}
	return true, true
}

// stringBytes is the size of one element of a string instruction, zero for others.
func stringBytes(op x86asm.Op) int {
	switch op {
	case x86asm.MOVSB, x86asm.STOSB, x86asm.LODSB, x86asm.CMPSB, x86asm.SCASB, x86asm.INSB, x86asm.OUTSB:
		return 1
	case x86asm.MOVSW, x86asm.STOSW, x86asm.LODSW, x86asm.CMPSW, x86asm.SCASW, x86asm.INSW, x86asm.OUTSW:
		return 2
	case x86asm.MOVSD, x86asm.STOSD, x86asm.LODSD, x86asm.CMPSD, x86asm.SCASD, x86asm.INSD, x86asm.OUTSD:
		return 4
	case x86asm.MOVSQ, x86asm.STOSQ, x86asm.LODSQ, x86asm.CMPSQ, x86asm.SCASQ:
		return 8
	}
	return 0
}

// stackOperand is the implicit operand of push, pop, call and ret: below or at rsp.
func stackOperand(inst x86asm.Inst, regs amd64.Registers) (a Access, ok bool) {
	a = Access{Size: 8, Formula: fmt.Sprintf("rsp=0x%x", regs.RSP), Addr: regs.RSP}
	switch inst.Op {
	case x86asm.PUSH, x86asm.CALL, x86asm.PUSHF, x86asm.PUSHFQ:
		a.Write = true
		a.Addr -= 8
		a.Formula += " - 0x8"
	case x86asm.POP, x86asm.RET, x86asm.POPF, x86asm.POPFQ, x86asm.LEAVE:
		a.Read = true
		if inst.Op == x86asm.LEAVE {
			a.Addr, a.Formula = regs.RBP, fmt.Sprintf("rbp=0x%x", regs.RBP)
		}
	default:
		return Access{}, false
	}
	a.Note = addressNote(a.Addr, regs)
	return a, true
}

// dwarfOrder lists the registers in x86asm's order of encoding.
var dwarfOrder = [16]amd64.Reg{
	amd64.RAX, amd64.RCX, amd64.RDX, amd64.RBX, amd64.RSP, amd64.RBP, amd64.RSI, amd64.RDI,
	amd64.R8, amd64.R9, amd64.R10, amd64.R11, amd64.R12, amd64.R13, amd64.R14, amd64.R15,
}

func registerValue(r x86asm.Reg, regs amd64.Registers) (v uint64, name string, ok bool) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
		n := dwarfOrder[r-x86asm.RAX]
		return regs.Get(n), n.String(), true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		n := dwarfOrder[r-x86asm.EAX]
		return uint64(uint32(regs.Get(n))), strings.ToLower(r.String()), true
	}
	return 0, "", false
}
