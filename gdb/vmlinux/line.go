package vmlinux

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"io"
	"sort"
)

// lineTable is a unit's decoded line program.
type lineTable struct {
	rows      []lineRow // without pointers, which would cost a third of the time in write barriers
	sequences []sequence
	names     []*dwarf.LineFile // that rows use
	files     []*dwarf.LineFile // by the numbers that DW_AT_call_file uses; entries may be nil
}

// lineRow covers [addr, addr of the next row). Line 0 is code that belongs to no line.
type lineRow struct {
	addr         uint64
	file         int32 // in lineTable.names, or -1
	line, column int32
}

// sequence is the rows [first, last] of contiguous code [low, high): one per section of the unit.
type sequence struct {
	low, high   uint64
	first, last int
}

// maxRows bounds one unit's table; the largest of a Debian kernel has about 60,000.
const maxRows = 1 << 22

func (f *File) lineTable(u *unit) (*lineTable, error) {
	if !u.linesDone {
		u.linesDone = true
		u.lines, u.linesErr = f.readLines(u)
	}
	return u.lines, u.linesErr
}

func (f *File) readLines(u *unit) (*lineTable, error) {
	off, ok := u.entry.Val(dwarf.AttrStmtList).(int64)
	if !ok {
		return nil, nil
	}
	section, err := f.section(".debug_line")
	if err != nil || section == nil {
		return nil, err
	}
	if err := checkLineHeader(section, off); err != nil {
		return nil, err
	}
	t := &lineTable{}
	err = guard(".debug_line", func() error { return t.read(u) })
	return t, err
}

func (t *lineTable) read(u *unit) error {
	r, err := u.data.LineReader(u.entry)
	if err != nil || r == nil {
		return err
	}
	var e dwarf.LineEntry
	var last *dwarf.LineFile
	numbers := map[*dwarf.LineFile]int32{nil: -1}
	number := numbers[last]
	first := 0
	for len(t.rows) < maxRows {
		if err = r.Next(&e); err != nil {
			break
		}
		if !e.EndSequence {
			if e.File != last {
				last = e.File
				var ok bool
				if number, ok = numbers[last]; !ok {
					number = int32(len(t.names))
					numbers[last] = number
					t.names = append(t.names, last)
				}
			}
			row := lineRow{addr: e.Address, file: number, line: int32(e.Line), column: int32(e.Column)}
			// Of several rows at one address the last counts, as binutils has it since PR ld/4986.
			if n := len(t.rows); n > first && t.rows[n-1].addr == e.Address {
				t.rows[n-1] = row
			} else {
				t.rows = append(t.rows, row)
			}
			continue
		}
		if n := len(t.rows); n > first && t.rows[first].addr != 0 && t.rows[first].addr < e.Address {
			t.sequences = append(t.sequences, sequence{t.rows[first].addr, e.Address, first, n - 1})
		}
		first = len(t.rows)
	}
	t.files = r.Files()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// at returns the row that covers a.
func (t *lineTable) at(a Addr) (lineRow, bool) {
	if t == nil {
		return lineRow{}, false
	}
	for _, s := range t.sequences {
		if uint64(a) < s.low || uint64(a) >= s.high {
			continue
		}
		rows := t.rows[s.first : s.last+1]
		if i := sort.Search(len(rows), func(i int) bool { return rows[i].addr > uint64(a) }); i > 0 {
			return rows[i-1], true
		}
	}
	return lineRow{}, false
}

// checkLineHeader looks at the two counts of a version 5 header that debug/dwarf allocates for without a bound.
// DWARF 5 section 6.2.4.
func checkLineHeader(section []byte, off int64) error {
	if off < 0 || off >= int64(len(section)) {
		return &FormatError{Section: ".debug_line", Offset: uint64(off), Cause: "table is outside the section"}
	}
	c := cursor{section: ".debug_line", base: uint64(off), data: section[off:]}
	length, is64 := c.initialLength()
	if length > uint64(len(c.data)-c.off) {
		c.fail("table is longer than the section")
		return c.err
	}
	c.data = c.data[:c.off+int(length)]
	if c.u16() < 5 {
		return c.err // its lists end in a null
	}
	h := unitHeader{version: 5, is64: is64, addrSize: 8}
	c.skip(2)                      // address size, segment selector size
	c.skip(uint64(h.offsetSize())) // header length
	c.skip(5)                      // minimum instruction length .. line range
	if n := c.u8(); n > 0 {
		c.skip(uint64(n) - 1) // lengths of the standard opcodes
	}
	for range 2 { // directories, files
		var forms []uint64
		for n := c.u8(); n > 0 && c.err == nil; n-- {
			c.uleb()
			forms = append(forms, c.uleb())
		}
		count := c.uleb()
		if count > uint64(len(c.data)-c.off) {
			c.fail(fmt.Sprintf("%d entries in %d bytes", count, len(c.data)-c.off))
		}
		for ; count > 0 && c.err == nil && len(forms) > 0; count-- {
			for _, form := range forms {
				h.skipForm(&c, form)
			}
		}
	}
	return c.err
}
