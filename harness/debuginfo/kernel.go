package debuginfo

import (
	"errors"
	"slices"

	"kcatch/gdb/trace"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

// Kernel is a vmlinux and, when a text asks for them, its modules. It answers gdb/trace. It is not safe for concurrent use.
type Kernel struct {
	File    *vmlinux.File
	search  Search
	modules modules
	ready   map[vmlinux.Addr]vmlinux.Answer // see Prepare
}

// Kernel makes a Kernel of a vmlinux that is open. Its modules are looked for where s says.
func (s Search) Kernel(f *vmlinux.File) *Kernel { return &Kernel{File: f, search: s} }

// Symbol answers for a place with a symbol.
func (k *Kernel) Symbol(p trace.Place) trace.Answer {
	if p.Module == "" {
		return k.inFile(k.File, p, "the vmlinux")
	}
	f, err := k.module(p.Module, p.BuildID)
	if err != nil {
		return trace.Answer{Reason: err.Error()}
	}
	a := k.inFile(f, p, "the module")
	a.Link = 0 // where the file was laid out, not where the module was
	return a
}

// Prepare finds the lines of many places together. What it finds is forgotten when it is called again.
func (k *Kernel) Prepare(places []trace.Place) {
	var addrs []vmlinux.Addr
	for i := range places {
		p := &places[i]
		if p.Module != "" || p.Symbol == "" {
			continue
		}
		for _, f := range vmlinux.OfSize(k.File.Functions(p.Symbol), p.Size) {
			addrs = append(addrs, vmlinux.Addr(unwind.PC{Addr: uint64(f.Addr) + p.Offset, Kind: p.Kind}.Lookup()))
		}
	}
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	k.ready = make(map[vmlinux.Addr]vmlinux.Answer, len(addrs))
	for i, a := range k.File.LocateAll(addrs) {
		k.ready[addrs[i]] = a
	}
}

// At answers for a link-time address of the kernel.
func (k *Kernel) At(link uint64, kind unwind.Kind) (trace.Answer, bool) {
	pc := unwind.PC{Addr: link, Kind: kind}
	s, ok := k.File.SymbolAt(vmlinux.Addr(pc.Lookup()))
	if !ok {
		return trace.Answer{}, false
	}
	a := trace.Answer{Link: link, Symbol: s.Name, Offset: link - uint64(s.Addr), Size: s.Size}
	for _, f := range k.File.Functions(s.Name) {
		if f.Addr == s.Addr {
			a.Size = f.Span // as the kernel says it
		}
	}
	a.Frames, a.Reason = k.locate(k.File, pc)
	return a, true
}

// inFile finds a symbol's place in a file, which what names.
func (k *Kernel) inFile(f *vmlinux.File, p trace.Place, what string) trace.Answer {
	functions := vmlinux.OfSize(f.Functions(p.Symbol), p.Size)
	a := trace.Answer{Symbol: p.Symbol, Offset: p.Offset, Size: p.Size}
	switch len(functions) {
	case 0:
		a.Reason, a.Foreign = "not in "+what, f == k.File
		return a
	case 1:
		pc := unwind.PC{Addr: uint64(functions[0].Addr) + p.Offset, Kind: p.Kind}
		a.Link = pc.Addr
		a.Frames, a.Reason = k.locate(f, pc)
		if len(a.Frames) == 0 && p.Offset == p.Size && f.HasDWARF() {
			a.Reason = "between functions" // "? rest_init+0xa0/0xa0"
		}
		return a
	}
	same := true
	for _, g := range functions {
		frames, _ := k.locate(f, unwind.PC{Addr: uint64(g.Addr) + p.Offset, Kind: p.Kind})
		if len(frames) == 0 {
			frames = []vmlinux.Location{{Function: p.Symbol}}
		}
		same = same && (len(a.Several) == 0 || slices.EqualFunc(frames, a.Frames, sameLine))
		a.Frames = frames
		a.Several = append(a.Several, frames[0])
	}
	if same { // copies of one function, of a header
		a.Several = nil
		return a
	}
	a.Frames, a.Reason = nil, "several functions have this name and size"
	return a
}

// sameLine: two copies of a function differ in what the compiler says of columns.
func sameLine(a, b vmlinux.Location) bool {
	return a.Function == b.Function && a.File == b.File && a.Line == b.Line
}

// locate gives the functions at a link-time address, or why there are none.
func (k *Kernel) locate(f *vmlinux.File, pc unwind.PC) ([]vmlinux.Location, string) {
	at := vmlinux.Addr(pc.Lookup())
	a, ready := k.ready[at]
	frames, err := a.Locations, a.Err
	if !ready || f != k.File {
		frames, err = f.Locate(at)
	}
	if len(frames) > 0 {
		return frames, ""
	}
	var unknown *vmlinux.UnknownError
	if errors.As(err, &unknown) {
		return nil, unknown.Reason.String()
	}
	if err != nil {
		return nil, err.Error()
	}
	return nil, "unknown"
}
