package linux

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"kcatch/gdb/amd64"
)

// Load is an instruction that reads memory. Its address is known only with the registers that the vCPU had there.
type Load struct {
	PC   uint64 // run-time
	Size int    // bytes
	Text string // GNU syntax

	inst x86asm.Inst
	mem  x86asm.Mem
}

// Address is where the load reads, with the registers at PC.
func (l Load) Address(regs amd64.Registers) (addr uint64, ok bool) {
	regs.RIP = l.PC
	a, ok := memoryOperand(l.mem, l.inst, regs)
	return a.Addr, ok
}

// ErrNoLoad says that a value came from no memory that the function's own instructions show.
var ErrNoLoad = errors.New("not found in the function's code")

// PassedError says that a value came from no memory that the function reads, but from its caller, in these registers.
type PassedError struct{ Registers []amd64.Reg }

func (e *PassedError) Error() string {
	return fmt.Sprintf("it is the function's argument in %s", e.Registers[0])
}

// argumentRegisters pass the first arguments of a function (psABI, 3.2.3).
var argumentRegisters = []amd64.Reg{amd64.RDI, amd64.RSI, amd64.RDX, amd64.RCX, amd64.R8, amd64.R9}

// maxLoads bounds the loads of one question.
const maxLoads = 8

// ConditionLoads finds the memory that decided whether the trap at pc was reached: what the instructions read that set the flags of
// the conditional jumps on the last way there. Each group is one
// operand, by the loads that may have brought it; the last of a group that ran did. The error is a [*PassedError] where the caller
// brought it.
//
//	mov 0x34(%rdi),%eax; test %eax,%eax; je 1f; …; call dump_page; ud2; 1:     the mov
//	cmpl $0x0,0x34(%rdi); jne 2f; …; 2: ud2                                    the cmpl
func ConditionLoads(function []Code, pc uint64) ([][]Load, error) {
	f := flowOf(function)
	trap := f.at(pc)
	if trap < 0 {
		return nil, fmt.Errorf("the condition before 0x%x: %w", pc, ErrNoLoad)
	}
	var jumps []int
	f.back(trap, func(i int) bool {
		if !conditional(f.steps[i].Op) {
			return true
		}
		jumps = append(jumps, i)
		return false
	})
	var setters []int
	for _, j := range jumps {
		f.back(j, func(i int) bool {
			s := &f.steps[i]
			if setsFlags(s.Op) {
				if !slices.Contains(setters, i) {
					setters = append(setters, i)
				}
				return false
			}
			return s.keepsFlags()
		})
	}
	// One jump compares one or two operands. Several jumps come to one trap when the condition is an || of parts: then each of
	// their operands is a group, and those that did not run were read by nobody.
	slices.Sort(setters)
	var groups [][]Load
	var passed []amd64.Reg
	for _, i := range setters {
		for n := range f.steps[i].Args {
			g, from := f.operand(i, n)
			passed = append(passed, from.passed...)
			if len(g) > 0 && len(groups) < maxLoads {
				groups = append(groups, g)
			}
		}
	}
	switch {
	case len(groups) > 0:
	case len(passed) > 0:
		return nil, &PassedError{passed}
	default:
		return nil, fmt.Errorf("the condition before 0x%x: %w", pc, ErrNoLoad)
	}
	return groups, nil
}

// operand is where argument n of instruction i comes from: memory it reads itself, or that its register was loaded from.
func (f *flow) operand(i, n int) ([]Load, elsewhere) {
	s := &f.steps[i]
	switch a := s.Args[n].(type) {
	case x86asm.Mem:
		if l, ok := s.load(); ok {
			return []Load{l}, elsewhere{}
		}
	case x86asm.Reg:
		if n > 0 && s.Args[0] == s.Args[n] {
			return nil, elsewhere{} // test %eax,%eax
		}
		if r, ok := general(a); ok {
			return f.reaching(i, r)
		}
	}
	return nil, elsewhere{}
}

