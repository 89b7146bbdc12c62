package vmlinux

import (
	"encoding/binary"
	"fmt"
)

// lineProgram is the header of a unit's line table and where its program is, DWARF 5 section 6.2. debug/dwarf runs a program at 60
// ns a row, with a record of fifteen fields for each; this one takes 5 ns.
type lineProgram struct {
	c         cursor // at the program's first instruction; its data ends with the table
	minLength uint64
	lineBase  int32
	lineRange uint8
	base      uint8 // of the special opcodes
	lengths   [256]uint8
}

// Standard and extended opcodes, DWARF 5 section 7.22.
const (
	lnsCopy           = 1
	lnsAdvancePC      = 2
	lnsAdvanceLine    = 3
	lnsSetFile        = 4
	lnsSetColumn      = 5
	lnsNegateStmt     = 6
	lnsConstAddPC     = 8
	lnsFixedAdvancePC = 9

	lneEndSequence = 1
	lneSetAddress  = 2
	lneDefineFile  = 3
)

// Content types of a version 5 table's directories and files, DWARF 5 section 6.2.4.1.
const (
	lnctPath           = 1
	lnctDirectoryIndex = 2
)

// lineProgram reads the header of the unit's line table, with its directories and files into t.
func (u *unit) lineProgram(t *lineTable) (lineProgram, error) {
	section, off := u.tables.line, u.first.lines
	*t = lineTable{rows: t.rows[:0], sequences: t.sequences[:0], dirs: t.dirs[:0], files: t.files[:0]}
	if off >= uint64(len(section)) {
		return lineProgram{}, &FormatError{Section: ".debug_line", Offset: off, Cause: "table is outside the section"}
	}
	p := lineProgram{c: cursor{section: ".debug_line", base: off, data: section[off:]}}
	c := &p.c
	length, is64 := c.initialLength()
	if length > uint64(len(c.data)-c.off) {
		c.fail("table is longer than the section")
		return p, c.err
	}
	c.data = c.data[:c.off+int(length)]
	h := unitHeader{version: int(c.u16()), is64: is64, addrSize: 8}
	if c.err == nil && (h.version < 2 || h.version > 5) {
		c.fail(fmt.Sprintf("unknown line table version %d", h.version))
	}
	if h.version >= 5 {
		if size := c.u8(); size != 8 && c.err == nil {
			c.fail(fmt.Sprintf("unsupported address size %d", size))
		}
		c.skip(1) // segment selector size
	}
	headerLength := c.uint(h.offsetSize())
	program := uint64(c.off) + headerLength
	if c.err == nil && (headerLength > uint64(len(c.data)) || program > uint64(len(c.data))) {
		c.fail("program is outside the table")
	}
	p.minLength = uint64(c.u8())
	if h.version >= 4 {
		c.skip(1) // operations per instruction: x86 has one
	}
	c.skip(1) // is_stmt at first
	p.lineBase, p.lineRange, p.base = int32(int8(c.u8())), c.u8(), c.u8()
	if c.err == nil && p.lineRange == 0 {
		c.fail("line range 0")
	}
	for i := 1; i < int(p.base) && c.err == nil; i++ {
		p.lengths[i] = c.u8()
	}
	if h.version >= 5 {
		u.lineNames5(t, c, h)
	} else {
		u.lineNames4(t, c)
	}
	if c.err == nil {
		c.off = int(program)
	}
	return p, c.err
}

// lineNames4 reads the lists of a header before version 5. Numbers count from 1; directory 0 is the compiler's.
func (u *unit) lineNames4(t *lineTable, c *cursor) {
	t.dirs = append(t.dirs, []byte(u.first.compDir))
	for c.err == nil {
		dir := c.cstring()
		if len(dir) == 0 {
			break
		}
		if dir[0] != '/' {
			dir = []byte(u.first.compDir + "/" + string(dir))
		}
		t.dirs = append(t.dirs, dir)
	}
	t.files = append(t.files, lineFile{})
	for c.err == nil {
		if !t.addFile(c) {
			break
		}
	}
}

