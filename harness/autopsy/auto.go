package autopsy

import (
	"errors"
	"fmt"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
)

// Suspect is the memory that a death makes one ask about, as the instructions that read it: each group is one piece of memory, and
// the last load of it that ran before the death tells where that is.
type Suspect struct {
	What   string // "the condition of the BUG read it"
	Groups [][]linux.Load
	Regs   amd64.Registers // of the vCPU that died
}

// Suspect finds the memory that the failed condition read, or where the access went through a bad pointer, the memory that
// the pointer was loaded from; by its caller where it was an argument. It is to be called after Examine. The error is one line that
// says why nothing is known.
func (s *Scene) Suspect() (Suspect, error) {
	f := s.death.finding
	if f == nil || f.Trap == nil || s.death.chain == nil {
		return Suspect{}, errors.New("the death is no exception of which the code would tell what it read")
	}
	t := f.Trap
	at := callers(s.death.chain, t)
	out := Suspect{Regs: t.Regs}
	var err error
	one := func(loads []linux.Load, lerr error) { out.Groups, err = [][]linux.Load{loads}, lerr }
	code, regs := s.function(t.PC), t.Regs
	switch regs.RIP = t.PC; {
	case t.Returned:
		return Suspect{}, fmt.Errorf("the pc came from a return address on the stack, the word at 0x%x, which is no one's variable", t.Regs.RSP-8)
	case t.WildPC && len(at) > 0: // it came from a call, which the caller's frame is after
		out.What = "the pointer that was called was loaded from it"
		regs.RIP = at[0]
		code = s.function(at[0] - 1)
		one(linux.PointerLoads(code, regs, true))
		at = at[1:]
	case t.Vector == amd64.PageFault || t.Vector == amd64.GeneralProtection || t.Vector == amd64.StackFault:
		out.What = "the pointer of the access that faulted was loaded from it"
		one(linux.PointerLoads(code, regs, false))
	case t.Vector == amd64.DivideError:
		out.What = "the divisor was loaded from it"
		one(linux.DivisorLoads(code, t.PC))
	case t.Vector == amd64.InvalidOpcode:
		out.What = "the condition that failed read it"
		out.Groups, err = linux.ConditionLoads(code, t.PC)
	default:
		return Suspect{}, fmt.Errorf("a %s reads nothing that somebody wrote", t.Vector)
	}
	for depth := 0; err != nil && depth < min(len(at), maxPassed); depth++ {
		passed, ok := errors.AsType[*linux.PassedError](err)
		if !ok {
			break
		}
		callee := code[0].Start
		code = s.function(at[depth] - 1)
		one(linux.ArgumentLoads(code, at[depth], passed.Registers[0], callee))
	}
	if err != nil {
		return Suspect{}, err
	}
	return out, nil
}

// maxPassed is how many callers outward an argument is followed.
const maxPassed = 4

// callers are the return addresses of the frames outward from a trap, up to the next exception. Those of a recursion are equal.
func callers(c *Chain, t *Trap) (all []uint64) {
	own := true
	for i := t.Index; i < len(c.Frames); i++ {
		f := &c.Frames[i]
		if f.Exception != nil && i > t.Index {
			break
		}
		if f.Inline { // at the pc of the function that owns the code
			continue
		}
		if pc := uint64(f.PC); !own || pc != t.PC {
			all = append(all, pc)
		}
		own = false
	}
	return all
}

// function is the code of the function around a run-time address, both parts of one that is split, the one with the entry first; nil
// when it is not known.
func (s *Scene) function(pc uint64) []linux.Code {
	if m := s.modules.list.At(pc); m != nil {
		if sym, ok := m.SymbolAt(pc); ok {
			return s.code(sym.Addr, max(sym.Size, sym.Span))
		}
		return nil
	}
	if s.Kernel == nil || s.Placement == nil {
		return nil
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		return nil
	}
	link, ok := k.Link(pc)
	if !ok {
		return nil
	}
	sym, ok := s.symbolAt(link)
	if !ok {
		return nil
	}
	run := pc - link // for startup_64 that is its physical place
	parts := s.code(run+uint64(sym.Addr), sym.Size)
	other, split := strings.CutSuffix(sym.Name, ".cold")
	if !split {
		other = sym.Name + ".cold"
	}
	o, ok := s.Kernel.Symbol(other)
	switch {
	case !ok:
		return parts
	case split: // the entry is in the other part
		return append(s.code(run+uint64(o.Addr), o.Size), parts...)
	}
	return append(parts, s.code(run+uint64(o.Addr), o.Size)...)
}

// maxFunction bounds the code of one function, in bytes.
const maxFunction = 64 << 10

func (s *Scene) code(addr, size uint64) []linux.Code {
	b := make([]byte, min(size, maxFunction))
	n := s.readCode(b, addr)
	return []linux.Code{{Start: addr, Bytes: b[:n]}}
}

// PlaceOf is the memory that a load read at an address.
func (s *Scene) PlaceOf(l linux.Load, addr uint64) (Place, error) {
	return s.place(fmt.Sprintf("*(%s *)0x%x", unsigned(l.Size), addr), addr, l.Size)
}

// unsigned is the kernel's name of an unsigned integer of so many bytes.
func unsigned(size int) string {
	switch size {
	case 1, 2, 4, 8:
		return fmt.Sprintf("u%d", 8*size)
	}
	return fmt.Sprintf("u8 [%d]", size)
}

// LoadAt says where a load is, for a reader: "mov 0x34(%rdi),%eax in init_unavailable_range  mm/page_alloc.c:6958".
func (s *Scene) LoadAt(l linux.Load) string {
	if s.Kernel == nil || s.Placement == nil {
		return l.Text
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		return l.Text
	}
	sym := symbolizer{file: s.Kernel, kernel: k, image: k, mods: s.modules.list, place: *s.Placement}
	frames := sym.frames(unwind.Frame{PC: unwind.PC{Addr: l.PC, Kind: unwind.Exact}})
	return l.Text + " in " + place(&frames[0])
}
