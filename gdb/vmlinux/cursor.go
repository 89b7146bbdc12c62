package vmlinux

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// cursor reads little-endian data and keeps its first error; after that it returns zeros.
// Callers check err once, at the end; loops over a cursor also end on empty().
type cursor struct {
	section string // for the message
	base    uint64 // offset of data in the section, for the message
	data    []byte
	off     int
	err     error
}

func (c *cursor) empty() bool { return c.err != nil || c.off >= len(c.data) }

func (c *cursor) fail(want string) {
	if c.err == nil {
		c.err = &FormatError{Section: c.section, Offset: c.base + uint64(c.off), Cause: want}
	}
}

// bytes returns the next n bytes, not copied.
func (c *cursor) bytes(n uint64) []byte {
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.data)-c.off) {
		c.fail(fmt.Sprintf("%d bytes wanted, %d left", n, len(c.data)-c.off))
		return nil
	}
	b := c.data[c.off : c.off+int(n)]
	c.off += int(n)
	return b
}

func (c *cursor) skip(n uint64) { c.bytes(n) }

func (c *cursor) u8() uint8 {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uint reads an unsigned number of size bytes: 1, 2, 4 or 8.
func (c *cursor) uint(size int) uint64 {
	switch size {
	case 1:
		return uint64(c.u8())
	case 2:
		return uint64(c.u16())
	case 4:
		return uint64(c.u32())
	case 8:
		return c.u64()
	}
	c.fail(fmt.Sprintf("unsupported integer size %d", size))
	return 0
}

// uleb reads an unsigned LEB128; one longer than 10 bytes is an error.
func (c *cursor) uleb() uint64 {
	if c.off < len(c.data) && c.data[c.off] < 0x80 && c.err == nil { // most are of one byte, and this is inlined
		c.off++
		return uint64(c.data[c.off-1])
	}
	return c.longUleb()
}

func (c *cursor) longUleb() uint64 {
	var v uint64
	for shift := 0; shift < 70; shift += 7 {
		if c.err != nil || c.off >= len(c.data) {
			c.fail("number is cut off")
			return 0
		}
		b := c.data[c.off]
		c.off++
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return v
		}
	}
	c.fail("number is longer than 64 bits")
	return 0
}

// cstring reads up to and past a NUL.
func (c *cursor) cstring() []byte {
	if c.err != nil {
		return nil
	}
	n := bytes.IndexByte(c.data[c.off:], 0)
	if n < 0 {
		c.fail("string without an end")
		return nil
	}
	s := c.data[c.off : c.off+n]
	c.off += n + 1
	return s
}

// initialLength reads DWARF's initial length: the length of what follows, and whether offsets are 8 bytes wide.
func (c *cursor) initialLength() (length uint64, is64 bool) {
	n := c.u32()
	if n == 0xffffffff {
		return c.u64(), true
	}
	if n >= 0xfffffff0 {
		c.fail("reserved unit length")
	}
	return uint64(n), false
}

// FormatError says where the file is broken. Offset is in bytes from the start of the section.
type FormatError struct {
	Section string
	Offset  uint64
	Cause   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("decoding %s at offset 0x%x: %s", e.Section, e.Offset, e.Cause)
}

// sleb reads a signed LEB128.
func (c *cursor) sleb() int64 {
	start := c.off
	v := c.uleb()
	if c.err != nil {
		return 0
	}
	last := c.data[c.off-1]
	if shift := 7 * (c.off - start); shift < 64 && last&0x40 != 0 {
		v |= ^uint64(0) << shift
	}
	return int64(v)
}