// addFile reads a file of a header before version 5; false at the end of the list.
func (t *lineTable) addFile(c *cursor) bool {
	name := c.cstring()
	if len(name) == 0 {
		return false
	}
	f := lineFile{name: name, dir: c.uleb()}
	c.uleb() // time
	c.uleb() // length
	if c.err == nil {
		t.files = append(t.files, f)
	}
	return c.err == nil
}

// lineNames5 reads the lists of a header of version 5, which say themselves what their entries consist of.
func (u *unit) lineNames5(t *lineTable, c *cursor, h unitHeader) {
	u.lineEntries(c, h, func(name []byte, _ uint64) { t.dirs = append(t.dirs, name) })
	u.lineEntries(c, h, func(name []byte, dir uint64) { t.files = append(t.files, lineFile{name: name, dir: dir}) })
}

func (u *unit) lineEntries(c *cursor, h unitHeader, add func(name []byte, dir uint64)) {
	type field struct {
		content uint64
		form    attrForm
	}
	var fields [8]field
	n := int(c.u8())
	if n > len(fields) {
		c.fail(fmt.Sprintf("entries of %d fields", n))
		return
	}
	for i := range n {
		fields[i].content = c.uleb()
		fields[i].form.form = uint32(min(c.uleb(), 1<<31))
	}
	in := *u // strings of an entry itself are in this section
	in.header, in.info = h, c.data
	for count := c.uleb(); count > 0 && c.err == nil && n > 0; count-- {
		var name []byte
		var dir uint64
		for i := range n {
			v, form := in.value(c, &fields[i].form)
			switch fields[i].content {
			case lnctPath:
				name = in.text(v, form)
			case lnctDirectoryIndex:
				dir = v
			}
		}
		if c.err == nil {
			add(name, dir)
		}
	}
}

// run decodes the program into rows and sequences.
func (p *lineProgram) run(t *lineTable) error {
	c := &p.c
	data, off := c.data, c.off
	rows := t.rows
	row := lineRow{file: 1, line: 1}
	first := 0
	emit := func() {
		// Of several rows at one address the last counts, as binutils has it since PR ld/4986.
		if n := len(rows); n > first && rows[n-1].addr == row.addr {
			rows[n-1] = row
		} else {
			rows = append(rows, row)
		}
	}
	constPC := p.minLength * uint64((255-p.base)/p.lineRange)
	for off < len(data) && len(rows) < maxRows && c.err == nil {
		op := data[off]
		off++
		if op >= p.base {
			adjusted := op - p.base
			row.addr += p.minLength * uint64(adjusted/p.lineRange)
			row.line += p.lineBase + int32(adjusted%p.lineRange)
			emit()
			continue
		}
		c.off = off
		switch op {
		case 0:
			length := c.uleb()
			start := c.off
			if c.err == nil && (length == 0 || length > uint64(len(data)-start)) {
				c.fail("instruction is longer than the table")
			}
			switch sub := c.u8(); {
			case c.err != nil:
			case sub == lneEndSequence:
				if n := len(rows); n > first && rows[first].addr != 0 && rows[first].addr < row.addr {
					t.sequences = append(t.sequences, sequence{rows[first].addr, row.addr, first, n - 1})
				}
				first = len(rows)
				row = lineRow{file: 1, line: 1}
			case sub == lneSetAddress && length == 9:
				row.addr = binary.LittleEndian.Uint64(data[c.off:])
			case sub == lneSetAddress:
				c.fail(fmt.Sprintf("address of %d bytes", length-1))
			case sub == lneDefineFile:
				if !t.addFile(c) {
					c.fail("malformed DW_LNE_define_file")
				}
			}
			if c.err == nil {
				c.off = start + int(length)
			}
		case lnsCopy:
			emit()
		case lnsAdvancePC:
			row.addr += p.minLength * c.uleb()
		case lnsAdvanceLine:
			row.line += int32(c.sleb())
		case lnsSetFile:
			row.file = int32(min(c.uleb(), 1<<30))
		case lnsSetColumn:
			row.column = int32(min(c.uleb(), 1<<30))
		case lnsConstAddPC:
			row.addr += constPC
		case lnsFixedAdvancePC:
			row.addr += uint64(c.u16())
		default:
			for range p.lengths[op] {
				c.uleb()
			}
		}
		off = c.off
	}
	t.rows = rows
	return c.err
}
