package linux

import (
	"fmt"

	"kcatch/gdb/vmlinux"
)

// structLayout is a vmlinux's [vmlinux.Struct] as [Struct].
type structLayout struct{ vmlinux.Struct }

func (s structLayout) Offset(member string) (int, bool) {
	f, ok := s.Field(member)
	if !ok || f.Offset > 1<<20 {
		return 0, false
	}
	return int(f.Offset), true
}

func (s structLayout) Size() int { return int(min(s.Struct.Size, 1<<20)) }

// RingLayoutOf is the printk ring's layout of a vmlinux: from its DWARF, else the default. The error says why the
// default was taken; it is no reason not to read the log.
func RingLayoutOf(f *vmlinux.File) (RingLayout, error) {
	// prb_read_valid stands in printk_ringbuffer.c, the one unit that surely defines all of the structures.
	anchor, ok := f.Symbol("prb_read_valid")
	if !ok {
		return DefaultRingLayout(), fmt.Errorf("printk ring layout: %s: no function prb_read_valid", f.Path())
	}
	l, err := RingLayoutFrom(func(name string) (Struct, error) {
		s, err := f.Struct(anchor.Addr, name)
		return structLayout{s}, err
	})
	if err != nil {
		return DefaultRingLayout(), err
	}
	return l, nil
}

// BugTableOf is the bug table of a vmlinux, by link-time addresses, as the file has it: nothing is DONE. ok is false
// when the kernel has none (CONFIG_BUG=n) or the file lacks the symbols.
func BugTableOf(f *vmlinux.File) (BugTable, bool) {
	at := f.Lookup("__start___bug_table", "__stop___bug_table", "find_bug")
	start, stop := at["__start___bug_table"], at["__stop___bug_table"]
	const most = 64 << 20
	if start.Addr == 0 || stop.Addr <= start.Addr || stop.Addr-start.Addr > most {
		return BugTable{}, false
	}
	data, err := f.Bytes(start.Addr, int(stop.Addr-start.Addr))
	if err != nil {
		return BugTable{}, false
	}
	t := BugTable{Addr: uint64(start.Addr), Data: data, Strings: fileMemory{f}}
	if anchor, ok := at["find_bug"]; ok {
		if s, err := f.Struct(anchor.Addr, "bug_entry"); err == nil {
			if t.Layout, err = BugLayoutFrom(structLayout{s}); err == nil {
				return t, true
			}
		}
	}
	var ok bool
	t.Layout, ok = GuessBugLayout(data, t.Addr, func(a uint64) bool { return f.IsText(vmlinux.Addr(a)) })
	return t, ok
}

// fileMemory reads a vmlinux's own contents by link address.
type fileMemory struct{ file *vmlinux.File }

func (m fileMemory) ReadMemory(p []byte, addr uint64) (int, error) {
	b, err := m.file.Bytes(vmlinux.Addr(addr), len(p))
	if err == nil {
		return copy(p, b), nil
	}
	// Near the end of what the file has: byte by byte.
	for n := range p {
		b, err := m.file.Bytes(vmlinux.Addr(addr)+vmlinux.Addr(n), 1)
		if err != nil {
			return n, err
		}
		p[n] = b[0]
	}
	return len(p), nil
}
