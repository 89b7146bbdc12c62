package autopsy

import (
	"slices"
	"strings"
)

// reporting lists the kernel's own machinery for saying that something is wrong. It is never the cause: the cause is
// the first frame outward that is not in this list. Prefixes end in '*'.
// Sources: kernel/panic.c, lib/bug.c, mm/debug.c, lib/list_debug.c, arch/x86/kernel/{dumpstack,traps}.c,
// arch/x86/mm/{extable,fault}.c, include/asm-generic/bug.h; lib/string_helpers.c, mm/usercopy.c, lib/refcount.c, lib/ubsan.c,
// which say what a checked copy, count or operation found (6.1 and 6.12).
var reporting = []string{
	"panic", "vpanic", "check_panic_on_warn", "nmi_panic", "nmi_panic_self_stop", "panic_smp_self_stop", "__stack_chk_fail",
	"die", "__die", "__die_body", "die_addr", "oops_begin", "oops_end", "oops_enter", "oops_exit", "make_task_dead",
	"__warn", "__warn_printk", "warn_slowpath_fmt", "report_bug", "__report_bug", "handle_bug", "fixup_bug",
	"early_fixup_exception", "do_early_exception", "early_idt_handler_common", "early_idt_handler_array",
	"halt", "native_halt", "arch_safe_halt", "dump_page", "__dump_page", "dump_stack", "show_regs", "__show_regs",
	"__list_add_valid", "__list_del_entry_valid", "__list_add_valid_or_report", "__list_del_entry_valid_or_report",
	"fortify_panic", "__fortify_panic", "__fortify_report", "usercopy_abort", "refcount_warn_saturate",
	"__ubsan_handle_*", "ubsan_prologue", "ubsan_epilogue",
	"exc_*", "asm_exc_*", "do_error_trap", "do_trap", "do_trap_no_signal", "page_fault_oops", "no_context",
	"bad_area_nosemaphore", "__bad_area_nosemaphore", "kernelmode_fixup_or_oops", "do_kern_addr_fault",
	"do_user_addr_fault", "handle_page_fault", "handle_stack_overflow", "error_entry",
}

// waiting lists what a waiting or spinning task calls; a hang's cause is the code that called it.
var waiting = []string{
	"schedule", "__schedule", "__schedule_loop", "schedule_rtlock", "rt_mutex_schedule", "context_switch", "__switch_to_asm", "schedule_timeout*", "schedule_idle", "schedule_preempt_disabled", "io_schedule*",
	"preempt_schedule*", "msleep*", "usleep_range*", "ssleep", "wait_for_completion*", "mutex_lock*", "__mutex_lock*", "down_*", "rwsem_*", "do_wait_for_common", "__wait_for_common", "wait_for_common",
	"synchronize_rcu*", "__wait_rcu_gp", "wait_rcu_gp", "rcu_barrier*", "__flush_work", "flush_work", "__flush_workqueue", "flush_workqueue",
	"schedule_hrtimeout*", "kthread_stop", "__down*",
	"percpu_rwsem_wait", "percpu_down_*", "__percpu_down_*", "wait_on_bit*", "__wait_on_bit*", "out_of_line_wait_on_bit*", "bit_wait*",
	"cpu_relax", "rep_nop", "halt", "native_halt", "native_safe_halt", "pv_native_safe_halt", "arch_safe_halt", "default_idle", "amd_e400_idle",
	"acpi_idle_do_entry", "acpi_safe_halt", "acpi_idle_enter", "cpuidle_enter_state", "cpuidle_enter", "default_idle_call",
	"cpuidle_idle_call", "cpu_idle_poll", "do_idle", "cpu_startup_entry", "mwait_idle", "native_queued_spin_lock_slowpath",
	"queued_spin_lock_slowpath", "queued_spin_lock", "virt_spin_lock", "pv_queued_spin_lock_slowpath", "__pv_queued_spin_lock_slowpath",
	"queued_read_lock_slowpath", "queued_write_lock_slowpath", "queued_read_lock", "queued_write_lock", "do_raw_read_lock", "do_raw_write_lock",
	"__raw_read_lock*", "_raw_read_lock*", "__raw_write_lock*", "_raw_write_lock*", "read_lock*", "write_lock*", "osq_lock", "arch_atomic_*", "atomic_*", "do_raw_spin_lock", "__raw_spin_lock*", "_raw_spin_lock*", "spin_lock*",
	"delay_tsc", "delay_loop", "__delay", "__const_udelay", "__udelay", "__ndelay", "rdtsc", "rdtsc_ordered",
}

func listed(name string, list []string) bool {
	name, _, _ = strings.Cut(name, ".")
	return slices.ContainsFunc(list, func(entry string) bool {
		if prefix, ok := strings.CutSuffix(entry, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == entry
	})
}

// beyond is the innermost frame at or after from that is in none of the lists; from itself when all are.
func beyond(c *Chain, from int, lists ...[]string) int {
	for i := from; i < len(c.Frames); i++ {
		skip := false
		for _, l := range lists {
			skip = skip || listed(c.Frames[i].Function, l)
		}
		if !skip {
			return i
		}
	}
	return max(0, min(from, len(c.Frames)-1))
}

// inlinedInto lists the functions that frame i is inlined into, from its caller outward, up to and including the
// function that owns the code. It is empty for a frame that owns its code.
func inlinedInto(c *Chain, i int) []string {
	out := []string{}
	for c.Frames[i].Inline && i+1 < len(c.Frames) {
		i++
		out = append(out, c.Frames[i].Function)
	}
	return out
}
