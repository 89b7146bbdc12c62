package autopsy

import (
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// byLog is how frames from the kernel's own call trace say how they were found; it adds to unwind's list.
const byLog = "log"

// reports symbolizes the log's own reports. RIP is exact, the entries of the call trace are return addresses; entries
// that the kernel itself marks as a guess ("? ") are left out.
func (s *Scene) reports(log []linux.Record) []Report {
	var out []Report
	for _, l := range logged(log) {
		r := Report{Logged: l, Chain: Chain{CPU: max(l.CPU, 0), Where: KernelText}}
		r.Chain.add(s, l.RIP, unwind.Exact)
		for _, at := range l.Trace {
			if !at.Guess {
				r.Chain.add(s, at, unwind.Return)
			}
		}
		out = append(out, r)
	}
	return out
}

// maxPadding is above the bytes between two functions, in which the kernel's sizes differ from the symbols': it counts to the next
// symbol (get_symbol_pos(), kernel/kallsyms.c). Functions are aligned to 64 bytes at most (CONFIG_FUNCTION_ALIGNMENT), and more
// may have been there: 67 bytes follow do_one_initcall in Debian's 6.12.
const maxPadding = 128

// add appends the frames of one symbol+offset. A name that the file does not have, or has with another size (a static
// function of the same name elsewhere), stays a name, and so does one of a module that is not loaded any more.
func (c *Chain) add(s *Scene, at logPlace, kind unwind.Kind) {
	if at.Symbol == "" {
		return
	}
	base := verdict.Frame{Module: at.Module, Offset: at.Offset, Size: at.Size, FoundBy: byLog}
	nameBySymbol(&base, at.Symbol)
	if at.Module != "" {
		m := s.modules.list.Named(at.Module)
		f, ok := moduleFunction(m, at)
		if !ok {
			base.Reason = "not in a module that is loaded"
			c.Frames = append(c.Frames, base)
			return
		}
		pc := unwind.PC{Addr: f.Addr + at.Offset, Kind: kind}
		base.PC = verdict.Hex(pc.Addr)
		c.Frames = append(c.Frames, locateModule(m, pc, base)...)
		return
	}
	sym, ok := s.Kernel.Symbol(at.Symbol)
	if !ok || sym.Size != 0 && at.Size-sym.Size >= maxPadding {
		base.Reason = "not in the vmlinux"
		c.Frames = append(c.Frames, base)
		return
	}
	pc := unwind.PC{Addr: s.Placement.Run(uint64(sym.Addr) + at.Offset), Kind: kind}
	base.PC = verdict.Hex(pc.Addr)
	link := vmlinux.Addr(s.Placement.Link(pc.Lookup()))
	c.Frames = append(c.Frames, locate(s.Kernel.File, link, pc, base)...)
}
