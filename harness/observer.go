package harness

import (
	"context"

	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/autopsy"
	"kcatch/harness/watch"
)

// Observer looks at a boot from breakpoints of its own, while the boot takes its course; see [Plan.Observer]. Its methods are
// called one at a time.
type Observer interface {
	// Places are where to look, once the kernel's file is open. It is called again when a boot is tried again, and by [Check],
	// with the same kernel. An error ends the boot before it has begun.
	Places(k *kernel.Kernel) ([]Place, error)
	// Over ends the looking: the machine stands for good, or is gone, and the kernel's file is still open. What it returns are
	// the chains of the WARNs that were passed, which [Boot] leaves to its observer. It is not called when there was no machine:
	// then no place was passed.
	Over(scene *autopsy.Scene) []autopsy.Chain
}

// Place is where to look: one or more instructions.
type Place struct {
	Links []vmlinux.Addr
	// Passed is called while the machine stands at one of them.
	Passed func(scene *autopsy.Scene, h watch.Hit) (watch.Enough, error)
}

// observe asks the observer for its places.
func (b *boot) observe() error {
	if b.plan.Observer == nil {
		return nil
	}
	places, err := b.plan.Observer.Places(b.kernel)
	if err != nil {
		return err
	}
	for _, p := range places {
		b.points = append(b.points, watch.Point{Links: p.Links, Passed: func(_ context.Context, h watch.Hit) (watch.Enough, error) {
			scene := autopsy.Scene{Stub: b.stub, RAM: b.ram, Kernel: b.kernel, Placement: b.place, ModuleFiles: b.moduleFiles, Values: b.plan.Values}
			return p.Passed(&scene, h)
		}})
	}
	return nil
}

// observed tells the observer, once, that it is over. The kernel's file is open while QEMU starts, so QEMU may have refused.
func (b *boot) observed() {
	if b.plan.Observer == nil || b.kernel == nil || b.machine == nil || b.over {
		return
	}
	b.over = true
	scene := b.scene(watch.Stop{})
	warned := b.plan.Observer.Over(&scene)
	b.warned = warned[:min(len(warned), maxWarned)]
}
