package autopsy

import (
	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
)

// memory is what a vCPU's stack is read through, as a rule its own page tables. Where these do not even map the kernel code
// that it executes (a smashed CR3), the kernel's own do: init_top_pgt (arch/x86/kernel/head_64.S), and for what that does not
// map yet, the kernel's place in RAM. why says so then.
func (s *Scene) memory(regs amd64.Registers) (mem linux.Memory, why string) {
	own := guest.NewSpace(s.RAM, regs)
	image := s.kernelMemory()
	if _, err := own.ReadMemory(make([]byte, 1), regs.RIP); err == nil || image == nil {
		return own, ""
	}
	switch {
	case s.inIdentity(regs.RIP):
		return physical{s.RAM}, "its page tables do not map its code; read by physical addresses"
	case regs.RIP < guest.StartKernelMap:
		return own, ""
	}
	out := fallback{image}
	if sym, ok := s.Kernel.Symbol("init_top_pgt"); ok {
		own.CR3 = s.Placement.Physical(s.Placement.Run(uint64(sym.Addr)))
		out = fallback{own, image}
	}
	return out, "its page tables do not map its code; read through the kernel's own"
}

// physical reads memory as startup_64 has it mapped, each address at itself.
type physical struct{ ram guest.Physical }

func (m physical) ReadMemory(p []byte, addr uint64) (int, error) { return m.ram.ReadPhysical(p, addr) }

// fallback reads through the first of its memories that has all of what is asked for.
type fallback []linux.Memory

func (f fallback) ReadMemory(p []byte, addr uint64) (n int, err error) {
	for _, mem := range f {
		if n, err = mem.ReadMemory(p, addr); err == nil {
			return n, nil
		}
	}
	return n, err
}
