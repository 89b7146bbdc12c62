package autopsy

import (
	"encoding/binary"
	"slices"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
)

// WriterOf is the backtrace of a vCPU that stands at a write watchpoint after it wrote to the bytes [at, at+size), run-time.
//
//	mov %rax,(%rdi); next      rip is at next: the writer is the instruction before, found at rip - 1
//	rep stos; next             rip is at rep stos itself, also after its last round (QEMU counts each as an instruction)
//	call f                     rip is at f, and the return address, on the stack that is watched, is after the call
//	an exception's frame       rip is at the handler's entry, which the CPU wrote the frame for
func (s *Scene) WriterOf(cpu int, regs amd64.Registers, at uint64, size int) Chain {
	c := Chain{CPU: cpu, Regs: regs}
	code := make([]byte, linux.MaxInstruction)
	mem, _ := s.memory(regs)
	n, _ := mem.ReadMemory(code, regs.RIP)
	if from, count, ok := linux.LastStored(code[:n], regs); ok && from < at+uint64(size) && at < from+count {
		c.Rep = true
		return s.chain(c)
	}
	if s.atEntry(regs.RIP) {
		var top [8]byte
		_, err := mem.ReadMemory(top[:], regs.RSP)
		c = s.chain(c)
		ret := binary.LittleEndian.Uint64(top[:])
		if err == nil && c.calledFrom(ret) {
			c.dropInnermost()
		}
		return c
	}
	c.Wrote = true
	return s.chain(c)
}

// atEntry reports whether pc is the first instruction of a function.
func (s *Scene) atEntry(pc uint64) bool {
	if s.Kernel == nil || s.Placement == nil {
		return false
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		return false
	}
	link, ok := k.Link(pc)
	if !ok {
		return false
	}
	sym, ok := s.symbolAt(link)
	return ok && uint64(sym.Addr) == link
}

func (s *Scene) symbolAt(link uint64) (vmlinux.Symbol, bool) {
	return s.Kernel.SymbolAt(vmlinux.Addr(link))
}

// innermost is how many frames the first physical one shows: the functions inlined at its pc, and the function itself.
func (c *Chain) innermost() int {
	n := min(1, len(c.Frames))
	for n > 0 && n < len(c.Frames) && c.Frames[n-1].Inline {
		n++
	}
	return n
}

// calledFrom reports whether the first physical frame returns to an address.
func (c *Chain) calledFrom(ret uint64) bool {
	n := c.innermost()
	return n < len(c.Frames) && uint64(c.Frames[n].PC) == ret
}

// dropInnermost takes the first physical frame out of a chain: that of a function which has done nothing yet.
func (c *Chain) dropInnermost() {
	n := c.innermost()
	c.Frames = c.Frames[n:]
	c.Traps = slices.DeleteFunc(c.Traps, func(t Trap) bool { return t.Index < n })
	for i := range c.Traps {
		c.Traps[i].Index -= n
	}
	c.acts.drop(n)
}
