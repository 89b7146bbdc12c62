// Package watch decides that a boot is over, and how.
//
// A death is found by state and sharpened by breakpoints. State is what the machine shows from outside while it runs: a
// vCPU halted with interrupts off in kernel text, a reset that QEMU froze, a log that does not grow. It works under any
// KASLR slide and with no symbols. A breakpoint only makes it quicker and tells what state does not: the vector of an
// early exception. A breakpoint is never a verdict, because early_fixup_exception also serves WARN, extable fix-ups and
// NMI, and returns.
//
// A false death is worse than a slow one: every judge (judge.go) needs its condition to hold in several samples.
//
// What it needs: a machine at its first instruction with a stub connection, its RAM, and the vmlinux if there is one.
// What it does: lets the machine go, and returns it stopped. What it does not do: say why the kernel died (autopsy).
package watch
