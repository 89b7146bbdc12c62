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

	first  rootEntry // what root says
	tables *debugTables

	neighbours []*unit // that entries refer to

	// data is debug/dwarf's view: of this unit alone, with shift 0, or of all units, where offsets are shift more than ours.
	// It is there once it was asked for: see [unit.dwarf].
	file  *File
	data  *dwarf.Data
	shift uint64

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
	t, err := f.debugTables()
	if err != nil {
		return nil, err
	}
	u, err := readUnit(t, off, &abbrevs{})
	if err != nil {
		return nil, err
	}
	u.file = f
	if u.abbrevs.refsAddr {
		u.shift = off
	}
	return u, nil
}

// readUnit is loadUnit without a File around it. Such a unit must not be asked for what debug/dwarf decodes.
// Its abbreviations are read into the memory of abbreviations.
func readUnit(t *debugTables, off uint64, abbreviations *abbrevs) (*unit, error) {
	u := &unit{off: off, tables: t, abbrevs: abbreviations}
	var err error
	if u.header, err = parseUnitHeader(t.info, off); err != nil {
		return nil, err
	}
	u.info = t.info[off : off+u.header.length]
	if err = parseAbbrevs(u.abbrevs, t.abbrev, u.header.abbrevOff, u.header); err != nil {
		return nil, err
	}
	if u.root, err = u.dieAt(u.header.size); err != nil {
		return nil, err
	}
	if u.root.abbrev == nil {
		return nil, &FormatError{Section: ".debug_info", Offset: off, Cause: "unit without entries"}
	}
	return u, u.readRoot()
}

// dwarf is debug/dwarf's view of the unit, made when it is first asked for.
func (u *unit) dwarf() (*dwarf.Data, error) {
	if u.data != nil {
		return u.data, nil
	}
	var err error
	if u.abbrevs.refsAddr {
		// An entry may stand in another unit, so debug/dwarf needs them all: 40 ms (tiny kernel) to 120 ms (Debian), once.
		u.data, err = u.file.wholeDWARF(u.tables.info)
	} else {
		u.data, err = u.file.newDWARF(u.info)
	}
	return u.data, err
}

// rootValue is an attribute of the unit's first entry as debug/dwarf decodes it; nil where there is none.
func (u *unit) rootValue(attr dwarf.Attr) any {
	e, err := u.decode(u.root.off)
	if err != nil {
		return nil
	}
	return e.Val(attr)
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
	data, err := u.dwarf()
	if err != nil {
		return nil, err
	}
	err = guard(".debug_info", func() error {
		r := data.Reader()
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
	data, err := u.dwarf()
	if err != nil {
		return nil, err
	}
	err = guard(".debug_rnglists", func() error {
		r, err = data.Ranges(e)
		return err
	})
	return r, err
}

func (u *unit) compDir() string { return u.first.compDir }

func (u *unit) name() string { return string(u.nameOf(&u.first.entry)) }

// assembly reports whether the unit is an assembler's. gas writes subprograms for symbols of type FUNC only, and one for
// each of several names of an address (memset, __memset), so the symbol table knows better.
func (u *unit) assembly() bool {
	const mipsAssembler = 0x8001 // DW_LANG_Mips_Assembler, what gas says on every machine
	return u.first.language == mipsAssembler
}
