package linux

import (
	"bytes"
	"cmp"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"kcatch/gdb/amd64"
)

// step is one instruction of a function. Those that x86asm does not know have Op 0, and touch no general register but for hypercalls.
type step struct {
	x86asm.Inst
	pc     uint64
	target uint64 // of a direct jump within a function; 0 for none

	hypercall bool // VMCALL or VMMCALL
}

// flow is a function's instructions in the order of their addresses, with the ways between them.
type flow struct {
	steps []step
	from  map[uint64][]int // the jumps to an address
	entry uint64           // of the function
}

// maxFlow bounds the bytes of a function that are looked at.
const maxFlow = 64 << 10

// Code is a part of a function, from an instruction on. A function may have another part elsewhere (f.cold).
type Code struct {
	Start uint64 // run-time
	Bytes []byte
}

// flowOf decodes a function, of which the first part has the entry. A part ends where bytes are no instruction: what comes before is known all the same.
func flowOf(parts []Code) flow {
	f := flow{from: map[uint64][]int{}}
	if len(parts) > 0 {
		f.entry = parts[0].Start
	}
	parts = slices.SortedFunc(slices.Values(parts), func(a, b Code) int { return cmp.Compare(a.Start, b.Start) })
	for _, p := range parts {
		f.decode(p.Bytes[:min(len(p.Bytes), maxFlow)], p.Start)
	}
	return f
}

func (f *flow) decode(code []byte, start uint64) {
	if n := len(f.steps); n > 0 && start < f.steps[n-1].pc+uint64(f.steps[n-1].Len) {
		return // parts that overlap are no function's
	}
	for at := 0; at < len(code); {
		s := step{pc: start + uint64(at)}
		n := specialLen(code[at:])
		if n == 0 {
			inst, err := decode(code[at:])
			if err != nil {
				break
			}
			s.Inst, n = inst, inst.Len
			if rel, ok := inst.Args[0].(x86asm.Rel); ok && (inst.Op == x86asm.JMP || conditional(inst.Op)) {
				s.target = s.pc + uint64(n) + uint64(int64(rel))
				f.from[s.target] = append(f.from[s.target], len(f.steps))
			}
		}
		s.Len, s.hypercall = n, bytes.HasPrefix(code[at:], vmcall) || bytes.HasPrefix(code[at:], vmmcall)
		f.steps = append(f.steps, s)
		at += n
	}
}

// specialLen is the length of an instruction that x86asm does not know; 0 for others.
func specialLen(code []byte) int {
	for _, s := range special {
		if bytes.HasPrefix(code, s.code) {
			return len(s.code)
		}
	}
	if t := DecodeTrap(code); t.Kind == UBSANTrap {
		return t.Len
	}
	return 0
}

// at is the index of the instruction at pc, or -1.
func (f *flow) at(pc uint64) int {
	i, ok := slices.BinarySearchFunc(f.steps, pc, func(s step, pc uint64) int {
		switch {
		case s.pc < pc:
			return -1
		case s.pc > pc:
			return 1
		}
		return 0
	})
	if !ok {
		return -1
	}
	return i
}

// before are the instructions that may have run just before instruction i.
func (f *flow) before(i int) []int {
	out := slices.Clone(f.from[f.steps[i].pc])
	if i > 0 && f.steps[i-1].goesOn() && f.steps[i-1].pc+uint64(f.steps[i-1].Len) == f.steps[i].pc {
		out = append(out, i-1)
	}
	return out
}

// goesOn reports whether the instruction after s may be next.
func (s *step) goesOn() bool {
	switch s.Op {
	case x86asm.JMP, x86asm.RET, x86asm.LRET, x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.UD2, x86asm.SYSRET:
		return false
	}
	return true
}

// back goes backwards from instruction i, which it does not visit, on every way. visit says whether to go on beyond an instruction.
func (f *flow) back(i int, visit func(i int) (on bool)) {
	seen := map[int]bool{}
	todo := f.before(i)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if visit(n) {
			todo = append(todo, f.before(n)...)
		}
	}
}

// conditional reports whether an operation is a jump that depends on flags.
func conditional(op x86asm.Op) bool {
	switch op {
	case x86asm.JA, x86asm.JAE, x86asm.JB, x86asm.JBE, x86asm.JE, x86asm.JG, x86asm.JGE, x86asm.JL, x86asm.JLE, x86asm.JNE, x86asm.JNO,
		x86asm.JNP, x86asm.JNS, x86asm.JO, x86asm.JP, x86asm.JS:
		return true
	}
	return false
}

