package linux

import (
	"encoding/binary"

	"kcatch/gdb/vmlinux"
)

// initcallLevels are the tables of initcalls in the order of the image, by the symbols at which they begin (include/asm-generic/
// vmlinux.lds.h, INIT_CALLS), and the names of their levels (include/linux/init.h).
var initcallLevels = []struct{ symbol, level string }{
	{"__initcall_start", "early"}, {"__initcall0_start", "pure"}, {"__initcall1_start", "core"}, {"__initcall2_start", "postcore"},
	{"__initcall3_start", "arch"}, {"__initcall4_start", "subsys"}, {"__initcall5_start", "fs"}, {"__initcallrootfs_start", "rootfs"},
	{"__initcall6_start", "device"}, {"__initcall7_start", "late"}, {"__initcall_end", ""},
}

// maxInitcalls bounds the bytes of a level's table.
const maxInitcalls = 1 << 20

// InitcallLevels are the levels of a vmlinux's initcalls by the names of their functions, as the file's tables have them. A name that is
// in two levels (static functions may share one) has the level "". Empty without the symbols.
//
// An entry is the distance from itself to the function, in four bytes (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS; Linux 1b1eeca7e4c1,
// "init: allow initcall tables to be emitted using relative references", v4.19).
func InitcallLevels(f *vmlinux.File) map[string]string {
	levels := map[string]string{}
	names := make([]string, len(initcallLevels))
	for i, l := range initcallLevels {
		names[i] = l.symbol
	}
	at := f.Lookup(names...)
	for i, l := range initcallLevels[:len(initcallLevels)-1] {
		begin, end := at[l.symbol].Addr, at[initcallLevels[i+1].symbol].Addr
		if begin == 0 || end <= begin || end-begin > maxInitcalls {
			continue
		}
		table, err := f.Bytes(begin, int(end-begin))
		if err != nil {
			continue
		}
		for j := 0; j+4 <= len(table); j += 4 {
			function := begin + vmlinux.Addr(j) + vmlinux.Addr(int64(int32(binary.LittleEndian.Uint32(table[j:]))))
			s, ok := f.SymbolAt(function)
			if !ok || s.Addr != function {
				continue
			}
			level := l.level
			if was, twice := levels[s.Name]; twice && was != level {
				level = ""
			}
			levels[s.Name] = level
		}
	}
	return levels
}
