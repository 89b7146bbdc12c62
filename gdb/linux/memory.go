package linux

import (
	"bytes"
	"encoding/binary"
)

// Memory reads guest memory by run-time address. n < len(p) only with an error.
type Memory interface {
	ReadMemory(p []byte, addr uint64) (n int, err error)
}

// cursor reads fields and keeps the first error, so that the code reads like the layout.
type cursor struct {
	mem Memory
	err error
}

func (c *cursor) bytes(addr uint64, n int) []byte {
	b := make([]byte, n)
	if c.err == nil {
		_, c.err = c.mem.ReadMemory(b, addr)
	}
	return b
}

// table reads n bytes that a hostile kernel says are there, in pieces, so that a table which is not costs nothing.
func (c *cursor) table(addr uint64, n int) []byte {
	const piece = 64 << 10
	var b []byte
	for len(b) < n && c.err == nil {
		b = append(b, c.bytes(addr+uint64(len(b)), min(piece, n-len(b)))...)
	}
	return b
}

func (c *cursor) u64(addr uint64) uint64 { return binary.LittleEndian.Uint64(c.bytes(addr, 8)) }
func (c *cursor) u32(addr uint64) uint32 { return binary.LittleEndian.Uint32(c.bytes(addr, 4)) }

// readString reads a NUL-terminated string of at most limit bytes. It asks for small pieces, so that a string at
// the end of what can be read is still had.
func readString(mem Memory, addr uint64, limit int) (string, error) {
	var s []byte
	for len(s) < limit {
		var b [64]byte
		n, err := mem.ReadMemory(b[:min(len(b), limit-len(s))], addr+uint64(len(s)))
		if i := bytes.IndexByte(b[:n], 0); i >= 0 {
			return string(append(s, b[:i]...)), nil
		}
		s = append(s, b[:n]...)
		if err != nil {
			return string(s), err
		}
	}
	return string(s), nil
}
