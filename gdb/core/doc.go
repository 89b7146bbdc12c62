// Package core is a stopped machine as an ELF core file: it writes one, and reads what others write.
//
// [Write] makes one as kdump and QEMU's dump-guest-memory do, so that drgn and crash open it: all RAM as PT_LOAD segments,
// the registers of each vCPU as NT_PRSTATUS notes, and a VMCOREINFO note that is made from the vmlinux and the kernel's
// place, because a kernel that dies early has made none itself. It needs the RAM, the registers, and for [Info] an open
// kernel with its placement. It does not compress; pages of zeros become holes in the file, which makes an early death's
// core a few megabytes.
//
// [Open] reads three kinds: ours, QEMU's (with and without paging), and a copy of /proc/vmcore or makedumpfile's ELF. All
// of them have guest-physical addresses in p_paddr, and that is all that is used: virtual ones go through the page tables
// in the memory itself, as on a machine that runs. They differ in what they know of a vCPU:
//
//	ours    NT_PRSTATUS, and KCATCH with what our own autopsy wants
//	QEMU's  NT_PRSTATUS, and QEMU with the control registers and the IDT
//	kdump   NT_PRSTATUS
//
// kdump's compressed formats are refused by name: makedumpfile and crash read them.
//
// Source: fs/proc/vmcore.c, kernel/crash_core.c and arch/x86/kernel/crash_core_64.c (6.1), include/linux/elfcore.h,
// Documentation/admin-guide/kdump/vmcoreinfo.rst; QEMU 7.2 dump/dump.c and target/i386/arch_dump.c; makedumpfile 1.7.2,
// diskdump_mod.h and makedumpfile.h for the signatures.
package core