// PointerLoads finds the memory that the bad pointer of an access at regs.RIP was loaded from: by the register that its address is
// made of, the base before the index, or one that is not canonical. The last of the loads that ran did it. call says that
// regs.RIP is after a call instruction through a bad pointer. The error is a [*PassedError] where the caller brought it.
//
//	mov 0x8(%rdi),%rdx; mov (%rdi),%rax; mov %rdx,0x8(%rax)     the second mov, for a bad rax
//	call *0x18(%rax)                                            itself
func PointerLoads(function []Code, regs amd64.Registers, call bool) ([]Load, error) {
	f := flowOf(function)
	i := f.at(regs.RIP)
	if call {
		i = slices.IndexFunc(f.steps, func(s step) bool { return s.pc+uint64(s.Len) == regs.RIP })
	}
	if i < 0 || i >= len(f.steps) || call && f.steps[i].Op != x86asm.CALL {
		return nil, fmt.Errorf("the access at 0x%x: %w", regs.RIP, ErrNoLoad)
	}
	s := &f.steps[i]
	var r amd64.Reg
	ok := false
	if call {
		if l, is := s.load(); is {
			return []Load{l}, nil
		}
		if reg, is := s.Args[0].(x86asm.Reg); is {
			r, ok = general(reg)
		}
	} else {
		r, ok = s.bad(regs)
	}
	if !ok {
		return nil, fmt.Errorf("the access at 0x%x: %w", regs.RIP, ErrNoLoad)
	}
	loads, from := f.reaching(i, r)
	if err := from.err(loads); err != nil {
		return nil, fmt.Errorf("%s, through which 0x%x went: %w", r, regs.RIP, err)
	}
	return loads, nil
}

// ArgumentLoads finds the memory that an argument came from which a function passed to another: in register r, by the call that ends
// at ret. The call must be one of the callee, by its run-time entry: a function that was called and then jumped there, as a tail call
// does, may have changed the arguments, and where a call through a pointer went is not known. The error is a [*PassedError] where
// it had it from its own caller.
func ArgumentLoads(function []Code, ret uint64, r amd64.Reg, callee uint64) ([]Load, error) {
	f := flowOf(function)
	i := slices.IndexFunc(f.steps, func(s step) bool { return s.pc+uint64(s.Len) == ret && s.Op == x86asm.CALL })
	if i < 0 {
		return nil, fmt.Errorf("the call before 0x%x: %w", ret, ErrNoLoad)
	}
	rel, direct := f.steps[i].Args[0].(x86asm.Rel)
	switch {
	case !direct:
		return nil, fmt.Errorf("the call before 0x%x is through a pointer: who was given %s by it is not known", ret, r)
	case ret+uint64(int64(rel)) != callee:
		return nil, fmt.Errorf("the call before 0x%x is of another function, which jumped: what that made of %s is not known", ret, r)
	}
	loads, from := f.reaching(i, r)
	if err := from.err(loads); err != nil {
		return nil, fmt.Errorf("%s, which the call before 0x%x passes: %w", r, ret, err)
	}
	return loads, nil
}

// elsewhere is where a value came from that was not loaded.
type elsewhere struct {
	passed []amd64.Reg // an argument of the function
	why    string
}

// err is nil where there are loads.
func (e elsewhere) err(loads []Load) error {
	switch {
	case len(loads) > 0:
		return nil
	case len(e.passed) > 0:
		return &PassedError{e.passed}
	case e.why == "":
		return errors.New("it is set nowhere in the function")
	}
	return errors.New(e.why)
}

// DivisorLoads finds the memory that the divisor of the division at pc came from.
func DivisorLoads(function []Code, pc uint64) ([]Load, error) {
	f := flowOf(function)
	if i := f.at(pc); i >= 0 && (f.steps[i].Op == x86asm.DIV || f.steps[i].Op == x86asm.IDIV) {
		loads, from := f.operand(i, 0)
		if err := from.err(loads); err != nil {
			return nil, fmt.Errorf("the divisor at 0x%x: %w", pc, err)
		}
		return loads, nil
	}
	return nil, fmt.Errorf("the divisor at 0x%x: %w", pc, ErrNoLoad)
}

