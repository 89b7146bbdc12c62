// Package value turns what DWARF says of a variable and what a stopped machine holds into C text.
//
// A [Value] is bytes with a C type: read from memory at an address, put together by a location expression from registers
// and memory, or a constant. Its text is C as a debugger prints it. Types are the standard library's dwarf.Type, as
// gdb/vmlinux gives them. Everything here is pure: registers and memory come in through the caller.
package value

import (
	"debug/dwarf"
	"errors"
)

// Memory reads guest memory by run-time addresses. n < len(p) only with an error.
type Memory interface {
	ReadMemory(p []byte, addr uint64) (n int, err error)
}

// ErrOptimizedOut is the error of a value that the compiler has kept nowhere at this place: DWARF itself says so.
var ErrOptimizedOut = errors.New("optimized out")

// Value is an object of a C type, or the reason why there is none.
type Value struct {
	Type dwarf.Type
	// Addr is where the object lies, a run-time address; 0 with HasAddr false: in registers, or nowhere.
	Addr    uint64
	HasAddr bool
	// Bytes is the object as it lies in memory, little-endian; empty where Err says why.
	Bytes []byte
	// Bits are for a bit field: its place in Bytes and its width; a width of 0: all of Bytes.
	BitOffset, BitSize int
	// Err is why there are no bytes: ErrOptimizedOut, or memory or a register that is not known.
	Err error
}
