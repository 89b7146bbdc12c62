package harness

import (
	"errors"
	"fmt"

	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
	"kcatch/kernels"
)

// unpacking is the kernel in a bzImage that came without a vmlinux, on its way: unpacking takes 0.1 to 2 seconds by the
// format, and the guest, which has to do the same, boots meanwhile.
type unpacking struct {
	done   chan struct{}
	kernel *kernel.Kernel // set before done is closed
	err    error
}

// unpack begins to unpack the plan's bzImage.
func unpack(bzImage string) *unpacking {
	u := &unpacking{done: make(chan struct{})}
	go func() {
		defer close(u.done)
		u.kernel, u.err = unpackKernel(bzImage)
	}()
	return u
}

// unpackKernel is the kernel in a bzImage, with the names of its own table. The error says what it lacks.
func unpackKernel(bzImage string) (*kernel.Kernel, error) {
	image, err := kernels.ReadBzImage(bzImage)
	if err != nil {
		return nil, err
	}
	data, err := image.Unpack()
	if err != nil {
		return nil, err
	}
	k, err := kernel.Unpacked(bzImage, data)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if !k.Findable() {
		return nil, errors.New("payload: the kernel has no kallsyms (CONFIG_KALLSYMS)")
	}
	return k, nil
}

// adopt takes the unpacked kernel as the boot's own once it is there. With wait it waits for it.
func (b *boot) adopt(wait bool) {
	if b.unpacking == nil {
		return
	}
	if !wait {
		select {
		case <-b.unpacking.done:
		default:
			return
		}
	}
	<-b.unpacking.done
	b.kernel, b.unpackErr = b.unpacking.kernel, b.unpacking.err
	b.unpacking = nil
	if b.kernel != nil {
		b.kernel.Warm()
	}
}

// symbolNotes say what the names in the report are, when they are not those of a whole vmlinux.
func (b *boot) symbolNotes() []string {
	reduced := ": the report is reduced to registers and the console; "
	switch {
	case b.kernel == nil && b.unpackErr != nil:
		return []string{"no vmlinux was given" + reduced + "give it with --vmlinux (" + b.unpackErr.Error() + ")"}
	case b.kernel == nil:
		return []string{"no vmlinux was given" + reduced + "give it with --vmlinux"}
	case b.plan.Vmlinux == "":
		return []string{"no vmlinux was given: names are the kernel's own kallsyms, from the bzImage; no source lines and no inlined functions"}
	case !b.kernel.Findable():
		return []string{b.plan.Vmlinux + " is stripped of its symbols" + reduced + "give the vmlinux of the build, not a stripped copy"}
	case b.kernel.SymbolSource() == vmlinux.OwnTable && !b.kernel.HasDWARF():
		return []string{b.plan.Vmlinux + " is stripped of its symbols: names are the kernel's own kallsyms, which are in it; no source lines and no inlined functions"}
	case !b.kernel.HasDWARF():
		return []string{b.plan.Vmlinux + " has no debug information: the report is reduced to symbols, without source lines and inlined functions"}
	}
	return nil
}
