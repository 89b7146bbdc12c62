package vmlinux

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
)

// This file decodes the attributes that an address is looked up by: where an entry's code is, its name, and where it was
// inlined. debug/dwarf makes a record with a field for every attribute of an entry, some 1 µs and 600 bytes; one address needs
// the ranges of a hundred functions.

// entry is what an entry says of the code it owns.
type entry struct {
	die
	nameValue    uint64 // DW_AT_name: see [unit.nameOf]
	nameForm     uint32 // 0: no such attribute
	low, high    uint64
	hasLow       bool
	hasHigh      bool
	ranges       uint64 // DW_AT_ranges: an offset, or an index for DW_FORM_rnglistx
	rangesForm   uint32 // 0: no such attribute
	origin, spec uint64 // DW_AT_abstract_origin, DW_AT_specification: offsets in .debug_info; 0: none
	callFile     int
	callLine     int
	callColumn   int
}

// rootEntry is what a unit's first entry says of the unit.
type rootEntry struct {
	entry
	compDir  string
	language uint64
	lines    uint64 // DW_AT_stmt_list
	hasLines bool

	addrBase, rnglistsBase, strOffsetsBase uint64
}

// value reads one attribute. Its form is the one it has behind DW_FORM_indirect. Numbers of a fixed size are not signed, as
// compilers mean them; a string of the entry itself is returned as its place in the unit.
func (u *unit) value(c *cursor, f *attrForm) (v uint64, form uint32) {
	form = f.form
	if form == formIndirect {
		if form = uint32(min(c.uleb(), 1<<31)); form == formIndirect || form == formImplicitConst {
			c.fail("indirect form of an indirect form")
			return 0, form
		}
	}
	switch form {
	case formImplicitConst:
		return uint64(f.implicit), form
	case formFlagPresent:
		return 1, form
	case formSdata:
		return uint64(c.sleb()), form
	case formString:
		at := c.off
		c.cstring()
		return uint64(at), form
	case formStrx3, formAddrx3:
		b := c.bytes(3)
		if b == nil {
			return 0, form
		}
		return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16, form
	}
	return u.header.skipForm(c, uint64(form)), form
}

// read decodes an entry.
func (u *unit) read(d die) (entry, error) {
	e := entry{die: d}
	c := cursor{section: ".debug_info", base: u.off, data: u.info, off: d.off}
	c.uleb()
	sized := false // DW_AT_high_pc is a length
	for i := range d.abbrev.forms {
		f := &d.abbrev.forms[i]
		switch f.attr {
		case dwarf.AttrName:
			e.nameValue, e.nameForm = u.value(&c, f)
		case dwarf.AttrLowpc:
			v, form := u.value(&c, f)
			e.low, e.hasLow = u.address(v, form)
		case dwarf.AttrHighpc:
			v, form := u.value(&c, f)
			if e.high, e.hasHigh = u.address(v, form); !e.hasHigh {
				e.high, e.hasHigh, sized = v, true, true
			}
		case dwarf.AttrRanges:
			e.ranges, e.rangesForm = u.value(&c, f)
		case dwarf.AttrAbstractOrigin:
			v, form := u.value(&c, f)
			e.origin = u.reference(v, form)
		case dwarf.AttrSpecification:
			v, form := u.value(&c, f)
			e.spec = u.reference(v, form)
		case dwarf.AttrCallFile:
			v, _ := u.value(&c, f)
			e.callFile = int(v)
		case dwarf.AttrCallLine:
			v, _ := u.value(&c, f)
			e.callLine = int(v)
		case dwarf.AttrCallColumn:
			v, _ := u.value(&c, f)
			e.callColumn = int(v)
		default:
			u.header.skipForm(&c, uint64(f.form))
		}
		if c.err != nil {
			return e, c.err
		}
	}
	if sized && e.hasLow {
		e.high += e.low
	}
	return e, nil
}

// readRoot decodes the unit's first entry. The bases of what its other attributes refer to may stand behind those.
func (u *unit) readRoot() error {
	c := cursor{section: ".debug_info", base: u.off, data: u.info, off: u.root.off}
	c.uleb()
	r := &u.first
	var dir uint64
	var dirForm uint32
	for i := range u.root.abbrev.forms {
		f := &u.root.abbrev.forms[i]
		v, form := u.value(&c, f)
		switch f.attr {
		case dwarf.AttrCompDir:
			dir, dirForm = v, form
		case dwarf.AttrLanguage:
			r.language = v
		case dwarf.AttrStmtList:
			r.lines, r.hasLines = v, true
		case dwarf.AttrAddrBase:
			r.addrBase = v
		case dwarf.AttrRnglistsBase:
			r.rnglistsBase = v
		case dwarf.AttrStrOffsetsBase:
			r.strOffsetsBase = v
		}
	}
	if c.err != nil {
		return c.err
	}
	r.compDir = string(u.text(dir, dirForm))
	e, err := u.read(u.root)
	r.entry = e
	return err
}