// setsFlags reports whether an operation decides the flags that a conditional jump reads.
func setsFlags(op x86asm.Op) bool {
	switch op {
	case x86asm.CMP, x86asm.TEST, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.ADD, x86asm.SUB, x86asm.ADC, x86asm.SBB, x86asm.INC, x86asm.DEC,
		x86asm.NEG, x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.BT, x86asm.BTS, x86asm.BTR, x86asm.BTC, x86asm.XADD, x86asm.CMPXCHG,
		x86asm.CMPXCHG8B, x86asm.CMPXCHG16B, x86asm.IMUL, x86asm.POPCNT, x86asm.BSF, x86asm.BSR:
		return true
	}
	return false
}

// keepsFlags reports whether s is known to leave the flags that a conditional jump reads as they are.
func (s *step) keepsFlags() bool {
	switch s.Op {
	case 0:
		return !s.hypercall
	case x86asm.ROL, x86asm.ROR, x86asm.RCL, x86asm.RCR, x86asm.SHLD, x86asm.SHRD, x86asm.LZCNT, x86asm.TZCNT, x86asm.RDRAND, x86asm.LAR,
		x86asm.LSL, x86asm.SAHF, x86asm.STC, x86asm.CLC, x86asm.CMC, x86asm.VERW, x86asm.INT:
		return false
	case x86asm.PUSH, x86asm.PUSHF, x86asm.PUSHFQ, x86asm.POP, x86asm.XCHG, x86asm.LEAVE, x86asm.CWD, x86asm.CDQ, x86asm.CQO, x86asm.CBW,
		x86asm.CWDE, x86asm.CDQE, x86asm.RDTSC, x86asm.RDTSCP, x86asm.RDMSR, x86asm.RDPMC, x86asm.XGETBV, x86asm.CPUID, x86asm.MOVSB,
		x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ, x86asm.LODSB, x86asm.LODSW,
		x86asm.LODSD, x86asm.LODSQ:
		return true
	}
	return conditional(s.Op) || slices.Contains(silent, s.Op) || slices.Contains(plain, s.Op)
}

// general is the general register that r is or is a part of.
func general(r x86asm.Reg) (amd64.Reg, bool) {
	switch {
	case r >= x86asm.RAX && r <= x86asm.R15:
		return dwarfOrder[r-x86asm.RAX], true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return dwarfOrder[r-x86asm.EAX], true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return dwarfOrder[r-x86asm.AX], true
	case r >= x86asm.AL && r <= x86asm.BL:
		return dwarfOrder[r-x86asm.AL], true
	case r >= x86asm.AH && r <= x86asm.BH:
		return dwarfOrder[r-x86asm.AH], true
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return dwarfOrder[r-x86asm.SPB+4], true
	}
	return 0, false
}

// callerSaved are the registers that a call may change (psABI, 3.2.1).
var callerSaved = []amd64.Reg{amd64.RAX, amd64.RCX, amd64.RDX, amd64.RSI, amd64.RDI, amd64.R8, amd64.R9, amd64.R10, amd64.R11}

// silent are operations that write no general register, conditional jumps besides.
var silent = []x86asm.Op{x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.NOP, x86asm.JMP, x86asm.JCXZ, x86asm.JECXZ, x86asm.JRCXZ, x86asm.RET,
	x86asm.UD0, x86asm.UD1, x86asm.UD2, x86asm.PREFETCHT0, x86asm.PREFETCHT1, x86asm.PREFETCHT2, x86asm.PREFETCHNTA, x86asm.PREFETCHW,
	x86asm.PAUSE, x86asm.CLI, x86asm.STI, x86asm.CLD, x86asm.STD, x86asm.CLC, x86asm.STC, x86asm.CMC, x86asm.CLTS, x86asm.SAHF,
	x86asm.LFENCE, x86asm.MFENCE, x86asm.SFENCE, x86asm.HLT, x86asm.INT, x86asm.OUT, x86asm.WRMSR, x86asm.XSETBV, x86asm.SWAPGS,
	x86asm.LGDT, x86asm.LIDT, x86asm.LLDT, x86asm.LTR, x86asm.SGDT, x86asm.SIDT, x86asm.LMSW, x86asm.VERW, x86asm.CLFLUSH, x86asm.INVLPG,
	x86asm.INVPCID, x86asm.WBINVD, x86asm.WRFSBASE, x86asm.WRGSBASE, x86asm.LDMXCSR, x86asm.STMXCSR, x86asm.FXSAVE, x86asm.FXSAVE64,
	x86asm.FXRSTOR, x86asm.FXRSTOR64, x86asm.FNINIT, x86asm.FWAIT, x86asm.EMMS}