// bad is the register whose value made an address bad.
func (s *step) bad(regs amd64.Registers) (amd64.Reg, bool) {
	var first amd64.Reg
	found := false
	consider := func(r amd64.Reg) bool {
		if !found {
			first, found = r, true
		}
		top := int64(regs.Get(r)) >> 47
		if top != 0 && top != -1 {
			first = r
			return true
		}
		return false
	}
	for _, a := range s.Args {
		m, ok := a.(x86asm.Mem)
		if !ok {
			continue
		}
		for _, reg := range []x86asm.Reg{m.Base, m.Index} {
			if r, ok := general(reg); ok && reg != 0 && consider(r) {
				return first, true
			}
		}
	}
	if !found { // rep stos and the like name no memory
		switch s.Op {
		case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSD, x86asm.MOVSQ:
			if consider(amd64.RSI) {
				return first, true
			}
			consider(amd64.RDI)
		case x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ:
			consider(amd64.RDI)
		}
	}
	return first, found
}

// reaching are the loads that may have brought the value of a register before instruction i, through copies and arithmetic, and where
// else it may have come from.
func (f *flow) reaching(i int, r amd64.Reg) (loads []Load, from elsewhere) {
	type question struct {
		i int
		r amd64.Reg
	}
	seen := map[question]bool{}
	todo := []question{{i, r}}
	for len(todo) > 0 && len(seen) < maxFlow {
		q := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[q] {
			continue
		}
		seen[q] = true
		passed := func(n int) {
			if f.steps[n].pc == f.entry && slices.Contains(argumentRegisters, q.r) && !slices.Contains(from.passed, q.r) {
				from.passed = append(from.passed, q.r)
			}
		}
		passed(q.i)
		f.back(q.i, func(n int) bool {
			s := &f.steps[n]
			if !s.writes(q.r) {
				passed(n)
				return true
			}
			l, is := s.load()
			switch {
			case s.Op == x86asm.CALL:
				from.why = "a function returned it, or a call changed the register"
			case is && s.loads(q.r):
				if len(loads) < maxLoads && !slices.ContainsFunc(loads, func(m Load) bool { return m.PC == l.PC }) {
					loads = append(loads, l)
				}
			default:
				if next, ok := s.source(q.r); ok {
					todo = append(todo, question{n, next})
				} else {
					from.why = "it is computed by " + s.text()
				}
			}
			return false
		})
	}
	slices.SortFunc(loads, func(a, b Load) int { return cmp.Compare(a.PC, b.PC) })
	return loads, from
}

// text is the instruction in GNU syntax.
func (s *step) text() string {
	if s.hypercall {
		return "a hypercall"
	}
	return gnuText(s.Inst, s.pc, nil)
}

// source is the register that s makes r of.
func (s *step) source(r amd64.Reg) (amd64.Reg, bool) {
	switch s.Op {
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD:
		if reg, ok := s.Args[1].(x86asm.Reg); ok {
			return general(reg)
		}
	case x86asm.LEA:
		if m, ok := s.Args[1].(x86asm.Mem); ok && m.Base != 0 && m.Base != x86asm.RIP {
			return general(m.Base)
		}
	case x86asm.XOR:
		return r, s.Args[0] != s.Args[1]
	case x86asm.ADD, x86asm.SUB, x86asm.INC, x86asm.DEC, x86asm.AND, x86asm.OR, x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.NEG, x86asm.NOT,
		x86asm.BTS, x86asm.BTR, x86asm.ADC, x86asm.SBB, x86asm.ROL, x86asm.ROR, x86asm.CDQE:
		return r, true
	}
	return 0, false
}

// load is s as a load: with a memory operand that it reads.
func (s *step) load() (Load, bool) {
	if s.Op == x86asm.LEA || s.Op == x86asm.NOP || s.Op == 0 {
		return Load{}, false
	}
	for n, a := range s.Args {
		m, ok := a.(x86asm.Mem)
		if !ok {
			continue
		}
		if read, _ := direction(s.Op, n == 0); !read {
			continue
		}
		size := s.MemBytes
		if size == 0 {
			size = 8
		}
		return Load{PC: s.pc, Size: size, Text: gnuText(s.Inst, s.pc, nil), inst: s.Inst, mem: m}, true
	}
	return Load{}, false
}
