package autopsy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/decompressor"
	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/rsp"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Stub is what the autopsy asks of the GDB stub of a machine that stands still. *rsp.Client satisfies it.
type Stub interface {
	Threads(ctx context.Context) ([]rsp.Thread, error)
	Registers(ctx context.Context, t rsp.Thread) (amd64.Registers, error)
}

// Scene is a stopped machine with everything that is known of it.
type Scene struct {
	Stop watch.Stop
	Stub Stub
	RAM  guest.Searchable // the memory: *guest.RAM, or a core's
	// Kernel is nil when no vmlinux was given.
	Kernel *kernel.Kernel
	// Placement is nil when the kernel was not found in RAM.
	Placement *guest.Placement
	// Boot is the decompressor's ELF, nil when there is none, and Setup what the bzImage's header says.
	Boot  *decompressor.Image
	Setup decompressor.Setup
	// First is the machine at its first oops or panic, by Gather, and Warned the vCPU at each WARN, by ChainOf; nil when
	// nothing of the kind was passed.
	First  *Evidence
	Warned []Chain
	// Warns is how many WARNs were passed, of which Warned has the first ones; later ones may have gone unseen.
	Warns int
	// Console is the end of the serial line.
	Console string
	// Later are records of the log that came after the memory: a core may know what was logged after it was written.
	Later []linux.Record
	// Registers is filled in by Gather: those of each vCPU, as the machine stands.
	Registers []amd64.Registers
	// Exceptions is QEMU's log of those of the early boot; nil when there is none.
	Exceptions *machine.ExceptionLog
	// FailOn are the classes of survived events that make a boot bad.
	FailOn []verdict.Class
	// Values are what is shown of variables.
	Values ValueOptions
	// Source gives the text of a file of the tree as it was built; nil when there is no tree.
	Source func(file string) ([]byte, error)
	// Patched gives the name of the patch that put a line of text into a file, or the empty string.
	Patched func(file, text string) string
	// ModuleFiles gives the files that may be a module's .ko, by its name; nil when there are none.
	ModuleFiles kernel.ModuleSource

	modules modulesOf
	death   death
}

// death is what Examine found, for questions that are asked after it.
type death struct {
	evidence *Evidence
	finding  *Finding    // nil when nothing died
	chain    *Chain      // that shows it
	scope    *FrameScope // of the failed assertion; nil when there was none
}

// Gather reads the chain of every vCPU. An error means that the stub is gone.
func (s *Scene) Gather(ctx context.Context) (*Evidence, error) {
	threads, err := s.Stub.Threads(ctx)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Stop: s.Stop, Exceptions: s.Exceptions, Kernel: KernelState{SystemState: -1, Consoles: -1, InitRan: s.Stop.Marker}}
	s.Registers = nil
	for _, t := range threads {
		regs, err := s.Stub.Registers(ctx, t)
		if err != nil {
			return nil, err
		}
		s.Registers = append(s.Registers, regs)
		c := s.ChainOf(t.CPU(), regs)
		for _, cpu := range s.Stop.CPUs {
			if cpu.Index == c.CPU {
				c.Halted = cpu.Halted
				if s.Stop.Reason == "guest-reset" { // whether before or after init
					c.Undeliverable = undeliverable(cpu, regs, guest.NewSpace(s.RAM, regs))
				}
				if cpu.Index == 0 {
					e.Kernel.IDT, e.Kernel.IDTLimit = cpu.IDTBase, cpu.IDTLimit
				}
			}
		}
		e.Chains = append(e.Chains, c)
	}
	if mem := s.kernelMemory(); mem != nil {
		e.Kernel.read(s, mem)
		if e.Kernel.SystemState > running {
			e.Kernel.SystemState = s.stateBefore(e)
		}
		e.Initcall = s.initcall(e)
		e.PanicFormat = s.panicFormatted(e)
		if slices.ContainsFunc(e.Chains, func(c Chain) bool { return c.has("panic", "vpanic") && c.has("check_hung_uninterruptible_tasks") }) {
			s.readTasks(e) // what it notes is said where tasks are reported
		}
	}
	if s.First == nil {
		s.tellDeath(e)
	}
	return e, nil
}

