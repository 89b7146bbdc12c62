package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Module is a module that the kernel has loaded, as its struct module says. Reading one costs one read of guest memory; its
// tables are read when they are asked for.
type Module struct {
	Name    string
	Address uint64 // of its struct module
	// Coming: its init function has not returned, or has died.
	Coming bool
	Texts  []Text

	kallsyms                 uint64
	numORCs, numBugs         uint32
	orcIPs, orcRows, bugList uint64
	layout                   *ModuleLayout
}

// Text is a range of code, [Base, Base+Size), at its run-time address.
type Text struct {
	Base, Size uint64
	Init       bool // freed once the module's init function has returned
}

// IsText reports whether an address lies in the module's code.
func (m *Module) IsText(addr uint64) bool {
	_, ok := m.textAt(addr)
	return ok
}

func (m *Module) textAt(addr uint64) (Text, bool) {
	for _, t := range m.Texts {
		if addr-t.Base < t.Size {
			return t, true
		}
	}
	return Text{}, false
}

// Bounds on what a hostile kernel may claim. Debian loads some 60 modules on a desktop; the module area has 1.5 GiB.
const (
	maxModules    = 2048
	maxModuleText = 256 << 20
	maxORCs       = 1 << 20
	maxBugs       = 1 << 16
	kernelHalf    = 0xffff800000000000
)

// enum module_state, include/linux/module.h.
const (
	moduleComing   = 1
	moduleUnformed = 3
)

// Modules reads the kernel's list of modules: a ring of struct module.list from the list head at the run-time address
// head, the kernel's variable "modules". Modules that are only being made (UNFORMED) are left out, as the kernel's own
// lookups do. An error comes with the modules before it.
func Modules(mem Memory, head uint64, l ModuleLayout) ([]Module, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	var mods []Module
	c := cursor{mem: mem}
	for at, n := c.u64(head), 0; c.err == nil && at != head; n++ {
		if n == maxModules {
			return mods, fmt.Errorf("modules: more than %d: the list is broken", maxModules)
		}
		base := at - uint64(l.List)
		b := c.bytes(base, l.Size)
		if c.err != nil {
			break
		}
		at = binary.LittleEndian.Uint64(b[l.List:])
		if m, formed := decodeModule(b, base, &l); formed {
			mods = append(mods, m)
		}
	}
	if c.err != nil {
		return mods, fmt.Errorf("modules: after %d: %w", len(mods), c.err)
	}
	return mods, nil
}

func decodeModule(b []byte, at uint64, l *ModuleLayout) (m Module, formed bool) {
	u64 := func(off int) uint64 {
		if off < 0 {
			return 0
		}
		return binary.LittleEndian.Uint64(b[off:])
	}
	u32 := func(off int) uint32 {
		if off < 0 {
			return 0
		}
		return binary.LittleEndian.Uint32(b[off:])
	}
	name, _, _ := bytes.Cut(b[l.Name:l.Name+l.NameSize], []byte{0})
	state := u32(l.State)
	m = Module{
		Name: string(name), Address: at, Coming: state == moduleComing, kallsyms: u64(l.Kallsyms),
		numORCs: u32(l.NumORCs), orcIPs: u64(l.ORCIPs), orcRows: u64(l.ORCRows), numBugs: u32(l.NumBugs), bugList: u64(l.BugTable), layout: l,
	}
	for _, t := range l.Texts {
		text := Text{Base: u64(t.Base), Size: uint64(u32(t.Size)), Init: t.Init}
		if text.Base >= kernelHalf && text.Size > 0 && text.Size <= maxModuleText && text.Base+text.Size > text.Base {
			m.Texts = append(m.Texts, text)
		}
	}
	return m, state != moduleUnformed
}

// ORCTable is a module's unwind table as it lies in memory: the raw contents of .orc_unwind_ip, whose address is Base, and
// of .orc_unwind. The kernel sorts it when it loads the module (unwind_module_init(), arch/x86/kernel/unwind_orc.c).
type ORCTable struct {
	Base      uint64
	IPs, Rows []byte
}

// orcRow is sizeof(struct orc_entry).
const orcRow = 6

// ORC reads the module's unwind table; ok is false when it has none, or claims more entries than a module can have.
func (m *Module) ORC(mem Memory) (ORCTable, bool) {
	if m.numORCs == 0 || m.numORCs > maxORCs || m.orcIPs == 0 || m.orcRows == 0 {
		return ORCTable{}, false
	}
	c := cursor{mem: mem}
	t := ORCTable{Base: m.orcIPs, IPs: c.table(m.orcIPs, 4*int(m.numORCs)), Rows: c.table(m.orcRows, orcRow*int(m.numORCs))}
	return t, c.err == nil
}

// Bugs is the module's bug table, by run-time addresses. The layout is the kernel's own.
func (m *Module) Bugs(mem Memory, layout BugLayout) (BugTable, bool) {
	if m.numBugs == 0 || m.numBugs > maxBugs || m.bugList == 0 || layout.check() != nil {
		return BugTable{}, false
	}
	c := cursor{mem: mem}
	t := BugTable{Addr: m.bugList, Data: c.table(m.bugList, layout.Size*int(m.numBugs)), Layout: layout, Strings: mem}
	return t, c.err == nil
}
