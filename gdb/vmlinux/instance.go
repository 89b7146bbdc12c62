package vmlinux

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Instance is a place where a function of the source begins: its own code, or a copy that was inlined into other code.
type Instance struct {
	Addr   Addr
	Inline bool
}

// MaxInstances bounds what [File.Instances] and [File.LineCode] return; the most frequent of a Debian kernel has some 9,000.
const MaxInstances = 1 << 14

// Instances finds where the function called name begins: every out-of-line copy, by the symbols (static functions of one
// name in several files; f.constprop.0, f.isra.0, but not the .cold and .part pieces, which are entered from the middle), and
// every inlined one, by DW_AT_entry_pc or its first range (DWARF 5 section 3.3.8.2). Sorted by
// address. None is no error.
//
// A compiler moves the instructions of an inlined copy about, so that its entry is where most of it begins, not a place that
// is passed exactly once; that is all debug information tells, and what gdb breaks on.
//
// It reads the units that have the name: 10 ms (tiny kernel) to a second (Debian's).
func (f *File) Instances(name string) ([]Instance, error) {
	seen := map[Addr]bool{}
	var out []Instance
	add := func(i Instance) {
		if !seen[i.Addr] && f.IsText(i.Addr) && len(out) < MaxInstances {
			seen[i.Addr] = true
			out = append(out, i)
		}
	}
	for _, s := range f.functionsNamed(name) {
		add(Instance{Addr: s.Addr})
	}
	var inlined []Addr
	var err error
	if f.HasDWARF() {
		f.mu.Lock()
		inlined, err = f.inlinedNamed(name)
		f.mu.Unlock()
	}
	for _, a := range inlined {
		add(Instance{Addr: a, Inline: true})
	}
	slices.SortFunc(out, func(a, b Instance) int {
		if a.Addr < b.Addr {
			return -1
		}
		return 1
	})
	if err != nil {
		err = fmt.Errorf("instances of %s: %w", name, err)
	}
	return out, err
}

// functionsNamed are the symbols that are out-of-line copies of a function, or a label of assembly.
func (f *File) functionsNamed(name string) (out []Symbol) {
	if s, ok := f.Symbol(name); ok && !s.Func {
		out = append(out, s)
	}
	t := f.symtab()
	for i := range t.len() {
		own := t.name(i)
		if len(own) < len(name) || string(own[:len(name)]) != name || t.section(i) == 0 {
			continue
		}
		suffix := string(own[len(name):])
		s := t.symbol(i)
		if !s.Func || suffix != "" && suffix[0] != '.' || strings.Contains(suffix, ".cold") || strings.Contains(suffix, ".part") {
			continue
		}
		out = append(out, s)
	}
	return out
}

// inlinedNamed finds the entries of inlined copies in the units that have the name.
func (f *File) inlinedNamed(name string) (out []Addr, err error) {
	mentions, err := f.mentions(name)
	if err != nil {
		return nil, err
	}
	linked := false // entries refer to other units (LTO, dwz): a unit may have a copy and not the name
	visit := func(off uint64, info []byte) error {
		if !linked && !mentions(info) {
			return nil
		}
		u, err := f.loadUnit(off)
		if err != nil {
			return err
		}
		linked = linked || u.abbrevs.refsAddr
		found, err := u.inlinedNamed(name)
		out = append(out, found...)
		return err
	}
	if err = f.eachUnit(visit); err == nil && linked {
		out = nil
		err = f.eachUnit(visit)
	}
	return out, err
}

// eachUnit calls visit for every compilation unit, with its offset in .debug_info and its bytes.
func (f *File) eachUnit(visit func(off uint64, info []byte) error) error {
	info, err := f.section(".debug_info")
	if err != nil {
		return err
	}
	for off := uint64(0); off < uint64(len(info)); {
		h, err := parseUnitHeader(info, off)
		if h.length == 0 {
			return err // where the next unit begins is unknown
		}
		if err == nil && (h.kind == unitCompile || h.kind == unitSkeleton) {
			if err := visit(off, info[off:off+h.length]); err != nil {
				return err
			}
		}
		off += h.length
	}
	return nil
}

// maxNames bounds how many places of .debug_str the entries of a unit are looked through for.
const maxNames = 256

// mentions tells units that have a name in their entries from those that cannot: by the bytes of the name (DW_FORM_string),
// or of its place in .debug_str (DW_FORM_strp). Where names have numbers (DW_FORM_strx), or there are too many places, every unit may.
func (f *File) mentions(name string) (func(info []byte) bool, error) {
	if f.hasSection(".debug_str_offsets") {
		return func([]byte) bool { return true }, nil
	}
	table, err := f.section(".debug_str")
	if err != nil {
		return nil, err
	}
	places, all := occurrences(table, name, maxNames)
	if !all {
		return func([]byte) bool { return true }, nil
	}
	needles := [][]byte{append([]byte(name), 0)}
	for _, at := range places {
		needles = append(needles, binary.LittleEndian.AppendUint32(nil, uint32(at)))
	}
	return func(info []byte) bool {
		return slices.ContainsFunc(needles, func(n []byte) bool { return bytes.Contains(info, n) })
	}, nil
}

// inlinedNamed finds the entries of a unit's inlined copies of a function.
func (u *unit) inlinedNamed(name string) (out []Addr, err error) {
	named := map[dwarf.Offset]bool{} // by abstract origin
	err = u.children(u.root, func(d die, depth int) (bool, error) {
		switch d.abbrev.tag {
		case dwarf.TagSubprogram, dwarf.TagLexDwarfBlock, dwarf.TagNamespace, dwarf.TagModule:
			return depth < maxInlines, nil
		case dwarf.TagInlinedSubroutine:
		default:
			return false, nil
		}
		e, err := u.decode(d.off)
		if err != nil {
			return false, err
		}
		origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			return depth < maxInlines, nil
		}
		is, known := named[origin]
		if !known {
			is = u.sourceName(e) == name
			named[origin] = is
		}
		if is {
			if a, ok := u.entryPC(e); ok {
				out = append(out, a)
			}
		}
		return depth < maxInlines && len(out) < MaxInstances, nil
	})
	return out, err
}

// entryPC is where an inlined copy is entered. DW_AT_entry_pc is an address, or a distance from the entry's base address
// (DWARF 5 section 2.18). gcc often has there where the caller's code for the call begins, which is none of the copy: then
// the beginning of the first range is taken, as gdb 13 does for all.
func (u *unit) entryPC(e *dwarf.Entry) (Addr, bool) {
	ranges, err := u.ranges(e)
	ranges = slices.DeleteFunc(ranges, func(r [2]uint64) bool { return r[0] >= r[1] }) // gcc writes empty ones
	if err != nil || len(ranges) == 0 {
		return 0, false
	}
	low := ranges[0][0]
	entry, _ := e.Val(dwarf.AttrEntrypc).(uint64)
	if n, ok := e.Val(dwarf.AttrEntrypc).(int64); ok {
		entry = low + uint64(n)
	}
	for _, r := range ranges {
		if entry >= r[0] && entry < r[1] {
			return Addr(entry), true
		}
	}
	return Addr(low), low != 0
}
