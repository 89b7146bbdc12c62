package kernel

import (
	"errors"
	"fmt"
	"sync"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

// Modules are the modules of a kernel that runs, as its own list in memory has them at one moment. A nil *Modules has none.
// It may be used by one goroutine at a time.
type Modules struct {
	kernel *Kernel
	mem    linux.Memory
	loaded []*Module
}

// Module is one of them. What it says of its code comes from the guest's memory; lines and inlined functions come from its
// .ko.
type Module struct {
	linux.Module
	of *Modules

	symbols func() linux.ModuleSymbols
	names   func() map[string][]linux.ModuleSymbol
	orc     func() *vmlinux.ORC
	bugs    func() (linux.BugTable, bool)
	file    func() (*vmlinux.File, error)
}

// ModuleSource gives the ELF bytes of a module by its name: the candidates, best first. A module's own file may have been
// stripped; what has debug information counts.
type ModuleSource func(name string) []ModuleFile

// ModuleFile is a file that may be a module's.
type ModuleFile struct {
	Path string
	Read func() ([]byte, error) // its ELF bytes, unpacked, to be written to
}

// ErrNoModuleFile: no candidate for a module's .ko has debug information.
var ErrNoModuleFile = errors.New("no .ko with debug information")

// Modules reads the list of modules. regs are those of any vCPU in 64-bit mode: they say how deep its page tables are; the
// tables are the kernel's own, because a vCPU in user space need not map the kernel. The error says why modules cannot be
// told; a kernel without any is none.
func (k *Kernel) Modules(ram guest.Searchable, p guest.Placement, regs amd64.Registers, files ModuleSource) (*Modules, error) {
	at := k.Lookup("modules", "init_top_pgt")
	head, tables := at["modules"], at["init_top_pgt"]
	if head.Addr == 0 || tables.Addr == 0 {
		return nil, nil // CONFIG_MODULES=n, or a stripped vmlinux
	}
	var next [8]byte
	run := p.Run(uint64(head.Addr))
	if _, err := k.Memory(ram, p).ReadMemory(next[:], run); err != nil || isHead(next, run) {
		return nil, nil
	}
	layout, err := k.modules.layout(k.File)
	if err != nil {
		return nil, err
	}
	mem := guest.Space{
		Physical: ram, CR0: amd64.CR0PG | amd64.CR0PE, CR3: p.Physical(p.Run(uint64(tables.Addr))), CR4: regs.CR4, EFER: amd64.EFERLMA,
	}
	list, err := linux.Modules(mem, run, layout)
	m := &Modules{kernel: k, mem: mem}
	for _, l := range list {
		m.loaded = append(m.loaded, m.module(l, files))
	}
	return m, err
}

// isHead reports whether a list head at addr points to itself or nowhere: the list is empty, or not made yet.
func isHead(next [8]byte, addr uint64) bool {
	v := uint64(0)
	for i, b := range next {
		v |= uint64(b) << (8 * i)
	}
	return v == addr || v == 0
}

// module makes the readers of one module's tables. Each reads once, and only when it is asked.
func (m *Modules) module(l linux.Module, files ModuleSource) *Module {
	mod := &Module{Module: l, of: m}
	mod.symbols = sync.OnceValue(func() linux.ModuleSymbols { return mod.Symbols(m.mem) })
	mod.orc = sync.OnceValue(func() *vmlinux.ORC {
		kernel, err := m.kernel.ORC()
		if err != nil {
			return nil
		}
		t, ok := mod.ORC(m.mem)
		if !ok {
			return nil
		}
		return vmlinux.NewORC(kernel.Version, t.Base, t.IPs, t.Rows)
	})
	mod.names = sync.OnceValue(func() map[string][]linux.ModuleSymbol { return mod.symbols().ByName() })
	mod.bugs = sync.OnceValues(func() (linux.BugTable, bool) {
		kernel, ok := m.kernel.bugs()
		if !ok {
			return linux.BugTable{}, false
		}
		return mod.Bugs(m.mem, kernel.Layout)
	})
	mod.file = sync.OnceValues(func() (*vmlinux.File, error) {
		if files == nil {
			return nil, ErrNoModuleFile
		}
		return m.kernel.modules.file(mod, files(l.Name))
	})
	return mod
}

// At is the module whose code is at a run-time address, or nil.
func (m *Modules) At(addr uint64) *Module {
	if m == nil {
		return nil
	}
	for _, mod := range m.loaded {
		if mod.IsText(addr) {
			return mod
		}
	}
	return nil
}

// Named is the module of a name, or nil.
func (m *Modules) Named(name string) *Module {
	if m == nil {
		return nil
	}
	for _, mod := range m.loaded {
		if mod.Name == name {
			return mod
		}
	}
	return nil
}

// Memory reads what the modules are in: the kernel's own address space, as none of its vCPUs need have it. It is nil without
// modules.
func (m *Modules) Memory() linux.Memory {
	if m == nil {
		return nil
	}
	return m.mem
}

// Images describes the modules' code for unwind.Walk, to be added to the kernel's own.
func (m *Modules) Images(kernel *unwind.Kernel) []unwind.Image {
	if m == nil {
		return nil
	}
	var images []unwind.Image
	for _, mod := range m.loaded {
		for _, t := range mod.Texts {
			images = append(images, &unwind.Kernel{Code: moduleCode{mod}, Text: t.Base, End: t.Base + t.Size,
				WithCFI: kernel.WithCFI, FramePointers: kernel.FramePointers})
		}
	}
	return images
}

// SymbolAt names the function at a run-time address.
func (m *Module) SymbolAt(addr uint64) (linux.ModuleSymbol, bool) { return m.symbols().At(addr) }

// Function finds the functions of a name.
func (m *Module) Function(name string) []linux.ModuleSymbol { return m.names()[name] }

// Locate is vmlinux.File.Locate for a run-time address, by the module's .ko. Errors: [ErrNoModuleFile], why a .ko does not
// serve, and those of Locate.
func (m *Module) Locate(addr uint64) ([]vmlinux.Location, error) {
	f, err := m.file()
	if err != nil {
		return nil, err
	}
	return f.Locate(vmlinux.Addr(addr))
}

// File is the module's .ko with its debug information; its link addresses are the run-time ones. Errors: those of Locate.
func (m *Module) File() (*vmlinux.File, error) { return m.file() }

// Bug finds the entry of the module's bug table for the trap instruction at a run-time address.
func (m *Module) Bug(addr uint64) (linux.Bug, bool) {
	table, ok := m.bugs()
	if !ok {
		return linux.Bug{}, false
	}
	return table.Find(addr)
}

// moduleCode is a module as unwind.Code. Its link-time addresses are its run-time ones.
type moduleCode struct{ *Module }

func (c moduleCode) HasORC() bool { return c.orc() != nil }

func (c moduleCode) ORC(addr uint64) (unwind.ORC, bool) { return unwind.ORCAt(c.orc(), addr) }

func (c moduleCode) CFI(addr uint64) (unwind.Row, error) {
	f, err := c.file()
	if err != nil {
		return unwind.Row{}, err
	}
	return unwind.File{File: f}.CFI(addr)
}

func (c moduleCode) Function(addr uint64) (string, uint64, bool) {
	s, ok := c.SymbolAt(addr)
	return s.Name, s.Addr, ok
}

func (c moduleCode) CodeAt(addr uint64, n int) []byte {
	b := make([]byte, max(n, 0))
	got, _ := c.of.mem.ReadMemory(b, addr) // fewer at the end of what there is
	return b[:got]
}

// moduleCache keeps what does not change while a kernel runs: the layout, and the .ko files that were opened.
type moduleCache struct {
	mu        sync.Mutex
	known     bool
	of        linux.ModuleLayout
	err       error
	files     map[string]*vmlinux.File
	fileError map[string]error
}

func (c *moduleCache) layout(f *vmlinux.File) (linux.ModuleLayout, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.known = true
		if c.of, c.err = linux.ModuleLayoutOf(f); c.err != nil {
			c.err = fmt.Errorf("modules are not told: %w", c.err)
		}
	}
	return c.of, c.err
}

