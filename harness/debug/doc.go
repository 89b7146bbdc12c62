// Package debug hands the machine of a boot over to a debugger, where the boot died or was told to stop.
//
// [Run] is a boot with a harness.Hold: the machine stands at its first death, at a --break or at --until, with the report written and
// nobody at its GDB stub. It writes debug.gdb and kcatch.py into the artifacts (a gdb script that attaches: symbols at the KASLR
// slide, the kernel's own scripts/gdb, kcatch-bt), says how to use them, and starts a [Program] on request: gdb on the machine, drgn
// or crash on the core. QEMU ends when the program does, when it is killed by one, or with the context.
//
// What it needs from you: a plan with a vmlinux, or one that builds. What it does not do: talk to the terminal, which is the
// program's; Ctrl-C is the program's too, and the caller's to keep away from the context.
//
// Specification: GDB manual, "Files" (symbol-file -o), "Python API"; Documentation/dev-tools/gdb-kernel-debugging.rst.
package debug