// plain are operations that write no general register but their first operand's, cmov and set besides.
var plain = []x86asm.Op{x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD, x86asm.MOVBE, x86asm.MOVNTI, x86asm.MOVD, x86asm.MOVQ,
	x86asm.MOVDQA, x86asm.MOVDQU, x86asm.MOVAPS, x86asm.MOVUPS, x86asm.PXOR, x86asm.XORPS, x86asm.LEA, x86asm.ADD, x86asm.SUB, x86asm.ADC,
	x86asm.SBB, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.INC, x86asm.DEC, x86asm.NEG, x86asm.NOT, x86asm.SHL, x86asm.SHR, x86asm.SAR,
	x86asm.ROL, x86asm.ROR, x86asm.RCL, x86asm.RCR, x86asm.SHLD, x86asm.SHRD, x86asm.BTS, x86asm.BTR, x86asm.BTC, x86asm.BSF, x86asm.BSR,
	x86asm.BSWAP, x86asm.POPCNT, x86asm.LZCNT, x86asm.TZCNT, x86asm.CRC32, x86asm.RDRAND, x86asm.RDFSBASE, x86asm.RDGSBASE, x86asm.LAR,
	x86asm.LSL, x86asm.SLDT, x86asm.STR, x86asm.SMSW, x86asm.IN,
	x86asm.CMOVA, x86asm.CMOVAE, x86asm.CMOVB, x86asm.CMOVBE, x86asm.CMOVE, x86asm.CMOVG, x86asm.CMOVGE, x86asm.CMOVL, x86asm.CMOVLE,
	x86asm.CMOVNE, x86asm.CMOVNO, x86asm.CMOVNP, x86asm.CMOVNS, x86asm.CMOVO, x86asm.CMOVP, x86asm.CMOVS,
	x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETG, x86asm.SETGE, x86asm.SETL, x86asm.SETLE, x86asm.SETNE,
	x86asm.SETNO, x86asm.SETNP, x86asm.SETNS, x86asm.SETO, x86asm.SETP, x86asm.SETS}

// implied are the registers that operations write without naming them, and those that are not listed here may.
var implied = []amd64.Reg{amd64.RAX, amd64.RCX, amd64.RDX, amd64.RBX, amd64.RSI, amd64.RDI}

// writes reports whether s changes a register. What is not known for sure counts.
func (s *step) writes(r amd64.Reg) bool {
	switch s.Op {
	case 0: // a hypercall returns in registers that the hypervisor chooses; the others of special have none
		return s.hypercall && (slices.Contains(callerSaved, r) || slices.Contains(implied, r))
	case x86asm.PUSH, x86asm.PUSHF, x86asm.PUSHFQ, x86asm.POPF, x86asm.POPFQ:
		return r == amd64.RSP
	case x86asm.CALL:
		return slices.Contains(callerSaved, r)
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.CWD, x86asm.CDQ, x86asm.CQO, x86asm.RDTSC, x86asm.RDMSR, x86asm.RDPMC, x86asm.XGETBV,
		x86asm.CMPXCHG8B, x86asm.CMPXCHG16B:
		return r == amd64.RAX || r == amd64.RDX
	case x86asm.RDTSCP:
		return r == amd64.RAX || r == amd64.RDX || r == amd64.RCX
	case x86asm.CDQE, x86asm.CWDE, x86asm.CBW:
		return r == amd64.RAX
	case x86asm.IMUL:
		if s.Args[1] == nil {
			return r == amd64.RAX || r == amd64.RDX
		}
		return s.is(0, r)
	case x86asm.XCHG, x86asm.XADD:
		return s.is(0, r) || s.is(1, r)
	case x86asm.CMPXCHG:
		return s.is(0, r) || r == amd64.RAX
	case x86asm.POP:
		return s.is(0, r) || r == amd64.RSP
	case x86asm.LEAVE:
		return r == amd64.RBP || r == amd64.RSP
	}
	switch {
	case conditional(s.Op) || slices.Contains(silent, s.Op):
		return false
	case slices.Contains(plain, s.Op):
		return s.is(0, r)
	}
	return slices.Contains(implied, r) || s.is(0, r) || s.is(1, r)
}

// loads reports whether s, which writes a register, puts what it reads from memory there, or makes the value of it.
func (s *step) loads(r amd64.Reg) bool {
	switch s.Op {
	case x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.IMUL:
		return true
	case x86asm.XADD, x86asm.XCHG:
		return s.is(1, r)
	case x86asm.CMPXCHG, x86asm.LODSB, x86asm.LODSW, x86asm.LODSD, x86asm.LODSQ:
		return r == amd64.RAX
	}
	return slices.Contains(plain, s.Op)
}

// is reports whether an argument is a register or a part of it.
func (s *step) is(arg int, r amd64.Reg) bool {
	reg, ok := s.Args[arg].(x86asm.Reg)
	if !ok {
		return false
	}
	g, ok := general(reg)
	return ok && g == r
}