// file opens the first of the candidates that has debug information and is of the build that is loaded.
func (c *moduleCache) file(m *Module, candidates []ModuleFile) (*vmlinux.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprintf("%s %v", m.Name, m.Texts) // a module that was loaded again is elsewhere
	if f, ok := c.files[key]; ok {
		return f, c.fileError[key]
	}
	functions := map[string][]uint64{}
	for _, s := range m.symbols().All() {
		functions[s.Name] = append(functions[s.Name], s.Addr)
	}
	f, err := openModule(candidates, func(name string) []uint64 { return functions[name] }, m.of.kernel.File)
	if c.files == nil {
		c.files, c.fileError = map[string]*vmlinux.File{}, map[string]error{}
	}
	c.files[key], c.fileError[key] = f, err
	return f, err
}

func openModule(candidates []ModuleFile, loaded func(string) []uint64, tree *vmlinux.File) (*vmlinux.File, error) {
	err := ErrNoModuleFile
	for _, file := range candidates {
		data, rerr := file.Read()
		if rerr != nil {
			err = rerr
			continue
		}
		f, oerr := vmlinux.OpenModule(file.Path, data, loaded, tree)
		if oerr != nil {
			err = oerr
			continue
		}
		if f.HasDWARF() {
			return f, nil
		}
		_ = f.Close() // it holds memory only
	}
	return nil, err
}
