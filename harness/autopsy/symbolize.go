package autopsy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// symbolizer gives the frames of a trace their names.
type symbolizer struct {
	file   *kernel.Kernel
	place  guest.Placement
	kernel *unwind.Kernel
	image  unwind.Image // the kernel and its modules
	mods   *kernel.Modules
	untold bool // there are modules, but where they are is not known
	mem    linux.Memory
	hits   []watch.Hit
	cr2    uint64

	exceptions *machine.ExceptionLog
}

// chain turns a trace into frames and traps. Every inlined function becomes a frame of its own, at the same pc.
func (s *symbolizer) chain(c *Chain, trace unwind.Trace) {
	entered := "" // the function that the frame before was in: an exception's entry code, if this one was interrupted
	repeats := unwind.Repeats(trace.Frames, minRounds)
	c.acts = &activations{s: s, frames: trace.Frames}
	round := 0 // where the repeat's round that is shown now begins
	for i := 0; i < len(trace.Frames); i++ {
		f := trace.Frames[i]
		if len(repeats) > 0 {
			switch r := repeats[0]; i {
			case r.At + (firstRounds-1)*r.Period:
				round = len(c.Frames)
			case r.At + firstRounds*r.Period:
				c.leaveOut(r, c.Frames[round:])
				i = r.End() - r.Period
				f, repeats = trace.Frames[i], repeats[1:]
			}
		}
		at := len(c.Frames)
		frames := s.frames(f)
		c.Frames = append(c.Frames, frames...)
		c.acts.shown = append(c.acts.shown, shown{i, at, len(frames)})
		if f.Interrupted {
			t := s.trap(f, entered)
			t.Index = at
			c.Traps = append(c.Traps, t)
			c.Frames[at].Exception = t.exception()
		}
		entered = frames[len(frames)-1].Function
		if sym := frames[len(frames)-1].Symbol; sym != "" {
			entered = sym
		}
	}
}

// Of a recursion of at least minRounds the first rounds are shown and the last; the rest is counted.
const (
	minRounds   = 5
	firstRounds = 2
)

// leaveOut marks the last frame as the one after which the middle of r is left out; round is what one of its rounds became.
func (c *Chain) leaveOut(r unwind.Repeat, round []verdict.Frame) {
	left := &verdict.Repeat{Times: r.Times, LeftOut: (r.Times - firstRounds - 1) * len(round)}
	for _, f := range round {
		left.Functions = append(left.Functions, f.Function)
	}
	c.Frames[len(c.Frames)-1].Repeat = left
}

// frames symbolizes one physical frame, innermost first; there is always at least one.
func (s *symbolizer) frames(f unwind.Frame) []verdict.Frame {
	base := verdict.Frame{PC: verdict.Hex(f.PC.Addr), Return: f.PC.Kind == unwind.Return, FoundBy: string(f.By)}
	link, ok := s.kernel.Link(f.PC.Lookup())
	if m := s.mods.At(f.PC.Lookup()); !ok && m != nil {
		return locateModule(m, f.PC, base)
	}
	if !ok {
		base.Reason = "not in the kernel's code"
		if s.untold && inModuleArea(f.PC.Addr) {
			base.Reason = "in a module, as it seems"
		}
		return []verdict.Frame{base}
	}
	return locate(s.file.File, vmlinux.Addr(link), f.PC, base)
}

// locate names the functions at a link address, innermost first. pc is the run-time address that base stands for.
func locate(file *vmlinux.File, at vmlinux.Addr, pc unwind.PC, base verdict.Frame) []verdict.Frame {
	sym, named := file.SymbolAt(at)
	if named {
		nameBySymbol(&base, sym.Name)
		base.Offset, base.Size = uint64(at-sym.Addr)+pc.Addr-pc.Lookup(), sym.Size
	}
	locations, err := file.Locate(at)
	if err != nil || len(locations) == 0 {
		var unknown *vmlinux.UnknownError
		if errors.As(err, &unknown) && unknown.Reason != vmlinux.NoDebugInfo {
			base.Reason = unknown.Reason.String()
		}
		return []verdict.Frame{base}
	}
	return spread(base, sym.Name, locations)
}

// nameBySymbol names a frame by a symbol alone: the function is the source's name, without what a compiler added to it
// ("f.constprop.0", "f.cold"), by which the rules know it too.
func nameBySymbol(f *verdict.Frame, symbol string) {
	f.Function, f.Symbol = symbol, ""
	if name, _, ok := strings.Cut(symbol, "."); ok && name != "" {
		f.Function, f.Symbol = name, symbol
	}
}

