package linux

import (
	"errors"
	"fmt"

	"kcatch/gdb/vmlinux"
)

// ModuleLayout is where the members of struct module are, as byte offsets. An offset of -1: no such member.
type ModuleLayout struct {
	Size              int
	List, State, Name int
	NameSize          int // bytes
	// Texts are where the code is: {pointer to it, its bytes as u32}.
	Texts []ModuleText
	// Kallsyms points to a struct mod_kallsyms (CONFIG_KALLSYMS), with Symtab, NumSymtab and Strtab in it.
	Kallsyms, Symtab, NumSymtab, Strtab int
	// The ORC table (CONFIG_UNWINDER_ORC): u32, and two pointers.
	NumORCs, ORCIPs, ORCRows int
	// The bug table (CONFIG_GENERIC_BUG): u32, and a pointer.
	NumBugs, BugTable int
}

// ModuleText is where struct module says where one part of the code is. Init is the part that is freed after the module's
// init function.
type ModuleText struct {
	Base, Size int
	Init       bool
}

// Indices of module.mem[], enum mod_mem_type (include/linux/module.h).
const (
	modText     = 0
	modInitText = 4
	modMemTypes = 7
)

// ModuleLayoutFrom takes the layout from DWARF's struct module and struct mod_kallsyms; the latter is nil without
// CONFIG_KALLSYMS. Code is in core_layout and init_layout, each beginning with its text_size bytes of it, and in mem[] since
// v6.4 (Linux ac3b43283923, "module: replace module_layout with module_memory").
func ModuleLayoutFrom(module vmlinux.Struct, kallsyms *vmlinux.Struct) (ModuleLayout, error) {
	at := func(path string) int {
		f, ok := module.Field(path)
		if !ok || f.Offset > maxModuleStruct {
			return -1
		}
		return int(f.Offset)
	}
	l := ModuleLayout{
		Size: int(min(module.Size, maxModuleStruct+1)), List: at("list"), State: at("state"), Name: at("name"),
		Kallsyms: at("kallsyms"), Symtab: -1, NumSymtab: -1, Strtab: -1,
		NumORCs: at("arch.num_orcs"), ORCIPs: at("arch.orc_unwind_ip"), ORCRows: at("arch.orc_unwind"),
		NumBugs: at("num_bugs"), BugTable: at("bug_table"),
	}
	if f, ok := module.Field("name"); ok {
		l.NameSize = int(min(f.Size, 256))
	}
	if mem, ok := module.Field("mem"); ok && mem.Count == modMemTypes && mem.Size%modMemTypes == 0 {
		for _, t := range []struct {
			index int
			init  bool
		}{{modText, false}, {modInitText, true}} {
			skip := int(mem.Size/modMemTypes) * t.index
			l.Texts = append(l.Texts, ModuleText{Base: at("mem.base") + skip, Size: at("mem.size") + skip, Init: t.init})
		}
	} else {
		l.Texts = []ModuleText{{at("core_layout.base"), at("core_layout.text_size"), false}, {at("init_layout.base"), at("init_layout.text_size"), true}}
	}
	if kallsyms != nil {
		k := structLayout{*kallsyms}
		for _, m := range []struct {
			to   *int
			name string
		}{{&l.Symtab, "symtab"}, {&l.NumSymtab, "num_symtab"}, {&l.Strtab, "strtab"}} {
			if off, ok := k.Offset(m.name); ok && off < maxModuleStruct {
				*m.to = off
			}
		}
	}
	return l, l.check()
}

// maxModuleStruct bounds struct module, in bytes. Debian's have 896 (6.1) and 1280 (6.12).
const maxModuleStruct = 16 << 10

func (l ModuleLayout) check() error {
	inside := func(off, n int) bool { return off >= 0 && off+n <= l.Size }
	good := l.Size <= maxModuleStruct && inside(l.List, 16) && inside(l.State, 4) && inside(l.Name, l.NameSize) && l.NameSize > 0
	for _, t := range l.Texts {
		good = good && inside(t.Base, 8) && inside(t.Size, 4)
	}
	for _, f := range [][2]int{{l.Kallsyms, 8}, {l.NumORCs, 4}, {l.ORCIPs, 8}, {l.ORCRows, 8}, {l.NumBugs, 4}, {l.BugTable, 8}} {
		good = good && (f[0] == -1 || inside(f[0], f[1]))
	}
	if !good {
		return errors.New("module layout: struct module is not one that is known")
	}
	return nil
}

// ModuleLayoutOf takes the layout from a vmlinux's DWARF.
func ModuleLayoutOf(f *vmlinux.File) (ModuleLayout, error) {
	if !f.HasDWARF() {
		return ModuleLayout{}, errors.New("module layout: the vmlinux has no debug information")
	}
	// kernel/module/main.c defines it and works with all of it. Its functions of these names are never inlined everywhere.
	at := f.Lookup("__module_address", "module_put", "load_module")
	for _, name := range []string{"__module_address", "module_put", "load_module"} {
		anchor, ok := at[name]
		if !ok {
			continue
		}
		module, err := f.Struct(anchor.Addr, "module")
		if err != nil {
			return ModuleLayout{}, fmt.Errorf("module layout: %w", err)
		}
		if kallsyms, err := f.Struct(anchor.Addr, "mod_kallsyms"); err == nil {
			return ModuleLayoutFrom(module, &kallsyms)
		}
		return ModuleLayoutFrom(module, nil)
	}
	return ModuleLayout{}, fmt.Errorf("module layout: %s: no function of kernel/module/main.c", f.Path())
}
