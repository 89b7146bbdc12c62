// Package kernel is a kernel that runs: its vmlinux, and what the other rooms of gdb make of it together.
//
// Each of guest, unwind and linux knows one side of a running kernel: where it lies, how its stacks are walked, what its
// tables say. Here they meet one file: [Kernel.Find] places it in RAM, [Kernel.Memory] reads it there, [Kernel.Unwinder]
// walks its stacks, [Kernel.Log] and [Kernel.Bug] read its tables.
//
// It holds no machine. What depends on the running one (RAM, placement) is handed in.
package kernel

import (
	"sync"
	"sync/atomic"

	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
)

// Kernel is an open vmlinux. Make one with [Open]. It is safe for concurrent use.
type Kernel struct {
	*vmlinux.File
	probe    guest.Probe
	findable bool

	ring func() linux.RingLayout
	read atomic.Bool // ring has its answer
	bugs func() (linux.BugTable, bool)
	warm warming

	pages   func() (linux.PageLayout, error)
	flags   map[string]func() []value.Flag // by typedef
	modules moduleCache
}

// Open opens the vmlinux at path; its errors are those of vmlinux.Open. A stripped file is not an error: its names are those
// of the kernel's own table, if it has one. See [Kernel.Findable].
func Open(path string) (*Kernel, error) {
	f, err := vmlinux.Open(path)
	if err != nil {
		return nil, err
	}
	return of(f), nil
}

// Unpacked is the kernel of a bzImage: data is its payload, an ELF vmlinux without .symtab and debug information. path is
// the bzImage's. data belongs to the kernel from then on.
func Unpacked(path string, data []byte) (*Kernel, error) {
	f, err := vmlinux.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return of(f), nil
}

func of(f *vmlinux.File) *Kernel {
	k := &Kernel{File: f}
	f.Lookup(usual...)
	k.ring = sync.OnceValue(func() linux.RingLayout {
		layout, _ := linux.RingLayoutOf(f) // without DWARF the default layout, which has not changed since 5.10
		k.read.Store(true)
		return layout
	})
	k.pages = sync.OnceValues(func() (linux.PageLayout, error) { return linux.PageLayoutOf(f) })
	k.flags = make(map[string]func() []value.Flag)
	for typedef, table := range flagTables {
		k.flags[typedef] = sync.OnceValue(func() []value.Flag { return linux.FlagNamesOf(f, table) })
	}
	k.bugs = sync.OnceValues(func() (linux.BugTable, bool) { return linux.BugTableOf(f) })
	probe, err := guest.File{File: f}.Probe()
	k.probe, k.findable = probe, err == nil
	return k
}

// Findable reports whether the file has what it takes to find its kernel in RAM: _text, _end and linux_banner. A stripped
// vmlinux of a kernel without CONFIG_KALLSYMS has not.
func (k *Kernel) Findable() bool { return k.findable }

// Find looks for the kernel in RAM; about 0.1 ms for 256 MiB.
func (k *Kernel) Find(ram guest.Searchable) (guest.Placement, guest.Match) {
	if !k.findable {
		return guest.Placement{}, guest.NoKernel
	}
	return guest.FindKernel(ram, k.probe)
}

// Bounds are the link addresses _text and _end; zero when the file is stripped.
func (k *Kernel) Bounds() (text, end uint64) { return k.probe.Text, k.probe.Text + k.probe.Size }

// Memory reads run-time addresses of the kernel's image and direct map, also while the guest runs.
func (k *Kernel) Memory(ram guest.Searchable, p guest.Placement) guest.Image {
	return guest.File{File: k.File}.Image(ram, k.probe, p)
}

// Unwinder describes the kernel's code for unwind.Walk.
func (k *Kernel) Unwinder(p guest.Placement) (*unwind.Kernel, error) {
	return unwind.NewKernel(k.File, p.Slide, p.Phys)
}

// Log is the printk ring. ok is false when the kernel has no symbol prb: it is older than 5.10 or has no CONFIG_PRINTK.
func (k *Kernel) Log(mem linux.Memory, p guest.Placement) (ring linux.Ring, ok bool) {
	prb, ok := k.Symbol("prb")
	if !ok {
		return linux.Ring{}, false
	}
	return linux.Ring{Mem: mem, PRB: p.Run(uint64(prb.Addr)), Layout: k.ring()}, true
}

// LogNow is Log for a caller that cannot wait: until the layout has been read from DWARF (see [Kernel.Warm]; compressed debug
// information takes a second), it is the default one.
func (k *Kernel) LogNow(mem linux.Memory, p guest.Placement) (ring linux.Ring, ok bool) {
	prb, ok := k.Symbol("prb")
	if !ok {
		return linux.Ring{}, false
	}
	layout := linux.DefaultRingLayout()
	if k.read.Load() {
		layout = k.ring()
	}
	return linux.Ring{Mem: mem, PRB: p.Run(uint64(prb.Addr)), Layout: layout}, true
}

// PageLayout is the layout of struct page, read once.
func (k *Kernel) PageLayout() (linux.PageLayout, error) { return k.pages() }

// flagTables are the tables of the kernel that name the bits of a typedef.
var flagTables = map[string]string{"gfp_t": "gfpflag_names", "vm_flags_t": "vmaflag_names"}

// Flags names the bits of a typedef, as the kernel itself prints them (%pGg, %pGv); nil for one whose bits have no names.
func (k *Kernel) Flags(typedef string) []value.Flag {
	if names, ok := k.flags[typedef]; ok {
		return names()
	}
	return nil
}

// Bug finds the bug table's entry for the trap instruction at a link address, in the file's own table. Modules have
// tables of their own, which are not in the file.
func (k *Kernel) Bug(link uint64) (linux.Bug, bool) {
	table, ok := k.bugs()
	if !ok {
		return linux.Bug{}, false
	}
	return table.Find(link)
}
