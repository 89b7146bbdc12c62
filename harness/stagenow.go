package harness

import (
	"encoding/binary"

	"kcatch/gdb/guest"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
)

// setupMagic is what the header of a bzImage has at setupMagicAt (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const (
	setupMagic   = "HdrS"
	setupMagicAt = 0x202
)

// setupLoaded reports whether the firmware has put a bzImage's real-mode setup to where it runs it: it is over with its own work.
func (b *boot) setupLoaded() bool {
	var v [len(setupMagic)]byte
	_, err := b.ram.ReadPhysical(v[:], machine.SetupStart+setupMagicAt)
	return err == nil && string(v[:]) == setupMagic
}

// stackEnd is STACK_END_MAGIC (include/uapi/linux/magic.h). The first thing that start_kernel() does is to put it at the end of its
// own stack (init/main.c, set_task_stack_end_magic).
const stackEnd = 0x57AC6E9D

// stageNow gives a function that tells how far a running kernel is, as far as its memory has it: system_state (include/linux/kernel.h),
// the mark at the end of the first task's stack, and idt_table, which is filled in when the early IDT is loaded. It is asked
// every 2 ms and reads some ten bytes.
func (b *boot) stageNow() func() verdict.Stage {
	began, initialized := false, false
	var state, stack, idt uint64
	var mem guest.Image
	return func() verdict.Stage {
		if b.place == nil {
			return ""
		}
		if !initialized {
			initialized = true
			at := b.kernel.Lookup("system_state", "init_stack", "init_thread_union", "idt_table")
			state, stack, idt = uint64(at["system_state"].Addr), uint64(at["init_stack"].Addr), uint64(at["idt_table"].Addr)
			if stack == 0 {
				stack = uint64(at["init_thread_union"].Addr)
			}
			mem = b.kernel.Memory(b.ram, *b.place)
		}
		word := func(link uint64) uint32 {
			var v [4]byte
			if link != 0 {
				_, _ = mem.ReadMemory(v[:], b.place.Run(link)) // what is not there has not begun
			}
			return binary.LittleEndian.Uint32(v[:])
		}
		switch word(state) {
		case 0:
		case 1: // SYSTEM_SCHEDULING
			return verdict.Initcall
		case 2: // SYSTEM_FREEING_INITMEM
			return verdict.Init
		default:
			return verdict.Userspace
		}
		if began = began || word(stack) == stackEnd; began {
			return verdict.StartKernel
		}
		var gate [16]byte
		if _, err := mem.ReadMemory(gate[:], b.place.Run(idt)); idt == 0 || err != nil {
			return ""
		}
		if handler, ok := guest.GateOffset(gate); ok && b.kernel.IsText(vmlinux.Addr(b.place.Link(handler))) {
			return verdict.EarlyIDT
		}
		return ""
	}
}
