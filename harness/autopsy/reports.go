package autopsy

import (
	"slices"

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

// add appends the frames of one symbol+offset. Functions of one name are told apart by the size. A name that the file does not have,
// or not with this size, stays a name; so do one of several functions of one size and one of a module that is not loaded any more.
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
		base.PC, base.Return = verdict.Hex(pc.Addr), kind == unwind.Return
		c.Frames = append(c.Frames, locateModule(m, pc, base)...)
		return
	}
	var frames []verdict.Frame
	for _, f := range function(s.Kernel.Functions(at.Symbol), at.Size) {
		pc := unwind.PC{Addr: s.Placement.Run(uint64(f.Addr) + at.Offset), Kind: kind}
		one := base
		one.PC, one.Return = verdict.Hex(pc.Addr), kind == unwind.Return
		here := locate(s.Kernel.File, vmlinux.Addr(s.Placement.Link(pc.Lookup())), pc, one)
		if frames != nil && !slices.EqualFunc(frames, here, sameLine) { // of a function of a header all copies have the same lines
			base.Reason = "several functions have this name and size"
			c.Frames = append(c.Frames, base)
			return
		}
		frames = here
	}
	if frames == nil {
		base.Reason = "not in the vmlinux"
		frames = []verdict.Frame{base}
	}
	c.Frames = append(c.Frames, frames...)
}

func sameLine(a, b verdict.Frame) bool {
	return a.Function == b.Function && a.File == b.File && a.Line == b.Line
}

// function is which of the functions of a name a size is of. A label of assembly has none of its own, and the file may have fewer
// labels behind it than the kernel counts to: where there is but one, it is meant.
func function(all []vmlinux.Function, size uint64) []vmlinux.Function {
	fit := vmlinux.OfSize(all, size)
	if len(fit) == 0 && len(all) == 1 && all[0].Size == 0 {
		return all
	}
	return fit
}