// ChainOf is the backtrace of a vCPU with these registers.
func (s *Scene) ChainOf(cpu int, regs amd64.Registers) Chain {
	return s.chain(Chain{CPU: cpu, Regs: regs})
}

// chain completes c, of which the vCPU and its registers are known.
func (s *Scene) chain(c Chain) Chain {
	mem, why := s.memory(c.Regs)
	s.unwind(&c, mem)
	if why != "" {
		c.Stopped = strings.TrimPrefix(c.Stopped+"; "+why, "; ")
	}
	return c
}

// readLog adds the log and what the kernel reports in it. A log that cannot be read is a note.
func (s *Scene) readLog(e *Evidence) (notes []string) {
	mem := s.kernelMemory()
	if mem == nil {
		return nil
	}
	ring, ok := s.Kernel.Log(mem, *s.Placement)
	if !ok {
		return nil
	}
	log, err := ring.Records(0)
	if err != nil {
		notes = append(notes, "the log in memory: "+err.Error())
	}
	for _, regs := range s.Registers { // not every vCPU need have been in the kernel
		s.loadedModules(regs)
	}
	log = withLater(log, s.Later)
	e.Log, e.Reports = log, s.reports(log)
	return notes
}

// withLater is a log with what came after it; a record that was being put together may be complete there.
func withLater(log, later []linux.Record) []linux.Record {
	next := uint64(0)
	if n := len(log); n > 0 {
		next = log[n-1].Seq + 1
	}
	at := slices.IndexFunc(later, func(r linux.Record) bool { return r.Seq >= next })
	if n := len(log); n > 0 && !log[n-1].Finalized {
		if same := slices.IndexFunc(later, func(r linux.Record) bool { return r.Seq == log[n-1].Seq }); same >= 0 {
			log, at = log[:n-1], same
		}
	}
	if at < 0 {
		return log
	}
	return slices.Concat(log, later[at:])
}

// kernelMemory reads the kernel's own addresses through its place in RAM, because a vCPU may stand in the firmware or
// in user space, where its page tables do not show them all.
func (s *Scene) kernelMemory() linux.Memory {
	if s.Kernel == nil || s.Placement == nil {
		return nil
	}
	return s.Kernel.Memory(s.RAM, *s.Placement)
}

// read looks at the kernel's variables: system_state (init/main.c), whether idt_table has been filled in, which
// idt_setup_early_handler() does first (arch/x86/kernel/idt.c): gate 0 leads into the kernel's text, because .bss has what lay there before
// until x86_64_start_kernel() clears it, on a relocatable kernel its relocations. And whether a console is registered, which is
// console_drivers up to 6.1 and console_list since 6.2 (kernel/printk/printk.c; Linux a699449bb13b, "printk: Convert
// console_drivers list to hlist").
func (k *KernelState) read(s *Scene, mem linux.Memory) {
	word := func(name string, n int) (uint64, bool) {
		sym, ok := s.Kernel.Symbol(name)
		if !ok {
			return 0, false
		}
		var b [8]byte
		if _, err := mem.ReadMemory(b[:n], s.Placement.Run(uint64(sym.Addr))); err != nil {
			return 0, false
		}
		v := uint64(0)
		for i := n - 1; i >= 0; i-- {
			v = v<<8 | uint64(b[i])
		}
		return v, true
	}
	if v, ok := word("system_state", 4); ok {
		k.SystemState = int(v)
	}
	var gate [gateSize]byte
	if table, ok := s.Kernel.Symbol("idt_table"); ok {
		if _, err := mem.ReadMemory(gate[:], s.Placement.Run(uint64(table.Addr))); err == nil {
			handler, present := guest.GateOffset(gate)
			k.EarlyIDT = present && s.Kernel.IsText(vmlinux.Addr(s.Placement.Link(handler)))
		}
	}
	for _, name := range []string{"console_drivers", "console_list"} {
		if v, ok := word(name, 8); ok {
			k.Consoles = 0
			if v != 0 {
				k.Consoles = 1
			}
		}
	}
}

