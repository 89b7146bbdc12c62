package autopsy

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
)

// FrameScope is what names mean in one function of a chain, for expressions: its variables, then the kernel's. Of a per-CPU variable it is
// that of the vCPU. It is a [value.Scope].
type FrameScope struct {
	scene  *Scene
	mem    linux.Memory
	gsBase uint64 // of the vCPU, where its per-CPU area is; 0 is not known
	rflags uint64 // as the function had them; 0 is not known, for bit 1 is always set
	locals map[string]value.Value
	kept   map[string]string // of the locals, as in [Variable]
	// file has the function's code, at anchor: the kernel's, or a module's, which is asked before the kernel's then. anchor 0 is none.
	file   *vmlinux.File
	anchor vmlinux.Addr
	byLog  string // the local whose value is not the debug information's but the kernel's log's
}

// Scope is the scope of Frames[frame] of a chain. A chain of nil, or one that was not walked, has the kernel's variables alone. It
// reads the machine when it is asked: after a kernel has lived on, memory may hold something else.
func (s *Scene) Scope(c *Chain, frame int) *FrameScope {
	f := &FrameScope{scene: s, mem: noMemory{}}
	for _, regs := range s.deathRegs() {
		f.mem, _ = s.memory(regs)
		f.gsBase = areaOf(regs)
		break
	}
	if image := s.kernelMemory(); image != nil {
		f.mem, f.file = fallback{f.mem, image}, s.Kernel.File
	}
	if c == nil || c.acts == nil || f.file == nil || frame < 0 || frame >= len(c.Frames) {
		return f
	}
	f.mem, f.gsBase = fallback{c.acts.s.mem, f.mem}, areaOf(c.Regs)
	f.locals, f.kept = make(map[string]value.Value), make(map[string]string)
	for _, v := range c.Variables(frame, true) {
		f.locals[v.Name], f.kept[v.Name] = v.Value, v.Kept // of two of one name the inner block's
	}
	f.rflags = flagsAt(c, frame)
	if file, at := c.acts.s.fileAt(uint64(c.Frames[frame].PC)); file != nil {
		f.file, f.anchor = file, at
	}
	return f
}

// areaOf is where the per-CPU area of a vCPU is, which GS points to in the kernel; swapgs at its way out to ring 3 has put it into
// MSR_KERNEL_GS_BASE (arch/x86/entry/entry_64.S).
func areaOf(regs amd64.Registers) uint64 {
	if regs.GSBase>>63 == 0 && regs.KernelGSBase>>63 != 0 {
		return regs.KernelGSBase
	}
	return regs.GSBase
}

// flagsAt is the flags register as an exception found it in Frames[frame], or in a function that is inlined into it.
func flagsAt(c *Chain, frame int) uint64 {
	for i := range c.Traps {
		at := c.Traps[i].Index
		for at < frame && c.Frames[at].Inline {
			at++
		}
		if at == frame {
			return c.Traps[i].Regs.EFLAGS
		}
	}
	return 0
}

// scope is that of the frame at fault. It is to be called after Examine.
func (s *Scene) scope() *FrameScope {
	switch d := &s.death; {
	case d.scope != nil:
		return d.scope
	case d.finding != nil:
		return s.Scope(d.chain, d.finding.Frame)
	}
	return s.Scope(nil, 0)
}

// noMemory is the memory of a machine of which nothing is known.
type noMemory struct{}

func (noMemory) ReadMemory(_ []byte, addr uint64) (int, error) {
	return 0, &guest.FaultError{Addr: addr, Reason: guest.NotPresent}
}

var errNoKernel = errors.New("the kernel was not found in the guest's memory")

// ReadMemory reads through the vCPU's page tables, and where these fail from the kernel's place in RAM.
func (f *FrameScope) ReadMemory(p []byte, addr uint64) (int, error) { return f.mem.ReadMemory(p, addr) }

// Variable finds a local, an argument, a variable or function of the kernel, or one of its page flags (PG_head).
func (f *FrameScope) Variable(name string) (value.Value, bool, error) {
	if v, ok := f.locals[name]; ok {
		return v, true, nil
	}
	if f.file == nil {
		return value.Value{}, false, errNoKernel
	}
	if v, ok := f.enumerator(name); ok {
		return v, true, nil
	}
	if f.file != f.scene.Kernel.File {
		if v, ok, err := f.global(f.file, name); ok || err != nil {
			return v, ok, err
		}
	}
	v, ok, err := f.global(f.scene.Kernel.File, name)
	if path, is := ofCPU[name]; is && !ok && err == nil {
		return f.ofCPU(path)
	}
	return v, ok, err
}

