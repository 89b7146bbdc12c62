// Package survey boots a kernel once and records what is passed in it: every WARN, and every hit of the breakpoints that
// were asked for, with its chain, instead of stopping at the first.
//
// At a stop the vCPU's stack is walked for bare return addresses, which are counted by their hash; only the first of its kind
// is kept. Names are looked up when the boot is over. So a stop costs about as much as QEMU takes to stop and go on.
//
// A distinct chain belongs to a site: the place in the source, outside of headers, that somebody would look at. For a WARN
// that is the code that its condition stands in, or into which the header's function with the condition is inlined; for a
// function, the call of it; for a line, the line.
//
// It is a loop around [harness.Boot] of one round: a [harness.Observer]. What it needs from you is a kernel with a vmlinux,
// and TCG, which takes any number of breakpoints at addresses that do not exist yet. It does not see code that runs at physical
// addresses (startup_64 and what it calls) nor modules' functions by name: their lines are not in vmlinux.
package survey
