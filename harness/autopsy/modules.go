package autopsy

import (
	"errors"

	"kcatch/gdb/amd64"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// loadedModules reads the kernel's list of modules, once for a scene: the machine stands still. regs are those of a vCPU in
// 64-bit mode.
func (s *Scene) loadedModules(regs amd64.Registers) *kernel.Modules {
	if s.modules.read || s.Kernel == nil || s.Placement == nil || regs.EFER&amd64.EFERLMA == 0 {
		return s.modules.list
	}
	s.modules.read = true
	s.modules.list, s.modules.err = s.Kernel.Modules(s.RAM, *s.Placement, regs, s.ModuleFiles)
	return s.modules.list
}

// modulesOf is the scene's view of the modules. It is a value of its own so that a Scene can be copied before it is read.
type modulesOf struct {
	read bool
	list *kernel.Modules
	err  error
}

// inModuleArea reports whether modules may be at an address: behind the kernel's 512 MiB (1 GiB with CONFIG_RANDOMIZE_BASE), up
// to MODULES_END (arch/x86/include/asm/pgtable_64_types.h).
func inModuleArea(addr uint64) bool {
	return addr >= 0xffffffffa0000000 && addr < 0xffffffffff000000
}

// image is the kernel's code and its modules', for a walk.
func image(k *unwind.Kernel, mods *kernel.Modules) unwind.Image {
	loaded := mods.Images(k)
	if len(loaded) == 0 {
		return k
	}
	return append(unwind.Images{k}, loaded...)
}

// locateModule names the functions at a run-time address of a module, innermost first: the function by the symbols in the
// guest's memory, lines and inlined ones by the module's .ko where there is one.
func locateModule(m *kernel.Module, pc unwind.PC, base verdict.Frame) []verdict.Frame {
	at := pc.Lookup()
	base.Module = m.Name
	sym, named := m.SymbolAt(at)
	if named {
		nameBySymbol(&base, sym.Name)
		base.Offset, base.Size = pc.Addr-sym.Addr, sym.Size
	}
	locations, err := m.Locate(at)
	if err != nil {
		base.Reason = "no lines: " + err.Error()
		if errors.Is(err, kernel.ErrNoModuleFile) {
			base.Reason = err.Error()
		}
	}
	return spread(base, sym.Name, locations)
}

// spread makes a frame of each location; symbol is the name of the symbol that all of them are in, if any.
func spread(base verdict.Frame, symbol string, locations []vmlinux.Location) []verdict.Frame {
	if len(locations) == 0 {
		return []verdict.Frame{base}
	}
	var out []verdict.Frame
	for _, l := range locations {
		v := base
		v.Function, v.File, v.Line, v.Inline, v.Outside = l.Function, l.File, l.Line, l.Inline, l.Outside
		v.Symbol = ""
		if v.Function == "" {
			v.Function, v.Symbol = base.Function, base.Symbol
		}
		if !l.Inline && symbol != "" && symbol != v.Function {
			v.Symbol = symbol
		}
		out = append(out, v)
	}
	return out
}

// moduleFunction finds the function that a line of the log names: "f+0x10/0x20 [module]". The kernel gives the distance to the
// next symbol for a size. ok is false where the module is gone, or has no such function or several.
func moduleFunction(m *kernel.Module, at logPlace) (found linux.ModuleSymbol, ok bool) {
	if m == nil {
		return found, false
	}
	for _, f := range m.Function(at.Symbol) {
		if f.Span != at.Size && f.Size != at.Size {
			continue
		}
		if ok {
			return linux.ModuleSymbol{}, false
		}
		found, ok = f, true
	}
	return found, ok
}
