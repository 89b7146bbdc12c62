package vmlinux

import (
	"debug/elf"
	"strings"

	"kcatch/internal/nearest"
)

// lettersPerEdit is how near a function's name must be to be meant: a kernel has so many that a name with more changed is near to others.
const lettersPerEdit = 6

// Meant is the function whose name is nearest to one that the kernel does not have, or empty: for a refusal. Parts of functions
// (f.cold, f.constprop.0) and the padding before them (__pfx_f) are not offered. It reads the whole symbol table.
func (f *File) Meant(name string) string {
	t := f.symtab()
	var names []string
	for i := range t.len() {
		if elf.ST_TYPE(t.info(i)) != elf.STT_FUNC {
			continue
		}
		if n := string(t.name(i)); !strings.Contains(n, ".") && !strings.HasPrefix(n, "__pfx_") {
			names = append(names, n)
		}
	}
	return nearest.Name(name, names, lettersPerEdit)
}
