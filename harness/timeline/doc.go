// Package timeline is a boot over time: how long each initcall took, by the kernel's own log, and what is slower in one run than in
// another.
//
// Stage times are seen by harness/watch on every boot. [Initcalls] reads what a kernel with initcall_debug on its command line logs of
// its initcalls. [Compare] takes boots of two sides, and finds what lies farther apart than the boots of a side do among
// themselves.
//
// It is pure: values in, values out. What it is given may come of a hostile guest or of a file: names have a few characters only,
// and every count is bounded.
package timeline
