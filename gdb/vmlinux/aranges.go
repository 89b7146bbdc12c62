package vmlinux

import (
	"debug/dwarf"
	"debug/elf"
	"slices"
	"sort"
)

// unitIndex finds the unit of an address and keeps the units that were read last.
type unitIndex struct {
	built   bool
	err     error // of .debug_aranges; what was read before it is kept
	ranges  []unitRange
	listed  map[uint64]bool // units that .debug_aranges knows
	scanned bool            // an address was not found: if .debug_aranges does not suffice, the units' own ranges were added

	cache map[uint64]*unit
	order []uint64 // of cache, least recently used first
	whole *dwarf.Data
}

// unitRange says that the unit at off of .debug_info has code at [low, high).
type unitRange struct{ low, high, off uint64 }

// maxUnits bounds the cache; a unit with its lines and functions takes about 0.5 MB.
const maxUnits = 48

// unitAt returns the unit with the code at a, or nil.
func (f *File) unitAt(a Addr) (*unit, error) {
	off, ok, err := f.unitOffset(a)
	if !ok {
		return nil, err
	}
	return f.cachedUnit(off)
}

// unitOffset is where the unit with the code at a is in .debug_info.
func (f *File) unitOffset(a Addr) (off uint64, ok bool, err error) {
	x := &f.units
	if !x.built {
		x.built = true
		x.listed = make(map[uint64]bool)
		x.err = f.readAranges()
		x.sort()
	}
	if off, ok = x.find(uint64(a)); ok {
		return off, true, nil
	}
	if x.scanned {
		return 0, false, x.err
	}
	x.scanned = true
	if !f.arangesSuffice() {
		f.scanUnits()
		x.sort()
		if off, ok = x.find(uint64(a)); ok {
			return off, true, nil
		}
	}
	return 0, false, x.err
}

// arangesSuffice reports whether .debug_aranges covers the kernel's code but for what no unit can have (static call
// trampolines, padding): then an address it does not know has no unit, and reading 3,400 headers to be sure would cost 100 ms
// and 80 MB. gcc, gas and rustc write it for all they compile; clang for nothing.
func (f *File) arangesSuffice() bool {
	var code, covered uint64
	x := f.buildSymbolIndex()
	for _, k := range x.keys { // the sections' sizes would not do: half of a small kernel's .text is alignment
		if i := int(uint32(k)); elf.ST_TYPE(x.table.info(i)) == elf.STT_FUNC {
			code += x.table.size(i)
		}
	}
	for _, r := range f.units.ranges {
		covered += r.high - r.low
	}
	return code > 0 && covered >= code/4*3
}

func (f *File) cachedUnit(off uint64) (*unit, error) {
	x := &f.units
	if u := x.cache[off]; u != nil {
		if last := len(x.order) - 1; x.order[last] != off {
			x.order = append(slices.DeleteFunc(x.order, func(o uint64) bool { return o == off }), off)
		}
		return u, nil
	}
	u, err := f.loadUnit(off)
	if err != nil {
		return nil, err
	}
	if len(x.order) >= maxUnits {
		delete(x.cache, x.order[0])
		x.order = x.order[1:]
	}
	if x.cache == nil {
		x.cache = make(map[uint64]*unit)
	}
	x.cache[off], x.order = u, append(x.order, off)
	return u, nil
}

// readAranges reads .debug_aranges, DWARF 5 section 6.1.2: sets of {unit, (address, length)...}.
func (f *File) readAranges() error {
	data, err := f.section(".debug_aranges")
	if err != nil || len(data) == 0 {
		return err
	}
	x := &f.units
	c := cursor{section: ".debug_aranges", data: data}
	for !c.empty() {
		start := c.off
		length, is64 := c.initialLength()
		if length > uint64(len(data)-c.off) {
			c.fail("set is longer than the section")
			break
		}
		end := c.off + int(length)
		version := c.u16()
		width := 4
		if is64 {
			width = 8
		}
		unit := c.uint(width)
		addrSize, segSize := c.u8(), c.u8()
		if c.err == nil && (version != 2 || addrSize != 8 || segSize != 0) {
			c.off = max(end, start+4) // a set that we cannot read; the units' own ranges serve instead
			continue
		}
		x.listed[unit] = true
		c.skip(uint64(-(c.off - start) & 15)) // the first pair is aligned to its own size
		for c.err == nil && c.off+16 <= end {
			low, size := c.u64(), c.u64()
			// A discarded section leaves a range at 0.
			if low != 0 && size != 0 && low+size > low {
				x.ranges = append(x.ranges, unitRange{low, low + size, unit})
			}
		}
		if c.err == nil {
			c.off = max(end, c.off)
		}
	}
	return c.err
}

// scanUnits adds the ranges of the units that .debug_aranges does not list. It reads every unit's header, and
// of the unlisted ones the root entry.
func (f *File) scanUnits() {
	x := &f.units
	info, err := f.section(".debug_info")
	if err != nil {
		x.err = err
		return
	}
	for off := uint64(0); off < uint64(len(info)); {
		h, err := parseUnitHeader(info, off)
		if h.length == 0 {
			x.err = err // where the next unit begins is unknown
			return
		}
		if err == nil && !x.listed[off] && (h.kind == unitCompile || h.kind == unitSkeleton) {
			f.addUnitRanges(off)
		}
		off += h.length
	}
}

func (f *File) addUnitRanges(off uint64) {
	u, err := f.loadUnit(off)
	if err != nil {
		f.units.err = err
		return
	}
	ranges, err := u.rangesOf(nil, &u.first.entry)
	if err != nil {
		f.units.err = err
		return
	}
	for _, r := range ranges {
		if r[0] != 0 && r[0] < r[1] {
			f.units.ranges = append(f.units.ranges, unitRange{r[0], r[1], off})
		}
	}
}

func (x *unitIndex) sort() {
	slices.SortFunc(x.ranges, func(a, b unitRange) int {
		switch {
		case a.low != b.low && a.low < b.low:
			return -1
		case a.low != b.low:
			return 1
		case a.high > b.high:
			return -1
		case a.high < b.high:
			return 1
		}
		return 0
	})
}

// find returns the unit of the innermost range around a. Ranges of a sane file do not overlap; a few steps back
// suffice for those that do.
func (x *unitIndex) find(a uint64) (off uint64, ok bool) {
	i := sort.Search(len(x.ranges), func(i int) bool { return x.ranges[i].low > a })
	for n := 0; i > 0 && n < maxNesting; n++ {
		i--
		if a < x.ranges[i].high {
			return x.ranges[i].off, true
		}
	}
	return 0, false
}
