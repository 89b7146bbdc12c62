package vmlinux

import (
	"fmt"
	"path"
	"sort"
)

// lineTable is a unit's decoded line program.
type lineTable struct {
	rows      []lineRow // without pointers, which would cost a third of the time in write barriers
	sequences []sequence
	dirs      [][]byte
	files     []lineFile // by the numbers that rows and DW_AT_call_file use
}

// lineFile is an entry of the table's files. Its name is made when it is asked for: a unit has 300, and a few are.
type lineFile struct {
	name []byte // in the file; nil: no file has this number
	dir  uint64 // in lineTable.dirs
	path string // what relative made of it
	out  bool
	done bool
}

// lineRow covers [addr, addr of the next row). Line 0 is code that belongs to no line.
type lineRow struct {
	addr         uint64
	file         int32 // in lineTable.files, which may not have it
	line, column int32
}

// sequence is the rows [first, last] of contiguous code [low, high): one per section of the unit.
type sequence struct {
	low, high   uint64
	first, last int
}

// maxRows bounds one unit's table; the largest of a Debian kernel has about 60,000.
const maxRows = 1 << 22

func (u *unit) lineTable() (*lineTable, error) {
	if !u.linesDone {
		u.linesDone = true
		u.lines, u.linesErr = u.readLines(&lineTable{})
	}
	return u.lines, u.linesErr
}

// readLines decodes the unit's line program into t, whose memory it uses again; nil without an error where there is none.
func (u *unit) readLines(t *lineTable) (*lineTable, error) {
	if !u.first.hasLines || u.tables.line == nil {
		return nil, nil
	}
	p, err := u.lineProgram(t)
	if err != nil {
		return t, err
	}
	return t, p.run(t)
}

// file is the name of file n relative to the kernel tree, empty where there is none.
func (t *lineTable) file(u *unit, tree *sourceTree, n int) (file string, outside bool) {
	if t == nil || n < 0 || n >= len(t.files) || t.files[n].name == nil {
		return "", false
	}
	f := &t.files[n]
	if !f.done {
		f.path, f.out = tree.relative(u, t.joined(n))
		f.done = true
	}
	return f.path, f.out
}

// joined is the name of file n behind its directory's.
func (t *lineTable) joined(n int) string {
	f := &t.files[n]
	name := string(f.name)
	if !path.IsAbs(name) && f.dir < uint64(len(t.dirs)) && len(t.dirs[f.dir]) > 0 {
		name = string(t.dirs[f.dir]) + "/" + name
	}
	return name
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
