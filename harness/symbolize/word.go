package symbolize

import (
	"fmt"
	"strconv"
	"strings"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/blame"
)

// Word is what a person gives for a place: an address, or a function with an offset and the function's size, as a trace has it.
type Word struct {
	Address  uint64 // a run-time value; where Function is empty
	Function string
	Offset   uint64 // bytes into Function
	Size     uint64 // bytes of Function; 0 is not said
}

// An address without 0x has this many digits at least, or it may be a name: "dead", "add".
const minBareDigits = 8

// longest bounds a word in bytes; the kernel's own symbols have up to 512 (KSYM_NAME_LEN, since v6.1).
const longest = 600

// ParseWord reads a word:
//
//	0xffffffff81000100  ffffffff81000100    an address
//	vfs_read+0x60/0x310  vfs_read+0x60      a function, an offset into it, its size
//	vfs_read                                where it begins
//
// What is none of these is a [blame.Usage] error of one line.
func ParseWord(s string) (Word, error) {
	bad := func(cause string) (Word, error) {
		if len(s) > 80 {
			s = s[:80] + "..."
		}
		return Word{}, blame.New(blame.Usage, fmt.Sprintf("%q: %s", s, cause), "give 0xffffffff81000100, or function+0x10/0x20")
	}
	if len(s) > longest {
		return bad("is too long for an address or a function")
	}
	digits, prefixed := strings.CutPrefix(strings.ToLower(s), "0x")
	if n, err := strconv.ParseUint(digits, 16, 64); err == nil && (prefixed || len(digits) >= minBareDigits) && !strings.Contains(digits, "_") {
		return Word{Address: n}, nil
	}
	if prefixed {
		return bad("is no address of 64 bits")
	}
	name, rest, plus := strings.Cut(s, "+")
	if !isSymbol(name) {
		return bad("is neither an address nor a function")
	}
	w := Word{Function: name}
	if !plus {
		return w, nil
	}
	offset, size, slash := strings.Cut(rest, "/")
	var err error
	if w.Offset, err = strconv.ParseUint(offset, 0, 64); err != nil {
		return bad("has no offset behind the +")
	}
	if slash {
		if w.Size, err = strconv.ParseUint(size, 0, 64); err != nil || w.Size == 0 {
			return bad("has no size behind the /")
		}
		if w.Offset > w.Size { // a return address may be the function's end
			return bad("the offset is past the function's end")
		}
	}
	return w, nil
}

// isSymbol reports whether a symbol of the kernel may be called so: C's letters, and what compilers and Rust add.
func isSymbol(s string) bool {
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '.', r == '$':
		case r >= '0' && r <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// addresses are the link-time addresses that a word means: more than one where several functions have the name (and the size, where
// it is said).
func (w Word) addresses(f *vmlinux.File, slide uint64) ([]vmlinux.Addr, error) {
	if w.Function == "" {
		return []vmlinux.Addr{vmlinux.Addr(w.Address - slide)}, nil
	}
	all := f.Functions(w.Function)
	if len(all) == 0 {
		hint := "an address needs 0x, or eight digits at least"
		if near := f.Meant(w.Function); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, blame.New(blame.Usage, w.Function+": no such function in "+f.Path(), hint)
	}
	var fit []vmlinux.Addr
	end := uint64(0)
	for _, s := range all {
		end = max(end, s.Span, s.Size)
		// The kernel's own traces count up to the next symbol, other tools take the symbol's size.
		if w.Size != 0 && w.Size != s.Span && w.Size != s.Size || w.Size == 0 && w.Offset > max(s.Span, s.Size) {
			continue
		}
		fit = append(fit, s.Addr+vmlinux.Addr(w.Offset))
	}
	switch {
	case len(fit) > 0:
		return fit, nil
	case w.Size != 0:
		return nil, blame.New(blame.Usage, fmt.Sprintf("%s: has no size 0x%x in this vmlinux, but 0x%x", w.Function, w.Size, end),
			"give the vmlinux of the kernel that printed it, or leave the size out")
	}
	return nil, blame.New(blame.Usage, fmt.Sprintf("%s+0x%x: past the function's end, at 0x%x", w.Function, w.Offset, end), "")
}
