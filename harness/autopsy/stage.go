package autopsy

import (
	"slices"
	"strings"

	"kcatch/gdb/guest"
	"kcatch/harness/verdict"
)

// stage says how far the boot had come for the vCPU of chain c, and what the stage was in: the call of start_kernel, or
// the initcall. The chain itself is the witness; where it does not say (an idle vCPU, a kernel thread), the kernel's
// system_state is.
//
// The names: start_kernel and its callers are in init/main.c and arch/x86/kernel/head64.c; initcalls run below
// do_one_initcall; a system call or an interrupt from ring 3 enters through entry_64.S.
func stage(c *Chain, k KernelState) (verdict.Stage, string) {
	switch c.Where {
	case UserText:
		return verdict.Userspace, ""
	case LowMemory:
		if len(c.Frames) == 0 {
			return verdict.Firmware, ""
		}
	case SetupText:
		return verdict.Setup, ""
	case BootText:
		return verdict.Decompressor, ""
	case IdentityText:
		return verdict.Startup64, ""
	}
	if c.idle(0) >= 0 { // the idle task says nothing about the boot
		return bySystemState(c, k), ""
	}
	for _, rule := range []struct {
		stage verdict.Stage
		names []string
	}{
		{verdict.Initcall, []string{"do_one_initcall"}},
		{verdict.Userspace, slices.Concat(syscalls, []string{"exit_to_user_mode_prepare"})},
		{verdict.Init, []string{"kernel_init", "kernel_init_freeable", "run_init_process"}},
		{verdict.StartKernel, []string{"start_kernel"}},
		{verdict.EarlyC, []string{"x86_64_start_kernel", "x86_64_start_reservations"}},
		{verdict.Startup64, []string{"startup_64", "__startup_64", "pvh_start_xen", "xen_prepare_pvh", "startup_64_setup_env"}},
	} {
		i := c.index(0, rule.names...)
		if i < 0 || rule.stage == verdict.Initcall && c.index(i, syscalls...) >= 0 { // a module's init function, run by modprobe
			continue
		}
		switch rule.stage {
		case verdict.EarlyC:
			if k.EarlyIDT {
				return verdict.EarlyIDT, ""
			}
			return verdict.EarlyC, ""
		case verdict.StartKernel, verdict.Initcall:
			return rule.stage, caller(c, i)
		}
		return rule.stage, ""
	}
	// At its virtual address, with what it calls (early_setup_idt). Other vCPUs enter here too, but later.
	if c.Where == KernelText && !k.EarlyIDT && k.SystemState <= 0 && c.has(startup...) && !c.has("start_secondary") {
		return verdict.EarlyC, ""
	}
	return bySystemState(c, k), ""
}

// reachedStage is the stage of a good boot: user space, or where what else --until names was reached, on the first vCPU that is not idle.
func reachedStage(e *Evidence) (verdict.Stage, string) {
	if until := e.Stop.Until; until == "" || until == "init" || e.Kernel.InitRan || len(e.Chains) == 0 {
		return verdict.Userspace, ""
	}
	c := &e.Chains[max(0, slices.IndexFunc(e.Chains, func(c Chain) bool { return !c.Halted && c.idle(0) < 0 }))]
	return stage(c, e.Kernel)
}

// startup is the assembly that calls x86_64_start_kernel and start_secondary (arch/x86/kernel/head_64.S). common_startup_64 is part of it
// since Linux v6.10.
var startup = []string{"secondary_startup_64", "secondary_startup_64_no_verify", "common_startup_64"}

// syscalls are the functions that a system call is entered by (arch/x86/entry/common.c).
var syscalls = []string{"do_syscall_64", "do_int80_syscall_32", "do_fast_syscall_32"}

// bySystemState is the stage by the kernel's own state, for chains that do not tell.
func bySystemState(c *Chain, k KernelState) verdict.Stage {
	switch {
	case k.InitRan || k.SystemState >= 3:
		return verdict.Userspace
	case k.SystemState == 2:
		return verdict.Init
	case k.SystemState == 1:
		return verdict.Initcall
	case k.SystemState == 0:
		return verdict.StartKernel
	case c.has(startup...):
		return verdict.Startup64
	case c.Where == KernelText:
		return byIDT(k)
	}
	return verdict.Firmware
}

// byIDT guesses the stage of a kernel without symbols from its IDTR: the bring-up table has 32 gates in the kernel image,
// idt_table has 256 there until idt_setup_apic_and_irq_gates() moves it to the CPU entry area (arch/x86/kernel/idt.c).
func byIDT(k KernelState) verdict.Stage {
	switch {
	case k.IDT < guest.StartKernelMap && k.IDT != 0:
		return verdict.Initcall
	case k.IDTLimit == 0xfff:
		return verdict.StartKernel
	}
	return verdict.EarlyC
}

// caller is the function that frame i of the chain had called when the boot died: the next frame inward that is not
// inlined, without a compiler's suffix.
func caller(c *Chain, i int) string {
	for j := i - 1; j >= 0; j-- {
		if !c.Frames[j].Inline {
			name, _, _ := strings.Cut(c.Frames[j].Function, ".")
			return name
		}
	}
	return ""
}
