package harness

import (
	"context"

	"kcatch/kernels"
)

// Build makes the kernel of the plan, and returns the plan that boots it as often as you like: its Build is nil, Kernel, Vmlinux and
// BootVmlinux are the files. A plan that builds nothing comes back as it is. p is told of the stages of the build; its errors are
// [Boot]'s. What a boot of one piece knows of its kernel, such a boot knows too: the source as it was built, and which patch a line
// is from. Only Timing.Build of its result is 0.
func Build(ctx context.Context, plan Plan, p Progress) (Plan, error) {
	if plan.Build == nil {
		return plan, nil
	}
	b := &boot{plan: plan, progress: p}
	if err := b.build(ctx); err != nil {
		return plan, err
	}
	b.plan.Build, b.plan.built = nil, &b.built
	return b.plan, nil
}

// On is the plan with the kernel of another one, which [Build] returned: for plans that differ in all but that.
func (p Plan) On(kernel Plan) Plan {
	p.Build, p.built = nil, kernel.built
	p.Kernel, p.Vmlinux, p.BootVmlinux = kernel.Kernel, kernel.Vmlinux, kernel.BootVmlinux
	return p
}

// known is what is known of a kernel that was built before, by [Build] or by another kcatch; of a foreign one nothing is.
func (p Plan) known() kernels.Build {
	if p.built != nil && p.built.Vmlinux == p.Vmlinux {
		return *p.built
	}
	built, _ := kernels.OpenBuild(p.Vmlinux)
	return built
}