// nameOf is an entry's own name, not copied; nil where it has none. It is looked up when it is wanted: most entries are read for their
// ranges, and their names are all over .debug_str.
func (u *unit) nameOf(e *entry) []byte { return u.text(e.nameValue, e.nameForm) }

// text is the string that an attribute's value stands for, not copied; nil where it is none.
func (u *unit) text(v uint64, form uint32) []byte {
	switch form {
	case formString:
		return cstringAt(u.info, v)
	case formStrp:
		return cstringAt(u.tables.str, v)
	case formLineStrp:
		return cstringAt(u.tables.lineStr, v)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4:
		width := u.header.offsetSize()
		base := u.first.strOffsetsBase
		if base == 0 {
			base = uint64(2 * width) // past the header of the only part
		}
		at, ok := numberAt(u.tables.strOffsets, base, v, width)
		if !ok {
			return nil
		}
		return cstringAt(u.tables.str, at)
	}
	return nil
}

// address is the address that an attribute's value stands for; ok is false where it is none.
func (u *unit) address(v uint64, form uint32) (a uint64, ok bool) {
	switch form {
	case formAddr:
		return v, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4:
		return u.addressOf(v)
	}
	return 0, false
}

// addressOf is entry i of the unit's part of .debug_addr.
func (u *unit) addressOf(i uint64) (uint64, bool) {
	base := u.first.addrBase
	if base == 0 {
		base = 8 // past the header of the only part
	}
	return numberAt(u.tables.addr, base, i, 8)
}

// reference is the place in .debug_info that an attribute refers to; 0 where it refers to none there.
func (u *unit) reference(v uint64, form uint32) uint64 {
	switch form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		if v < uint64(len(u.info)) {
			return u.off + v
		}
	case formRefAddr:
		return v
	}
	return 0
}

// cstringAt is the string at off of a section of strings; nil where there is none.
func cstringAt(table []byte, off uint64) []byte {
	if off >= uint64(len(table)) {
		return nil
	}
	if n := bytes.IndexByte(table[off:], 0); n >= 0 {
		return table[off:][:n]
	}
	return nil
}

// numberAt is number i, of width bytes (4 or 8), of the table at base.
func numberAt(table []byte, base, i uint64, width int) (uint64, bool) {
	if i > uint64(len(table)) || base > uint64(len(table)) || base+i*uint64(width)+uint64(width) > uint64(len(table)) {
		return 0, false
	}
	at := table[base+i*uint64(width):]
	if width == 4 {
		return uint64(binary.LittleEndian.Uint32(at)), true
	}
	return binary.LittleEndian.Uint64(at), true
}

// sourceNameOf is the name in the source of a function or an inlined copy of it, as [unit.sourceName].
func (u *unit) sourceNameOf(e *entry) string {
	name, origin, spec := u.nameOf(e), e.origin, e.spec
	in := u
	for range maxOrigins {
		if name != nil {
			return string(name)
		}
		to := origin
		if to == 0 {
			to = spec
		}
		if to == 0 {
			return ""
		}
		if to < in.off || to-in.off >= uint64(len(in.info)) {
			if in = u.neighbour(to); in == nil {
				return ""
			}
		}
		d, err := in.dieAt(int(to - in.off))
		if err != nil || d.abbrev == nil {
			return ""
		}
		next, err := in.read(d)
		if err != nil {
			return ""
		}
		name, origin, spec = in.nameOf(&next), next.origin, next.spec
	}
	return ""
}

// neighbour is the unit with the entry at off of .debug_info, read for its names; nil where there is none. Link-time optimisation
// and dwz make references to other units.
func (u *unit) neighbour(off uint64) *unit {
	for _, n := range u.neighbours {
		if off >= n.off && off-n.off < uint64(len(n.info)) {
			return n
		}
	}
	start, ok := u.tables.unitStart(off)
	if !ok {
		return nil
	}
	n, err := readUnit(u.tables, start, &abbrevs{})
	if err != nil {
		return nil
	}
	if len(u.neighbours) < maxNeighbours {
		u.neighbours = append(u.neighbours, n)
	}
	return n
}

// maxNeighbours bounds the units that one unit keeps.
const maxNeighbours = 16
