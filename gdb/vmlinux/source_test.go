package vmlinux

import "testing"

// TestRelative: what is cut off file names. The last form is of clang's assembler, as debug/dwarf joins it.
func TestRelative(t *testing.T) {
	const obj, src = "/b/obj", "/b/src/"
	tree := &sourceTree{built: true, prefix: src, compDir: obj}
	for name, want := range map[string]string{
		"/b/src/mm/page_alloc.c":                 "mm/page_alloc.c",
		"/b/obj/include/generated/asm-offsets.h": "include/generated/asm-offsets.h",
		"./include/linux/mm.h":                   "include/linux/mm.h",
		"/usr/include/stdio.h":                   "/usr/include/stdio.h",
		"/b/obj/b/src/arch/x86/kernel/head_64.S": "arch/x86/kernel/head_64.S",
		"/b/obj/b/srcs/no-prefix.c":              "b/srcs/no-prefix.c",
	} {
		if got, _ := tree.relative(&unit{}, name); got != want {
			t.Errorf("relative(%q) = %q, want %q", name, got, want)
		}
	}
}
