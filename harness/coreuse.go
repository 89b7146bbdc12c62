package harness

import (
	"encoding/binary"
	"fmt"

	"kcatch/harness/verdict"
	"kcatch/internal/shell"
)

// coreNotes say what crash will not do with the core of a death. They were seen with crash 8.0.2, Debian bookworm's; drgn
// 0.0.22 reads every core that has a vmlinux with debug information.
//
//	"invalid kernel virtual address: ... kmem_cache objsize"   the allocator was not up: slab_state < UP
//	"cannot determine idle task addresses from init_tasks[]"   6.12; struct module has been another since 6.4, Linux
//	                                                           ac3b43283923 ("module: replace module_layout with module_memory")
//	"bt: invalid size request: 0  type: "stack contents""      a panic: the core is of the entry of panic(), and bt looks for
//	                                                           a function of its own list on the stack
func (b *boot) coreNotes(r *verdict.Result) []string {
	if r.Verdict != verdict.Bad || b.kernel == nil || b.place == nil {
		return nil
	}
	if b.plan.Vmlinux == "" || !b.kernel.HasDWARF() {
		return []string{"vmcore: crash and drgn need a vmlinux with debug information to read it"}
	}
	drgn := fmt.Sprintf("; drgn does: drgn -c %s -s %s", shell.Word(b.artifacts.path(coreName)), shell.Word(b.plan.Vmlinux))
	var major, minor int
	_, _ = fmt.Sscanf(b.kernel.Release(), "%d.%d", &major, &minor) // zeros are an old kernel
	switch {
	case major > 6 || major == 6 && minor >= 4:
		return []string{"vmcore: crash 8.0.2 does not know kernels of 6.4 and later" + drgn}
	case b.hasSLOB():
		return []string{"vmcore: crash does not know the SLOB allocator" + drgn}
	case !b.allocatorUp():
		return []string{"vmcore: crash does not open it, because the memory allocator was not up yet" + drgn}
	case r.Class == verdict.Panic:
		return []string{"vmcore: it is of the entry of panic(): crash opens it, but its bt shows no stack of that task (bt -T PID does)" + drgn}
	}
	return nil
}

func (b *boot) hasSLOB() bool {
	_, ok := b.kernel.Symbol("free_slob_small") // mm/slob.c, until 6.3
	return ok
}

// allocatorUp reads slab_state, mm/slab.h: DOWN, PARTIAL, PARTIAL_NODE, UP, FULL. Where it cannot be read, it is up.
func (b *boot) allocatorUp() bool {
	const up = 3
	sym, ok := b.kernel.Symbol("slab_state")
	if !ok {
		return true
	}
	var v [4]byte
	if _, err := b.kernel.Memory(b.ram, *b.place).ReadMemory(v[:], b.place.Run(uint64(sym.Addr))); err != nil {
		return true
	}
	return binary.LittleEndian.Uint32(v[:]) >= up
}
