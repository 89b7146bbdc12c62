package linux

import (
	"encoding/binary"
	"fmt"
)

// BugLayout is struct bug_entry: its size and the byte offsets of its fields. An offset of -1: no such field.
// All three displacements are s32 and count from their own field (CONFIG_GENERIC_BUG_RELATIVE_POINTERS, always on
// x86_64).
type BugLayout struct {
	Size                            int
	Addr, Format, File, Line, Flags int
}

// The layouts there are. include/asm-generic/bug.h.
var (
	bugPlain   = BugLayout{Size: 8, Addr: 0, Format: -1, File: -1, Line: -1, Flags: 4}
	bugVerbose = BugLayout{Size: 12, Addr: 0, Format: -1, File: 4, Line: 8, Flags: 10} // CONFIG_DEBUG_BUGVERBOSE
	bugFormat  = BugLayout{Size: 16, Addr: 0, Format: 4, File: 8, Line: 12, Flags: 14} // + HAVE_ARCH_BUG_FORMAT, v6.19
)

// BugLayoutFrom takes the layout from DWARF's struct bug_entry.
func BugLayoutFrom(s Struct) (BugLayout, error) {
	offset := func(member string) int {
		if off, ok := s.Offset(member); ok {
			return off
		}
		return -1
	}
	l := BugLayout{
		Size: s.Size(), Addr: offset("bug_addr_disp"), Format: offset("format_disp"),
		File: offset("file_disp"), Line: offset("line"), Flags: offset("flags"),
	}
	return l, l.check()
}

func (l BugLayout) check() error {
	inside := func(off, n int) bool { return off == -1 || off >= 0 && off+n <= l.Size }
	if l.Size <= 0 || l.Size > 256 || l.Addr < 0 || l.Flags < 0 || !inside(l.Addr, 4) || !inside(l.Format, 4) ||
		!inside(l.File, 4) || !inside(l.Line, 2) || !inside(l.Flags, 2) {
		return fmt.Errorf("bug table layout: struct bug_entry is not one that is known: %+v", l)
	}
	return nil
}

// GuessBugLayout finds the layout of a table without DWARF: the one by which every entry's address is code, as isText
// says of it. addr is the address of data[0] in the same terms. Kernels 6.19 and later without DEBUG_BUGVERBOSE also
// have 12 bytes and cannot be told from those with it here; take DWARF for them.
func GuessBugLayout(data []byte, addr uint64, isText func(uint64) bool) (BugLayout, bool) {
	for _, l := range [...]BugLayout{bugVerbose, bugFormat, bugPlain} {
		if len(data) == 0 || len(data)%l.Size != 0 {
			continue
		}
		good := true
		for off := 0; off < len(data) && good; off += l.Size {
			good = isText(displaced(data, off+l.Addr, addr))
		}
		if good {
			return l, true
		}
	}
	return BugLayout{}, false
}

// Flags of a bug_entry, include/asm-generic/bug.h.
const (
	bugFlagWarning    = 1 << 0
	bugFlagOnce       = 1 << 1
	bugFlagDone       = 1 << 2
	bugFlagNoCutHere  = 1 << 3
	bugFlagTaintShift = 8
)

// Bug is one BUG() or WARN() in the kernel. File and Line are those of the macro's expansion, which may be in an
// inlined helper: the inlined frames tell its caller.
type Bug struct {
	Addr uint64 // of the trap instruction
	File string // as the compiler had it: relative to the tree, or absolute; empty without DEBUG_BUGVERBOSE
	Line int
	// Warning: execution goes on after the trap. Otherwise it is a BUG.
	Warning   bool
	Once      bool // warns only the first time
	Done      bool // has warned; only in guest memory, the file never has it
	NoCutHere bool
	Taint     uint8
	Format    string // WARN's format string, where the table has it
}

// BugTable is __start___bug_table to __stop___bug_table, from the file or from the guest. Addr is the address of
// Data[0]; it, the addresses asked for and those of Strings are all link-time or all run-time.
type BugTable struct {
	Addr    uint64
	Data    []byte
	Layout  BugLayout
	Strings Memory
}

// Find returns the entry for the trap at addr. The table is not sorted; looking through 20,000 entries takes 20 µs.
// An entry whose strings cannot be read is returned without them.
func (t BugTable) Find(addr uint64) (Bug, bool) {
	l := t.Layout
	if l.check() != nil {
		return Bug{}, false
	}
	for off := 0; off+l.Size <= len(t.Data); off += l.Size {
		if displaced(t.Data, off+l.Addr, t.Addr) == addr {
			return t.entry(off, addr), true
		}
	}
	return Bug{}, false
}

// maxString bounds a file name (PATH_MAX) and a format.
const maxString = 4096

func (t BugTable) entry(off int, addr uint64) Bug {
	l := t.Layout
	flags := binary.LittleEndian.Uint16(t.Data[off+l.Flags:])
	b := Bug{
		Addr: addr, Warning: flags&bugFlagWarning != 0, Once: flags&bugFlagOnce != 0, Done: flags&bugFlagDone != 0,
		NoCutHere: flags&bugFlagNoCutHere != 0, Taint: uint8(flags >> bugFlagTaintShift),
	}
	if l.Line >= 0 {
		b.Line = int(binary.LittleEndian.Uint16(t.Data[off+l.Line:]))
	}
	if t.Strings == nil {
		return b
	}
	text := func(field int) string {
		if field < 0 {
			return ""
		}
		s, err := readString(t.Strings, displaced(t.Data, off+field, t.Addr), maxString)
		if err != nil {
			return ""
		}
		return s
	}
	b.File, b.Format = text(l.File), text(l.Format)
	return b
}

// displaced resolves a relative pointer: &field + *(s32 *)field.
func displaced(data []byte, off int, base uint64) uint64 {
	return base + uint64(off) + uint64(int64(int32(binary.LittleEndian.Uint32(data[off:]))))
}
