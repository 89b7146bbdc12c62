package kallsyms

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrNone says that there are no tables: CONFIG_KALLSYMS=n, another layout, or they lie elsewhere.
var ErrNone = errors.New("no kallsyms tables")

// Bounds of the search. A distribution kernel has 200,000 symbols and 4 MB of names; half a million are more than any.
const (
	minSymbols = 64
	maxSymbols = 1 << 21
	maxNames   = 64 << 20 // bytes of kallsyms_names, markers and sequence numbers
	maxToken   = 512      // bytes of one token
	// budget bounds how many names all candidates may cost together: the wrong ones of a real kernel cost a few thousand.
	budget = 4 << 20
	// maxTables bounds the token tables that are looked at: the search before each goes through maxNames. A kernel has one.
	maxTables = 16
)

// kernelMap is where x86-64 kernels are linked to run (__START_KERNEL_map): relative_base lies above, with KASLR too.
const kernelMap = 0xffffffff80000000

// digits is where the search starts: the digits are in use as characters in every kernel, each is its own token, and so
// token 48 to 57 are these bytes.
var digits = []byte("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00")

// Find looks for the tables in data, whose first byte has the address addr. It needs no symbols: the token table is known by
// its digits, its index must agree with it, the names are those whose markers agree with them. [ErrNone] when there are
// none. It takes a few milliseconds for 10 MB.
func Find(data []byte, addr uint64) (*Table, error) {
	d := image{data: data, skew: int(addr % 8)}
	left, tables := budget, 0
	for at := 0; tables < maxTables; {
		n := bytes.Index(data[at:], digits)
		if n < 0 {
			break
		}
		if start, end, tok := d.tokens(at + n); tok != nil {
			tables++
			if t := d.names(start, end, tok, &left); t != nil {
				t.BaseAddr += addr
				return t, nil
			}
		}
		at += n + len(digits)
	}
	return nil, ErrNone
}

// image is the bytes that are searched. Tables are aligned by their address, not by their place in data.
type image struct {
	data []byte
	skew int // address of data[0] modulo 8
}

func (d image) align(at int) int { return (at+d.skew+7)&^7 - d.skew }

func (d image) u32(at int) uint32 { return binary.LittleEndian.Uint32(d.data[at:]) }
func (d image) u64(at int) uint64 { return binary.LittleEndian.Uint64(d.data[at:]) }

// tokens reads token table and index around the digits at a position; nil when they disagree. start and end are those of
// both together.
func (d image) tokens(zero int) (start, end int, tok *tokens) {
	at := zero
	for range 256 - '0' {
		n := bytes.IndexByte(d.data[at:min(len(d.data), at+maxToken)], 0)
		if n < 0 {
			return 0, 0, nil
		}
		at += n + 1
	}
	index := d.align(at)
	end = index + 2*256
	if end > len(d.data) {
		return 0, 0, nil
	}
	offset := func(i int) int { return int(binary.LittleEndian.Uint16(d.data[index+2*i:])) }
	start = zero - offset('0')
	if start < 0 || offset(0) != 0 {
		return 0, 0, nil
	}
	tok = new(tokens)
	for i := range 256 {
		s := d.data[start+offset(i) : at] // offset(i) is checked by the step before
		n := bytes.IndexByte(s, 0)
		if n < 0 || i < 255 && (offset(i+1) != offset(i)+n+1 || start+offset(i+1) >= at) {
			return 0, 0, nil
		}
		tok[i] = s[:n]
	}
	return start, end, tok
}

// names looks before the token table for the number of symbols with the names behind it.
func (d image) names(start, end int, tok *tokens, left *int) *Table {
	for p := d.align(start) - 16; p >= max(0, start-maxNames) && *left > 0; p -= 8 {
		n := d.u32(p)
		if n < minSymbols || n > maxSymbols || d.u32(p+4) != 0 || 2*int(n) > start-p-8 {
			continue
		}
		t := &Table{Count: int(n), tokens: tok}
		if d.walk(t, p+8, start, left) && (d.offsets(t, end) || d.offsets(t, p-8-(4*t.Count+7)&^7)) {
			return t
		}
	}
	return nil
}

// walk reads the names at a position and compares the markers behind them, which end before start.
func (d image) walk(t *Table, at, start int, left *int) bool {
	names := d.data[at:start]
	marks := make([]uint32, 0, (t.Count+255)/256)
	off := 0
	for i := range t.Count {
		if i%256 == 0 {
			marks = append(marks, uint32(off))
		}
		codes, next, ok := entry(names, off)
		if *left--; !ok || *left < 0 {
			return false
		}
		if _, ok := t.tokens.kind(codes); !ok {
			return false
		}
		off = next
	}
	table := d.align(at + off)
	if table+4*len(marks) > start {
		return false
	}
	for i, m := range marks {
		if d.u32(table+4*i) != m {
			return false
		}
	}
	t.names = names[:off]
	return true
}

// offsets tries offsets and relative_base at a position; the addresses that they give must ascend.
func (d image) offsets(t *Table, at int) bool {
	if at < 0 {
		return false
	}
	at = d.align(at)
	base := d.align(at + 4*t.Count)
	if base+8 > len(d.data) || d.u64(base) < kernelMap {
		return false
	}
	t.offsets, t.Base, t.BaseAddr = d.data[at:at+4*t.Count], d.u64(base), uint64(base)
	negative := 0
	for i := range t.Count {
		if int32(d.u32(at+4*i)) < 0 {
			negative++
		}
	}
	// A kernel is smaller than 2 GiB: without absolute per-CPU symbols no offset has its top bit set.
	t.percpu = negative > 0
	for i, last := 0, uint64(0); i < t.Count; i++ {
		a := t.address(i)
		if a < last {
			return false
		}
		last = a
	}
	return true
}
