// Package unwind goes up a stopped kernel's stack, one frame at a time, across exception frames.
//
// What it does. A [Row] says where the caller's registers are, whatever the source of that knowledge: ORC,
// .debug_frame, a saved pt_regs, the frame-pointer chain. [Step] applies a row to registers and memory and knows no file
// format. [Walk] repeats that from the registers of a vCPU and returns every frame with how it was found, and why the
// walk stopped. A partial trace is a result, not an error.
//
// What it needs from you: registers, something that reads memory by guest-virtual address, and an [Image] that has rows.
// [Kernel] is the image of a vmlinux that runs somewhere. All three may be hostile: a walk reads at most a bounded number
// of words and ends after [MaxFrames] frames.
//
// What it does not do: it names no function, expands no inlined call, collapses no repeated frames and stops no machine.
//
// Specification: System V ABI AMD64; DWARF 5, 6.4; Documentation/arch/x86/orc-unwinder.rst; the reference for ORC is
// unwind_next_frame() in arch/x86/kernel/unwind_orc.c.
package unwind