// trap reads the exception frame that f was interrupted by. entered is the handler's entry code.
func (s *symbolizer) trap(f unwind.Frame, entered string) Trap {
	t := Trap{PtRegs: f.PtRegs, PC: f.PC.Addr, CR2: s.cr2, Early: entered == "early_idt_handler_common" || entered == "early_idt_handler_array"}
	t.WildPC = !s.image.IsText(f.PC.Addr) && !(s.untold && inModuleArea(f.PC.Addr))
	if sp, ok := f.State.Get(amd64.RSP); t.WildPC && ok {
		t.Returned = f.CFA > sp+8
	}
	if f.PtRegs != 0 {
		if p, err := linux.ReadPtRegs(s.mem, f.PtRegs); err == nil {
			// Entry code of the real IDT takes the error code out of pt_regs and leaves -1 (idtentry_body, entry_64.S).
			t.Regs, t.ErrorCode, t.HasCode = p.Registers, p.OrigAX, p.OrigAX != ^uint64(0)
		}
	}
	if name, ok := interrupt(entered); ok {
		t.Interrupt, t.Entry = true, name
		return t
	}
	if v, ok := handlerVectors[entered]; ok {
		t.Vector, t.Known = v, true
	}
	for _, h := range s.hits { // early_fixup_exception(regs, trapnr): RDI, RSI
		if h.Symbol == "early_fixup_exception" && h.Regs.RDI == f.PtRegs && f.PtRegs != 0 {
			t.Vector, t.Known = amd64.Vector(h.Regs.RSI), true
		}
	}
	t.seen(s.exceptions)
	t.Code = make([]byte, linux.MaxInstruction)
	n, _ := s.mem.ReadMemory(t.Code, f.PC.Addr)
	t.Code = t.Code[:n]
	if !t.Known {
		in, err := linux.Explain(t.Code, t.Regs, nil)
		if err != nil {
			in = linux.Instruction{}
		}
		t.Vector, t.Known = guessVector(in, f.PC.Addr, t.ErrorCode, s.cr2)
		t.Guessed = t.Known
	}
	if !t.HasCode || t.Known && !t.Vector.HasErrorCode() {
		t.ErrorCode = 0
	}
	t.Bug = s.bug(f.PC.Addr)
	return t
}

// seen takes what QEMU's log says of the exception: its vector, and CR2 as it was then.
func (t *Trap) seen(log *machine.ExceptionLog) {
	if log == nil {
		return
	}
	for _, e := range slices.Backward(log.Last) {
		// INT n leaves the pc after itself, and is logged with its own; it has one byte or two.
		after := t.PC - e.PC
		if after != 0 && (!e.Software || after > 2) || t.Known && e.Vector != int(t.Vector) {
			continue
		}
		t.Vector, t.Known = amd64.Vector(e.Vector), true
		if t.Vector == amd64.PageFault {
			t.CR2 = e.CR2
		}
		if !t.HasCode {
			t.ErrorCode, t.HasCode = e.ErrorCode, true
		}
		return
	}
}

// bug looks the trapping instruction up in the bug table of the kernel, or of the module that it is in.
func (s *symbolizer) bug(pc uint64) *verdict.BugSite {
	var entry linux.Bug
	if link, ok := s.kernel.Link(pc); ok {
		if entry, ok = s.file.Bug(link); !ok {
			return nil
		}
	} else if m := s.mods.At(pc); m != nil {
		if entry, ok = m.Bug(pc); !ok {
			return nil
		}
	} else {
		return nil
	}
	b := &verdict.BugSite{File: entry.File, Line: entry.Line, Warning: entry.Warning}
	switch {
	case b.File == "":
		b.Text = "kernel BUG"
	case b.Warning:
		b.Text = fmt.Sprintf("WARNING at %s:%d", b.File, b.Line)
	default:
		b.Text = fmt.Sprintf("kernel BUG at %s:%d!", b.File, b.Line)
	}
	return b
}

// exception is the trap for the report.
func (t *Trap) exception() *verdict.Exception {
	if t.Interrupt {
		return &verdict.Exception{Vector: -1, Name: t.Entry, PtRegs: verdict.Hex(t.PtRegs)}
	}
	e := &verdict.Exception{Vector: int(t.Vector), Name: t.Vector.String(), ErrorCode: t.ErrorCode, PtRegs: verdict.Hex(t.PtRegs), Guessed: t.Guessed}
	if !t.Known {
		e.Vector, e.Name = -1, "exception of unknown vector"
		return e
	}
	if t.Vector == amd64.PageFault {
		e.CR2 = verdict.Hex(t.CR2)
	}
	if t.HasCode {
		e.Text = t.Vector.ErrorCodeText(t.ErrorCode)
	}
	return e
}
