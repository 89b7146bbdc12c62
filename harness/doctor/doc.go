// Package doctor says what this machine lacks for building and booting kernels, what a vmlinux lacks for a good report, and the command
// that mends each.
//
// What it does: [Look] asks the machine, by thin probes, and gives [Facts]; [Judge] makes checks of facts and is pure. KVM, and record
// and replay, are really tried out with a guest, which takes a second or two.
//
// What it needs from you: which QEMU and which make arguments are meant, and a vmlinux, if one is.
//
// What it does not do: it installs nothing, builds nothing, and does not ask the network. A tool that is there is taken to work; the
// compiler is asked for its version only.
//
// An error is what keeps "kcatch boot" without arguments from coming to a verdict; a warning is what something else needs, or what
// makes a report poorer.
package doctor
