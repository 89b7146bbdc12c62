package linux

import (
	"encoding/binary"
	"fmt"

	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
)

// FlagNamesOf reads one of the kernel's own tables of names of bits, struct trace_print_flags {unsigned long mask; const char *name;}
// of mm/debug.c: "pageflag_names", "gfpflag_names", "vmaflag_names". They are in every kernel since 4.6 (Linux edf14cdbf9a0, "mm,
// printk: introduce new format string for flags"), and are right where macros of a header would have to be copied for each version. nil
// where the file has none.
func FlagNamesOf(f *vmlinux.File, table string) []value.Flag {
	s, ok := f.Symbol(table)
	if !ok {
		return nil
	}
	flags, _ := readFlagNames(fileMemory{f}, uint64(s.Addr))
	return flags
}

// maxFlagNames bounds a table whose end is not found. The kernel's longest has 37 entries.
const maxFlagNames = 128

func readFlagNames(mem Memory, addr uint64) ([]value.Flag, error) {
	c := cursor{mem: mem}
	var flags []value.Flag
	for i := uint64(0); i < maxFlagNames; i++ {
		mask, name := c.u64(addr+16*i), c.u64(addr+16*i+8)
		if c.err != nil || name == 0 { // {0, NULL} ends it
			return flags, c.err
		}
		text, err := readString(mem, name, 64)
		if err != nil {
			return flags, err
		}
		flags = append(flags, value.Flag{Name: text, Mask: mask})
	}
	return nil, fmt.Errorf("flag names at 0x%x: more than %d", addr, maxFlagNames)
}

// namesOf reads an array of const char * of the file; "" for an entry that is NULL or cannot be read. nil where there is no such symbol.
func namesOf(f *vmlinux.File, array string) []string {
	s, ok := f.Symbol(array)
	if !ok || s.Size == 0 || s.Size > 8*maxFlagNames {
		return nil
	}
	b, err := f.Bytes(s.Addr, int(s.Size))
	if err != nil {
		return nil
	}
	names := make([]string, len(b)/8)
	for i := range names {
		if p := binary.LittleEndian.Uint64(b[8*i:]); p != 0 {
			names[i], _ = readString(fileMemory{f}, p, 64)
		}
	}
	return names
}
