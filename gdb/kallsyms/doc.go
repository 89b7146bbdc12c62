// Package kallsyms reads the symbol table that a kernel carries in itself for its own backtraces: the one that is there
// when nobody kept a vmlinux. It is part of .rodata, so the payload of a bzImage has it, a stripped vmlinux, and the RAM
// of a running guest.
//
// It needs the bytes of .rodata (or of any range that contains the tables) and their address; it needs no symbol to find
// them. What it does not do: it knows no modules, and the sizes of functions are not in the table.
//
// The bytes are hostile input: every length is checked against them, and the search has a budget.
//
// Format: scripts/kallsyms.c, write_src; kernel/kallsyms.c reads it. The tables, each aligned to 8 bytes:
//
//	kallsyms_num_syms      u32
//	kallsyms_names         per symbol: length (ULEB128 of one or two bytes), then as many token numbers
//	kallsyms_markers       u32 each: the offset in names of every 256th symbol
//	kallsyms_token_table   256 strings with their NUL; a character in use is its own token
//	kallsyms_token_index   u16[256]: the offsets of the strings
//	kallsyms_offsets       s32 per symbol
//	kallsyms_relative_base u64, relocated by KASLR
//
// The first character of an expanded name is its type, as nm has it. The order drawn is that of 6.4 and later ("scripts/
// kallsyms: change the output order"); before, offsets and relative_base come first. kallsyms_seqs_of_names (v6.2, and
// Debian's 6.1) stands before the token table or at the end. Tables of absolute addresses (no
// CONFIG_KALLSYMS_BASE_RELATIVE), which x86 has not had since v4.6, are not read.
package kallsyms