// ofCPU are names for what belongs to the vCPU, and where it is if there is no such variable: since 6.2 much of it is in one structure
// (Linux "x86/percpu: Move preempt_count next to current_task" and others).
var ofCPU = map[string][]string{
	"current":         {"current_task", "pcpu_hot.current_task"},
	"current_task":    {"pcpu_hot.current_task"},
	"cpu_number":      {"pcpu_hot.cpu_number"},
	"__preempt_count": {"pcpu_hot.preempt_count"},
	"__rflags":        nil,
}

func (f *FrameScope) ofCPU(paths []string) (value.Value, bool, error) {
	if paths == nil {
		long := dwarf.CommonType{Name: "unsigned long", ByteSize: 8}
		v := value.Value{Type: &dwarf.UintType{BasicType: dwarf.BasicType{CommonType: long}}}
		if v.Bytes = binary.LittleEndian.AppendUint64(nil, f.rflags); f.rflags == 0 {
			v.Bytes, v.Err = nil, errors.New("the flags are not known")
		}
		return v, true, nil
	}
	for _, path := range paths {
		name, member, _ := strings.Cut(path, ".")
		if _, ok := f.scene.Kernel.Symbol(name); !ok {
			continue
		}
		if member == "" {
			return f.global(f.scene.Kernel.File, name)
		}
		e, err := value.Parse(path)
		if err != nil {
			return value.Value{}, false, err
		}
		v, err := e.Eval(f)
		return v, v.HasAddr || err == nil, err
	}
	return value.Value{}, false, nil
}

// global is a variable or a function of a file.
func (f *FrameScope) global(file *vmlinux.File, name string) (value.Value, bool, error) {
	sym, ok := file.Symbol(name)
	if !ok {
		return value.Value{}, false, nil
	}
	if file.IsText(sym.Addr) {
		return value.Value{Type: &dwarf.FuncType{}, Addr: f.run(file, sym.Addr), HasAddr: true}, true, nil
	}
	link, typ, err := file.Global(name)
	if err != nil {
		return value.Value{}, false, fmt.Errorf("its type is not known: %w", err)
	}
	if file.PerCPU(link) {
		if f.gsBase>>63 == 0 { // not yet, or user space's
			return value.Value{Type: typ, Err: errPerCPU}, true, nil
		}
		start, _ := file.Symbol("__per_cpu_start") // 0 before 6.15: what is linked there is an offset
		return value.Value{Type: typ, Addr: f.gsBase + uint64(link-start.Addr), HasAddr: true}, true, nil
	}
	return value.Value{Type: typ, Addr: f.run(file, link), HasAddr: true}, true, nil
}

// run is the run-time address of a link address. A module is linked where it runs.
func (f *FrameScope) run(file *vmlinux.File, link vmlinux.Addr) uint64 {
	if file != f.scene.Kernel.File {
		return uint64(link)
	}
	return f.scene.Placement.Run(uint64(link))
}

// enumerator finds a constant of the enums that page flags are tested with. Others cannot be found by name: DWARF has no index of
// enumerators.
func (f *FrameScope) enumerator(name string) (value.Value, bool) {
	enum := ""
	switch {
	case strings.HasPrefix(name, "PG_"):
		enum = "enum pageflags"
	case strings.HasPrefix(name, "PGTY_"):
		enum = "enum pagetype"
	default:
		return value.Value{}, false
	}
	typ, err := f.Type(enum)
	if err != nil {
		return value.Value{}, false
	}
	e, ok := value.Resolve(typ).(*dwarf.EnumType)
	if !ok {
		return value.Value{}, false
	}
	for _, c := range e.Val {
		if c.Name == name {
			b := binary.LittleEndian.AppendUint64(nil, uint64(c.Val))
			return value.Value{Type: typ, Bytes: b[:min(8, value.SizeOf(typ))]}, true
		}
	}
	return value.Value{}, false
}

// Type finds a type by its C name, first in the unit of the function.
func (f *FrameScope) Type(name string) (dwarf.Type, error) {
	if f.file == nil {
		return nil, errNoKernel
	}
	t, err := f.file.Type(f.anchor, name)
	if err != nil && f.file != f.scene.Kernel.File {
		return f.scene.Kernel.Type(0, name)
	}
	return t, err
}

// Complete gives a declared structure its members.
func (f *FrameScope) Complete(t dwarf.Type) (dwarf.Type, error) {
	if f.file == nil {
		return t, errNoKernel
	}
	full, err := f.file.Complete(t)
	if err != nil && f.file != f.scene.Kernel.File {
		return f.scene.Kernel.Complete(t)
	}
	return full, err
}
