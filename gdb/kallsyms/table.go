package kallsyms

import (
	"encoding/binary"
	"iter"
)

// Table is a kernel's table of symbols. Make one with [Find]. It refers to the bytes that it was found in.
type Table struct {
	// Count is the number of symbols.
	Count int
	// Base is kallsyms_relative_base, _text as a rule: a link-time address in a file, a run-time one in RAM; BaseAddr is the
	// address of the variable itself, in the terms of the address given to Find.
	Base, BaseAddr uint64

	tokens  *tokens
	names   []byte // kallsyms_names, of exactly Count symbols
	offsets []byte // kallsyms_offsets, 4 bytes each
	// percpu is CONFIG_KALLSYMS_ABSOLUTE_PERCPU (SMP kernels before v6.15): an offset that is not negative is an address.
	percpu bool
}

// Symbol is one entry. Type is nm's letter: upper case is global, t is code, a is absolute (also the per-CPU ones).
// Name is valid until the next step of the iteration.
type Symbol struct {
	Addr uint64
	Type byte
	Name []byte
}

// maxName bounds an expanded name in bytes: KSYM_NAME_LEN is 512 since v6.1 (include/linux/kallsyms.h), 128 before.
const maxName = 512

// All yields the symbols by address, lowest first.
func (t *Table) All() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		buf := make([]byte, 0, maxName)
		at := 0
		for i := range t.Count {
			codes, next, ok := entry(t.names, at)
			if !ok {
				return // not reached: Find has walked all of them
			}
			at = next
			buf = t.tokens.expand(buf[:0], codes)
			if len(buf) == 0 {
				continue
			}
			if !yield(Symbol{Addr: t.address(i), Type: buf[0], Name: buf[1:]}) {
				return
			}
		}
	}
}

// address is kallsyms_sym_address, kernel/kallsyms.c:
//
//	absolute per-CPU:  offset >= 0: offset           offset < 0: base - 1 - offset
//	else:              base + (u32)offset
func (t *Table) address(i int) uint64 {
	raw := binary.LittleEndian.Uint32(t.offsets[4*i:])
	switch off := int32(raw); {
	case !t.percpu:
		return t.Base + uint64(raw)
	case off >= 0:
		return uint64(off)
	default:
		return t.Base - 1 - uint64(int64(off))
	}
}

// entry reads the length of the name at a position and returns its tokens and the position of the next one.
func entry(names []byte, at int) (codes []byte, next int, ok bool) {
	if at >= len(names) {
		return nil, 0, false
	}
	n := int(names[at])
	at++
	if n&0x80 != 0 { // since v6.1, Linux 73bbb94466fd ("kallsyms: support "big" kernel symbols")
		if at >= len(names) || names[at]&0x80 != 0 {
			return nil, 0, false
		}
		n = n&0x7f | int(names[at])<<7
		at++
	}
	if n == 0 || n > len(names)-at {
		return nil, 0, false
	}
	return names[at : at+n], at + n, true
}

// tokens are the 256 strings that names are made of.
type tokens [256][]byte

// expand appends the name that codes stand for, cut at [maxName].
func (t *tokens) expand(buf, codes []byte) []byte {
	for _, c := range codes {
		if len(buf)+len(t[c]) > maxName {
			break
		}
		buf = append(buf, t[c]...)
	}
	return buf
}

// kind is the type letter of a name; ok is false when there is none that nm knows.
func (t *tokens) kind(codes []byte) (letter byte, ok bool) {
	first := t[codes[0]]
	if len(first) == 0 {
		return 0, false
	}
	c := first[0]
	return c, c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '?' || c == '-'
}
