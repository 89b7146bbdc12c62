// Package symbolize answers which lines of the source an address of a kernel is: words as people copy them from traces
// (0xffffffff81000100, vfs_read+0x60/0x310) become [verdict.Place] values.
//
// It is the thin layer between a [vmlinux.File] and a report: what a word means, the KASLR slide, and the values that are shown. An
// address is exact, that of an instruction, and nothing is subtracted; unless all are said to be return addresses.
//
// It reads no text around the words; gdb/trace does, for a console's log.
package symbolize