// unwind fills in the chain of one vCPU.
func (s *Scene) unwind(c *Chain, mem linux.Memory) {
	c.Where = s.region(c.Regs)
	if c.Where == BootText {
		s.unwindBoot(c)
		return
	}
	if s.Kernel == nil {
		c.Stopped = "no vmlinux was given: no names and no chain"
		return
	}
	if s.Placement == nil {
		c.Stopped = "the kernel was not found in the guest's memory"
		return
	}
	switch c.Where {
	case LowMemory, SetupText, UserText:
		c.Stopped = fmt.Sprintf("pc 0x%x is in %s", c.Regs.LinearPC(), c.Where)
		return
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		c.Stopped = err.Error()
		return
	}
	k.WithCFI = s.Values.Args || s.Values.Locals
	mods := s.loadedModules(c.Regs)
	code := image(k, mods)
	trace := unwind.Walk(unwind.NewState(c.Regs), mem, code)
	if c.Wrote && len(trace.Frames) > 0 {
		trace.Frames[0].PC.Kind = unwind.Return // it is looked up one byte before; the registers are those of the pc itself
	}
	sym := symbolizer{file: s.Kernel, kernel: k, image: code, mods: mods, untold: s.modules.err != nil, place: *s.Placement, mem: mem, hits: s.Stop.Hits, cr2: c.Regs.CR2, exceptions: s.Exceptions}
	sym.chain(c, trace)
	c.value(s.Values)
	if !trace.Stop.Whole() {
		c.Stopped = "the chain ends here: " + trace.Stop.String()
	}
}

// unwindBoot fills in the chain of a vCPU that is in the decompressor.
func (s *Scene) unwindBoot(c *Chain) {
	if s.Boot == nil {
		c.Stopped = fmt.Sprintf("pc 0x%x is below 4 GiB, where the decompressor runs; its ELF (--boot-vmlinux) would give names", c.Regs.RIP)
		return
	}
	base, ok := s.Boot.Place(c.Regs.RIP, s.Setup, s.RAM)
	if !ok {
		c.Stopped = fmt.Sprintf("pc 0x%x is below 4 GiB and not in the decompressor's code", c.Regs.RIP)
		return
	}
	chain := s.Boot.Chain(c.Regs, base, s.RAM)
	for i, f := range chain {
		by := unwind.ByScan
		if i == 0 {
			by = unwind.ByRegisters
		}
		c.Frames = append(c.Frames, verdict.Frame{Function: f.Function, Offset: f.Offset, Size: f.Size, PC: verdict.Hex(f.PC), Return: i > 0, FoundBy: string(by)})
	}
	c.Message = s.Boot.Message(chain, base)
	c.Stopped = "the decompressor has no unwind tables; its chain is found by scanning the stack for calls"
}

func (r Region) String() string {
	return [...]string{"no known code", "the kernel", "the kernel's identity-mapped start", "the decompressor",
		"the firmware", "the kernel's real-mode setup", "user space"}[r]
}

// firmwareROM is where the firmware's ROM begins below 4 GiB; nothing of a kernel runs there.
const firmwareROM = 0xff000000

// region names what a vCPU executes.
func (s *Scene) region(r amd64.Registers) Region {
	pc := r.LinearPC()
	switch {
	case r.User():
		return UserText
	case r.Long() && r.RSP>>63 == 1 && pc < guest.StartKernelMap:
		return Elsewhere // the kernel's stack: a jump through a bad pointer
	case pc >= machine.SetupStart && pc < machine.SetupEnd:
		return SetupText
	case pc < 1<<20:
		return LowMemory
	case s.inIdentity(pc):
		return IdentityText
	case pc >= firmwareROM && pc>>32 == 0:
		return LowMemory
	case pc>>32 == 0:
		return BootText
	case pc >= guest.StartKernelMap:
		return KernelText
	}
	return Elsewhere
}

// inIdentity reports whether pc lies in the kernel at its physical address.
func (s *Scene) inIdentity(pc uint64) bool {
	if s.Kernel == nil || s.Placement == nil {
		return false
	}
	text, end := s.Kernel.Bounds()
	return pc >= s.Placement.Phys && pc-s.Placement.Phys < end-text
}
