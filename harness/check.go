package harness

import (
	"context"
	"os"

	"kcatch/gdb/decompressor"
	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// Check refuses what cannot work, before any download, copy, build or boot: every argument and every file that the plan
// names. Its errors are usage errors, or infrastructure errors that say what to install.
func Check(ctx context.Context, plan Plan) error {
	plan = plan.whole()
	if err := checkFiles(plan); err != nil {
		return err
	}
	if plan.Build != nil {
		b := kernels.Builder{Cache: plan.Cache}
		if err := b.Check(ctx, *plan.Build); err != nil {
			return err
		}
		plan.Kernel = "BZIMAGE" // there will be one
	} else if err := checkKernel(plan); err != nil {
		return err
	}
	if err := checkModules(plan); err != nil {
		return err
	}
	if err := checkMachine(plan); err != nil {
		return err
	}
	if err := checkWorkload(plan); err != nil {
		return err
	}
	if err := checkChecks(plan); err != nil {
		return err
	}
	_, err := machine.FindQEMU(plan.QEMU)
	return err
}

// checkFiles refuses a file that is none: to open a named pipe waits until somebody writes to it, for ever as a rule, and
// Ctrl-C does not end that. What is not there is left to who needs it.
func checkFiles(plan Plan) error {
	for _, f := range []struct{ flag, path string }{
		{"--kernel", plan.Kernel}, {"--vmlinux", plan.Vmlinux}, {"--boot-vmlinux", plan.BootVmlinux}, {"--initrd", plan.Initrd},
	} {
		if st, err := os.Stat(f.path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return blame.New(blame.Usage, f.flag+": "+f.path+": not a regular file", "")
		}
	}
	return nil
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
		if !linkedAsKernel(k) {
			return notVmlinux(k)
		}
		if image != nil {
			if _, banner, ok := k.Banner(); ok {
				if err := checkVersions(image, plan.Vmlinux, string(banner)); err != nil {
					return err
				}
			}
		}
		if plan.Observer != nil {
			if _, err := plan.Observer.Places(k); err != nil {
				return err
			}
		}
		return checkUntil(plan, k)
	}
	if plan.BootVmlinux != "" {
		d, err := decompressor.Open(plan.BootVmlinux)
		if err != nil {
			return err
		}
		defer d.Close()
		if image != nil && !d.Matches(image.Runs) {
			return blame.New(blame.Usage, plan.BootVmlinux+": not the boot vmlinux of "+plan.Kernel,
				"give arch/x86/boot/compressed/vmlinux of the same build")
		}
	}
	if !untilSymbol(plan) {
		return nil
	}
	k, err := unpackKernel(plan.Kernel)
	if err != nil {
		return blame.New(blame.Usage, "--until "+plan.Until+": a symbol needs a vmlinux: "+err.Error(), "give it with --vmlinux")
	}
	defer k.Close()
	return checkUntil(plan, k)
}

// kernelMap is where x86-64 kernels are linked to run (__START_KERNEL_map, Documentation/arch/x86/x86_64/mm.rst). A
// program, a module and the decompressor's vmlinux are not, and a stripped vmlinux still is.
const kernelMap = 0xffffffff80000000

func linkedAsKernel(k *kernel.Kernel) bool {
	for _, s := range k.LoadSegments() {
		if s.Executable && s.Virt >= kernelMap {
			return true
		}
	}
	return false
}

func notVmlinux(k *kernel.Kernel) error {
	return blame.New(blame.Usage, k.Path()+": an ELF file, but not a vmlinux: nothing in it is linked to run where kernels do",
		"vmlinux stands at the top of the build tree, or in the -dbg package")
}

func untilSymbol(plan Plan) bool { return plan.Until != "init" && plan.Until != "console" }

// checkUntil refuses a symbol that the kernel does not have: nobody would ever see it reached. A kernel that is built here
// has no symbols yet; there the boot itself finds out.
func checkUntil(plan Plan, k *kernel.Kernel) error {
	if !untilSymbol(plan) {
		return nil
	}
	if _, ok := k.Symbol(plan.Until); ok {
		return nil
	}
	hint := "nm " + k.Path() + " lists them; a function that is inlined everywhere has none"
	switch k.SymbolSource() {
	case vmlinux.NoSymbols:
		hint = "it is stripped; give the vmlinux of the build"
	case vmlinux.OwnTable:
		hint = "a function that is inlined everywhere has none"
	}
	if near := k.Meant(plan.Until); near != "" {
		hint = "did you mean " + near + "?"
	}
	return blame.New(blame.Usage, "--until "+plan.Until+": "+k.Path()+" has no such symbol", hint)
}

// Skipped is the result of a boot that came to no verdict, for programs that read JSON.
func Skipped(err error) verdict.Result {
	kind := blame.Of(err)
	if kind == blame.Unknown {
		kind = blame.Infrastructure
	}
	said := reason(err)
	return verdict.Result{
		Schema: verdict.Schema, Verdict: verdict.Skip, Summary: said.Message, Blame: kind.String(), CPUs: []verdict.CPU{},
		Warnings: []verdict.Warning{}, Log: []verdict.LogLine{},
		Error: said,
	}
}

// reason is why there is no verdict. What an interrupted step had to say of it ("context canceled") is left out.
func reason(err error) *verdict.Error {
	if blame.Of(err) == blame.Interrupted {
		return &verdict.Error{Message: "interrupted"}
	}
	return &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)}
}
