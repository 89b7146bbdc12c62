// Package linux is the kernel's own sense of its memory: the printk ring, the bug table, saved registers, and the
// instruction at fault.
//
// What it does. [Ring] reads the kernel's log from memory, with no console and no help of the guest, and also the
// record that is not finished, which is often the one that matters. [BugTable] finds the file and line of a BUG or WARN
// by the address of its trap, and [DecodeTrap] tells the trap instructions apart. [DecodePtRegs] reads registers that
// entry code saved. [Explain] disassembles an instruction and says which memory it touched and through which registers.
//
// What it needs from you: something that reads memory by run-time address, and layouts, which come from DWARF where
// there is some; the x86_64 ones that were measured are the fallback. Addresses are run-time ones unless a name says
// link.
//
// What it does not do: it names no functions and stops no machine. Guest memory is hostile: every length and every loop is
// bounded, and text comes back as it is, for the printer to clean.
//
// Specification: kernel/printk/printk_ringbuffer.c, include/asm-generic/bug.h, arch/x86/include/asm/{bug,ptrace}.h;
// Intel SDM vol. 2.
package linux
