// Package guest is a machine as memory: guest-physical RAM, the page tables in it, and where the kernel lies.
//
// What it does. [RAM] maps the file that QEMU shares as the guest's memory, read-only: reading it needs no stop, no
// stub, no cooperation of the guest, and cannot disturb it. [Space] reads by virtual address through the page tables of
// one vCPU. [FindKernel] finds a KASLR kernel in RAM by its banner, in about 0.1 ms for 256 MiB. [Image] reads the
// kernel's own addresses through that placement, with no page tables and no registers, thus while the guest runs.
//
// What it needs from you: the file of `-object memory-backend-file,share=on,mem-path=FILE`, the machine type and RAM
// size for its [Layout], a vmlinux for the [Probe], and registers for a [Space].
//
// What it does not do: it writes nothing, it follows no device memory (ROM, MMIO), and a guest that runs may change
// between two reads. Everything read is hostile: no page table and no truncated file makes it loop, panic or crash.
//
// Specification: Intel SDM vol. 3A, chapter 4; QEMU hw/i386/pc_q35.c, pc_piix.c, microvm.c for the RAM layout;
// Documentation/arch/x86/x86_64/mm.rst for the kernel's address space.
package guest
