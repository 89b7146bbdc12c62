package vmlinux

import (
	"debug/dwarf"
	"errors"
	"fmt"
)

// unit is one compilation unit of .debug_info, with what has been read of it so far.
type unit struct {
	off     uint64 // of its header in .debug_info
	info    []byte // header and entries
	header  unitHeader
	abbrevs *abbrevs
	root    die

	// data is debug/dwarf's view: of this unit alone, with shift 0, or of all units, where offsets are shift more than ours.
	data  *dwarf.Data
	shift uint64
	entry *dwarf.Entry // the root

	functions []functionRange
	funcsErr  error
	funcsDone bool

	types map[typeKey]dwarf.Type

	lines     *lineTable
	linesErr  error
	linesDone bool
}

// unitHeader is the head of a unit, DWARF 5 section 7.5.1. size is its own length in bytes.
type unitHeader struct {
	length    uint64 // of the whole unit, header included
	version   int
	kind      int // DW_UT_*; DW_UT_compile below version 5
	abbrevOff uint64
	addrSize  int
	is64      bool
	size      int
}

const (
	unitCompile  = 0x01
	unitSkeleton = 0x04
)

func (h unitHeader) offsetSize() int {
	if h.is64 {
		return 8
	}
	return 4
}

// parseUnitHeader reads the header at off of .debug_info. Kernels have versions 4 (up to 5.17's default) and 5.
func parseUnitHeader(info []byte, off uint64) (unitHeader, error) {
	if off >= uint64(len(info)) {
		return unitHeader{}, &FormatError{Section: ".debug_info", Offset: off, Cause: "unit is outside the section"}
	}
	c := cursor{section: ".debug_info", base: off, data: info[off:]}
	h := unitHeader{kind: unitCompile}
	length, is64 := c.initialLength()
	h.is64 = is64
	if length > uint64(len(c.data)-c.off) {
		c.fail("unit is longer than the section")
		return h, c.err
	}
	h.length = length + uint64(c.off)
	h.version = int(c.u16())
	switch {
	case h.version >= 2 && h.version <= 4:
		h.abbrevOff = c.uint(h.offsetSize())
		h.addrSize = int(c.u8())
	case h.version == 5:
		h.kind = int(c.u8())
		h.addrSize = int(c.u8())
		h.abbrevOff = c.uint(h.offsetSize())
		if h.kind == unitSkeleton {
			c.skip(8) // dwo_id
		}
	default:
		c.fail(fmt.Sprintf("unsupported DWARF version %d", h.version))
	}
	if c.err == nil && h.addrSize != 8 {
		c.fail(fmt.Sprintf("unsupported address size %d", h.addrSize))
	}
	h.size = c.off
	if c.err == nil && uint64(h.size) >= h.length {
		c.fail("empty unit")
	}
	return h, c.err
}

// loadUnit reads header, abbreviations and root entry of the unit at off.
func (f *File) loadUnit(off uint64) (*unit, error) {
	info, err := f.section(".debug_info")
	if err != nil {
		return nil, err
	}
	u := &unit{off: off}
	if u.header, err = parseUnitHeader(info, off); err != nil {
		return nil, err
	}
	u.info = info[off : off+u.header.length]
	abbrev, err := f.section(".debug_abbrev")
	if err != nil {
		return nil, err
	}
	if u.abbrevs, err = parseAbbrevs(abbrev, u.header.abbrevOff, u.header); err != nil {
		return nil, err
	}
	if u.root, err = u.dieAt(u.header.size); err != nil {
		return nil, err
	}
	if u.root.abbrev == nil {
		return nil, &FormatError{Section: ".debug_info", Offset: off, Cause: "unit without entries"}
	}
	if u.abbrevs.refsAddr {
		// An entry may stand in another unit, so debug/dwarf needs them all: 40 ms (tiny kernel) to 120 ms (Debian), once.
		u.shift = off
		u.data, err = f.wholeDWARF(info)
	} else {
		u.data, err = f.newDWARF(u.info)
	}
	if err != nil {
		return nil, err
	}
	u.entry, err = u.decode(u.root.off)
	return u, err
}

// newDWARF hands debug/dwarf a part of .debug_info and the other sections whole. It reads only the part's abbreviations.
func (f *File) newDWARF(info []byte) (data *dwarf.Data, err error) {
	names := []string{
		".debug_abbrev", ".debug_line", ".debug_ranges", ".debug_str",
		".debug_addr", ".debug_line_str", ".debug_str_offsets", ".debug_rnglists",
	}
	body := make([][]byte, len(names))
	for i, name := range names {
		if body[i], err = f.section(name); err != nil {
			return nil, err
		}
	}
	err = guard(".debug_info", func() error {
		data, err = dwarf.New(body[0], nil, nil, info, body[1], nil, body[2], body[3])
		if err != nil {
			return err
		}
		var errs []error
		for i := 4; i < len(names); i++ {
			errs = append(errs, data.AddSection(names[i], body[i]))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, fmt.Errorf("decoding .debug_info: %w", err)
	}
	return data, nil
}

func (f *File) wholeDWARF(info []byte) (*dwarf.Data, error) {
	if f.units.whole == nil {
		data, err := f.newDWARF(info)
		if err != nil {
			return nil, err
		}
		f.units.whole = data
	}
	return f.units.whole, nil
}

// decode reads the entry at off (from the start of the unit) with all its attributes.
func (u *unit) decode(off int) (*dwarf.Entry, error) {
	return u.decodeAt(dwarf.Offset(u.shift) + dwarf.Offset(off))
}

// decodeAt reads the entry at debug/dwarf's offset, which attributes that refer to entries hold.
func (u *unit) decodeAt(off dwarf.Offset) (e *dwarf.Entry, err error) {
	err = guard(".debug_info", func() error {
		r := u.data.Reader()
		r.Seek(off)
		e, err = r.Next()
		return err
	})
	if err == nil && (e == nil || e.Tag == 0) {
		err = &FormatError{Section: ".debug_info", Offset: u.off - u.shift + uint64(off), Cause: "no entry here"}
	}
	return e, err
}

// ranges returns the half-open address ranges of an entry; none for an entry without code.
func (u *unit) ranges(e *dwarf.Entry) (r [][2]uint64, err error) {
	err = guard(".debug_rnglists", func() error {
		r, err = u.data.Ranges(e)
		return err
	})
	return r, err
}

func (u *unit) compDir() string {
	dir, _ := u.entry.Val(dwarf.AttrCompDir).(string)
	return dir
}

func (u *unit) name() string {
	name, _ := u.entry.Val(dwarf.AttrName).(string)
	return name
}

// assembly reports whether the unit is an assembler's. gas writes subprograms for symbols of type FUNC only, and one for
// each of several names of an address (memset, __memset), so the symbol table knows better.
func (u *unit) assembly() bool {
	const mipsAssembler = 0x8001 // DW_LANG_Mips_Assembler, what gas says on every machine
	return intValue(u.entry, dwarf.AttrLanguage) == mipsAssembler
}
