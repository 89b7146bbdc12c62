package harness

import (
	"context"

	"kcatch/gdb/kernel"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// Check refuses what cannot work, before any download, copy, build or boot: every argument and every file that the plan
// names. Its errors are usage errors, or infrastructure errors that say what to install.
func Check(ctx context.Context, plan Plan) error {
	if plan.Build != nil {
		b := kernels.Builder{Cache: plan.Cache}
		if err := b.Check(ctx, *plan.Build); err != nil {
			return err
		}
		return checkMachine(plan)
	}
	if err := checkKernel(plan); err != nil {
		return err
	}
	return checkMachine(plan)
}

// checkKernel looks at a kernel that is not built here.
func checkKernel(plan Plan) error {
	var image *kernels.BzImage
	if plan.Kernel != "" {
		var err error
		if image, err = kernels.ReadBzImage(plan.Kernel); err != nil {
			return err
		}
	}
	if plan.Vmlinux != "" {
		k, err := kernel.Open(plan.Vmlinux)
		if err != nil {
			return err
		}
		defer k.Close()
		if image != nil {
			if _, banner, ok := k.Banner(); ok {
				return checkVersions(image, plan.Vmlinux, string(banner))
			}
		}
	}
	if plan.Until != "init" && plan.Until != "console" && plan.Vmlinux == "" {
		return blame.New(blame.Usage, "--until "+plan.Until+": a symbol needs a vmlinux", "give it with --vmlinux")
	}
	return nil
}

// Skipped is the result of a boot that came to no verdict, for programs that read JSON.
func Skipped(err error) verdict.Result {
	kind := blame.Of(err)
	if kind == blame.Unknown {
		kind = blame.Infrastructure
	}
	return verdict.Result{
		Schema: verdict.Schema, Verdict: verdict.Skip, Summary: err.Error(), Blame: kind.String(), CPUs: []verdict.CPU{},
		Warnings: []verdict.Warning{}, Log: []verdict.LogLine{},
		Error: &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)},
	}
}
