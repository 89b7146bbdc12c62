package vmlinux

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// frameIndex finds the record of .debug_frame that covers an address.
type frameIndex struct {
	built bool
	err   error
	data  []byte
	fdes  []fdeRange // by low
}

// fdeRange is the record at off with code at [low, low+size).
type fdeRange struct {
	low  uint64
	size uint32
	off  uint32
}

// indexFrames walks the records' heads once. A broken record ends the walk; those before it are kept when there are any.
func (f *File) indexFrames() error {
	x := &f.frames
	if x.built {
		return x.err
	}
	x.built = true
	if x.data, x.err = f.section(".debug_frame"); x.err != nil {
		return x.err
	}
	x.fdes, x.err = scanFDEs(x.data)
	if len(x.fdes) > 0 {
		x.err = nil
	}
	return x.err
}

func scanFDEs(data []byte) ([]fdeRange, error) {
	if uint64(len(data)) > math.MaxUint32 {
		return nil, &FormatError{Section: ".debug_frame", Cause: fmt.Sprintf("%d bytes are too many", len(data))}
	}
	var fdes []fdeRange
	c := cursor{section: ".debug_frame", data: data}
	for !c.empty() {
		start := c.off
		length, is64 := c.initialLength()
		if length > uint64(len(data)-c.off) {
			c.fail("record is longer than the section")
			break
		}
		end := c.off + int(length)
		if length == 0 {
			continue
		}
		if id := readID(&c, is64); !isCIE(id, is64) && end-c.off >= 16 {
			low, size := c.u64(), c.u64()
			// Discarded functions keep a record at 0.
			if low != 0 && size != 0 && size <= math.MaxUint32 && low+size > low {
				fdes = append(fdes, fdeRange{low, uint32(size), uint32(start)})
			}
		}
		if c.err == nil {
			c.off = max(end, c.off)
		}
	}
	slices.SortStableFunc(fdes, func(a, b fdeRange) int {
		switch {
		case a.low < b.low:
			return -1
		case a.low > b.low:
			return 1
		}
		return 0
	})
	return fdes, c.err
}

func (x *frameIndex) find(a uint64) (fdeRange, bool) {
	i := sort.Search(len(x.fdes), func(i int) bool { return x.fdes[i].low > a })
	for n := 0; i > 0 && n < maxNesting; n++ {
		i--
		if a-x.fdes[i].low < uint64(x.fdes[i].size) {
			return x.fdes[i], true
		}
	}
	return fdeRange{}, false
}

func readID(c *cursor, is64 bool) uint64 {
	if is64 {
		return c.u64()
	}
	return uint64(c.u32())
}

func isCIE(id uint64, is64 bool) bool {
	return is64 && id == math.MaxUint64 || !is64 && id == math.MaxUint32
}

// cieRecord is a common information entry, DWARF 5 section 6.4.1. Offsets are in the section.
type cieRecord struct {
	codeAlign  uint64
	dataAlign  int64
	returnReg  uint64
	program    []byte
	programOff uint64
}

// fdeRecord is a frame description entry for [low, high).
type fdeRecord struct {
	off        uint64
	cieOff     uint64
	low, high  uint64
	program    []byte
	programOff uint64
}

// record returns a cursor over the record at off, with the id read.
func record(section []byte, off uint64) (c cursor, id uint64, is64 bool) {
	if off >= uint64(len(section)) {
		c = cursor{section: ".debug_frame", base: off}
		c.fail("record is outside the section")
		return c, 0, false
	}
	c = cursor{section: ".debug_frame", base: off, data: section[off:]}
	length, is64 := c.initialLength()
	if length > uint64(len(c.data)-c.off) {
		c.fail("record is longer than the section")
		return c, 0, false
	}
	c.data = c.data[:c.off+int(length)]
	return c, readID(&c, is64), is64
}

func parseFDE(section []byte, off uint64) (fdeRecord, error) {
	c, id, is64 := record(section, off)
	if c.err == nil && isCIE(id, is64) {
		c.fail("a CIE where an FDE is wanted")
	}
	r := fdeRecord{off: off, cieOff: id, low: c.u64()}
	r.high = r.low + c.u64()
	r.programOff = off + uint64(c.off)
	r.program = c.bytes(uint64(len(c.data) - c.off))
	return r, c.err
}

func parseCIE(section []byte, off uint64) (cieRecord, error) {
	c, id, is64 := record(section, off)
	if c.err == nil && !isCIE(id, is64) {
		c.fail("an FDE where a CIE is wanted")
	}
	version := c.u8()
	if c.err == nil && version != 1 && version != 3 && version != 4 {
		c.fail(fmt.Sprintf("unsupported CIE version %d", version))
	}
	if aug := c.cstring(); len(aug) > 0 {
		c.fail(fmt.Sprintf("unsupported augmentation %q", aug))
	}
	if version == 4 { // clang
		if addr, seg := c.u8(), c.u8(); c.err == nil && (addr != 8 || seg != 0) {
			c.fail(fmt.Sprintf("unsupported address size %d, segment size %d", addr, seg))
		}
	}
	r := cieRecord{codeAlign: c.uleb(), dataAlign: c.sleb()}
	if version == 1 {
		r.returnReg = uint64(c.u8())
	} else {
		r.returnReg = c.uleb()
	}
	r.programOff = off + uint64(c.off)
	r.program = c.bytes(uint64(len(c.data) - c.off))
	return r, c.err
}
