// Package vmlinux is everything a kernel's ELF file says about its code: build id, banner, symbols, the source line and
// the chain of inlined functions of an address, structure layouts, and the two unwind tables, ORC and .debug_frame.
//
// The file is mapped, and nothing is parsed before it is asked for: a -dbg vmlinux has 160 MB of .debug_info, and one
// stack needs ten of its 3,400 units. A unit is found through .debug_aranges; without it (clang writes none) the units' headers are
// scanned once instead. What an address needs of a unit, its line program, ranges, names and inlines, is decoded here and on no
// more entries than it takes; for variables and types the unit's slice of .debug_info is handed to debug/dwarf.
//
// What it needs from you: link-time addresses ([Addr]), that is run-time addresses minus the KASLR slide; the address
// before a return address, not the return address; and a file that nobody truncates while it is open. The bytes that
// methods return belong to the mapping: do not write to them, and do not use them after Close.
//
// What it does not do: it reads no memory, evaluates no expression, follows no debug link, and does
// not apply the .rela.debug_* sections that CONFIG_RELOCATABLE leaves in some ET_EXEC files (their contents are
// relocated already).
//
// A File may be used from several goroutines. The file is hostile input: a broken section is an error, never a panic.
//
// Formats: System V ABI (ELF), DWARF 4 and 5 (https://dwarfstd.org), arch/x86/include/asm/orc_types.h.
package vmlinux
