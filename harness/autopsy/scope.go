package autopsy

import (
	"debug/dwarf"
	"errors"

	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
)

// scope is what the names of a C expression mean where the kernel died: the variables of the frame at fault, then the kernel's
// global ones. It satisfies value.Scope.
type scope struct {
	scene *Scene
	linux.Memory
	local  func(name string) (value.Value, bool, error) // nil when there is no frame at fault
	anchor vmlinux.Addr                                 // code whose unit is asked for a type first
}

// scope is to be called after Examine.
func (s *Scene) scope() scope {
	sc := scope{scene: s, Memory: noMemory{}}
	if regs := s.deathRegs(); len(regs) > 0 {
		sc.Memory, _ = s.memory(regs[0])
	}
	if mem := s.kernelMemory(); mem != nil {
		sc.Memory = fallback{sc.Memory, mem}
	}
	return sc
}

// noMemory is the memory of a machine of which nothing is known.
type noMemory struct{}

func (noMemory) ReadMemory(_ []byte, addr uint64) (int, error) {
	return 0, &guest.FaultError{Addr: addr, Reason: guest.NotPresent}
}

var errNoKernel = errors.New("the kernel was not found in the guest's memory")

// Variable finds a local variable of the frame at fault, or a global one. Of a per-CPU variable it is that of the vCPU that died.
func (sc scope) Variable(name string) (value.Value, bool, error) {
	if sc.local != nil {
		if v, ok, err := sc.local(name); ok || err != nil {
			return v, ok, err
		}
	}
	s := sc.scene
	if s.Kernel == nil || s.Placement == nil {
		return value.Value{}, false, errNoKernel
	}
	if sym, ok := s.Kernel.Symbol(name); !ok || sym.Func {
		return value.Value{}, false, nil
	}
	link, t, err := s.Kernel.Global(name)
	if err != nil {
		return value.Value{}, false, err
	}
	v := value.Value{Type: t, Addr: s.Placement.Run(uint64(link)), HasAddr: true}
	if s.Kernel.PerCPU(link) {
		regs := s.deathRegs()
		if len(regs) == 0 || regs[0].GSBase>>63 == 0 {
			return value.Value{}, false, errors.New("per-CPU variable " + name + ": the vCPU's area is not known")
		}
		text, _ := s.Kernel.Symbol("__per_cpu_start") // 0 before 6.15: what is linked there is an offset
		v.Addr = regs[0].GSBase + uint64(link-text.Addr)
	}
	return v, true, nil
}

// Type finds a type by its C name.
func (sc scope) Type(name string) (dwarf.Type, error) {
	if sc.scene.Kernel == nil {
		return nil, errNoKernel
	}
	return sc.scene.Kernel.Type(sc.anchor, name)
}

// Complete gives a declared structure its members.
func (sc scope) Complete(t dwarf.Type) (dwarf.Type, error) {
	if sc.scene.Kernel == nil {
		return t, errNoKernel
	}
	return sc.scene.Kernel.Complete(t)
}
