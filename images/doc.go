// Package images makes the guest's root: an initramfs, written in Go, without root rights and without tools.
//
// [Build] takes a [Spec] and gives the archive's bytes; equal specs give equal bytes on every machine. What runs in the
// guest stands in guest/: an inittab and one shell script for busybox, which is /init and so PID 1. It needs no more of
// the kernel than an initrd, ELF and, to be heard, a console or printk: no #! support, no /proc, no devtmpfs, no disk.
// It prints [MarkerLine], runs [Spec.Checks] and [Spec.Run] if there are any, prints [RunLine] and powers off (or resets, where there
// is no ACPI).
//
// A [Spec.Workload] is a shell script of guest/workloads that init runs: it makes the kernel work in steps, and each says in a
// line of the log how it ended (see [AddStep]). "memory" fills and drops the page cache, maps, forks, splices, swaps, merges,
// compacts and migrates pages, takes memory until little is left, and takes a block of it out and back. What busybox cannot
// do, guest/workloads/helper.c does ([BuildHelper]). A step needs nothing of the kernel: what it finds missing is not there,
// and it says so. configs/fragments/workload.config gives a tiny kernel all of it. To add a workload, put NAME.sh there.
//
// A check ([Spec.Checks]) is a script whose exit status and output are told, each line behind a tag; [CheckReader] reads that. The
// marker keeps a program from saying by accident that a check has ended. One that means to can: all that runs in the guest can read
// the marker there.
//
// It needs from you a statically linked busybox ([FindBusybox] knows Debian's busybox-static), and a marker that is
// new for each run, so that a line of an earlier run or a constant in the kernel is never taken for it. The marker
// stands in the archive only, not on the command line: it is not in the kernel's log before init runs.
//
// It does not compress (a kernel may lack the decompressor, and 2 MB cost nothing), and makes no disk images.
//
// Format: linux/Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
package images
