package autopsy

import (
	"strings"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

const interruptsOn = 1 << 9

// chainOf makes a chain of functions, innermost first. "!name" is the frame that an exception interrupted, "~name" one that
// an interrupt did, "(name" is inlined.
func chainOf(cpu int, names string, early bool) Chain {
	c := Chain{CPU: cpu, Where: KernelText}
	for _, n := range strings.Fields(names) {
		f := verdict.Frame{FoundBy: "orc"}
		if t, ok := strings.CutPrefix(n, "~"); ok {
			n = t
			c.Traps = append(c.Traps, Trap{Index: len(c.Frames), Interrupt: true})
		}
		if t, ok := strings.CutPrefix(n, "!"); ok {
			n = t
			c.Traps = append(c.Traps, Trap{Index: len(c.Frames), Early: early, Vector: amd64.InvalidOpcode, Known: true})
		}
		n, f.Inline = strings.TrimPrefix(n, "("), strings.HasPrefix(n, "(")
		f.Function = n
		c.Frames = append(c.Frames, f)
	}
	return c
}

// lastBug makes the outermost exception a BUG, without one that cannot be delivered, nowhere one that stands in no code.
func lastBug(c Chain) Chain {
	c.Traps[len(c.Traps)-1].Bug = &verdict.BugSite{Text: "kernel BUG"}
	return c
}
func without(c Chain) Chain { c.Undeliverable = "the IDT is not mapped"; return c }
func nowhere(c Chain) Chain { c.Frames[0].Function = ""; return c }

func halted(c Chain) Chain { c.Halted = true; return c }

func at(c Chain, r Region) Chain { c.Where = r; return c }

func TestJudge(t *testing.T) {
	on := func(c Chain) Chain { c.Regs.EFLAGS = interruptsOn; return c }
	bug := func(c Chain) Chain { c.Traps[0].Bug = &verdict.BugSite{Text: "kernel BUG"}; return c }
	warn := func(c Chain) Chain { c.Traps[0].Bug = &verdict.BugSite{Warning: true}; return c }
	boot := "setup_arch start_kernel secondary_startup_64_no_verify"
	for _, tc := range []struct {
		name   string
		stop   watch.Stop
		chains []Chain
		log    string
		class  verdict.Class
		hang   verdict.HangKind
		cause  string
		cpu    int
	}{
		{"early BUG", watch.Stop{Kind: watch.Dead}, []Chain{halted(chainOf(0, "(halt early_fixup_exception early_idt_handler_common !(assert f "+boot, true))},
			"", verdict.EarlyException, "", "assert", 0},
		{"early recursion: the outermost is the cause", watch.Stop{Kind: watch.Dead},
			[]Chain{halted(chainOf(0, "early_idt_handler_common !early_fixup_exception early_idt_handler_common !culprit "+boot, true))},
			"", verdict.EarlyException, "", "culprit", 0},
		{"oops in panic's hands stays an oops", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "delay_tsc panic oops_end page_fault_oops asm_exc_page_fault !culprit do_one_initcall", false))},
			"", verdict.Oops, "", "culprit", 0},
		{"BUG", watch.Stop{Kind: watch.Dead}, []Chain{on(bug(chainOf(0, "panic oops_end die asm_exc_invalid_op !culprit do_one_initcall", false)))},
			"", verdict.Bug, "", "culprit", 0},
		{"BUG in a module whose bug table is not known", watch.Stop{Kind: watch.Dead}, []Chain{chainOf(0, "oops_begin die exc_invalid_op asm_exc_invalid_op !culprit do_one_initcall", false)},
			"kernel BUG at mod.c:7!\nRIP: 0010:culprit+0x10/0x20 [mod]", verdict.Bug, "", "culprit", 0},
		{"panic_on_warn is a panic", watch.Stop{Kind: watch.Dead}, []Chain{on(warn(chainOf(0, "panic check_panic_on_warn __warn report_bug exc_invalid_op asm_exc_invalid_op !culprit do_one_initcall", false)))},
			"", verdict.Panic, "", "culprit", 0},
		{"a copy that the checked string functions refuse", watch.Stop{Kind: watch.Dead}, []Chain{on(bug(chainOf(0, "die exc_invalid_op asm_exc_invalid_op !fortify_panic (memcpy culprit do_one_initcall", false)))},
			"", verdict.Bug, "", "memcpy", 0},
		{"a count that wraps, with panic_on_warn", watch.Stop{Kind: watch.Dead}, []Chain{on(warn(chainOf(0, "panic __warn report_bug exc_invalid_op asm_exc_invalid_op !refcount_warn_saturate (__refcount_add (refcount_inc culprit", false)))},
			"", verdict.Panic, "", "__refcount_add", 0},
		{"panic in a timer interrupt's shadow", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "tick asm_sysvec_apic_timer_interrupt !delay_tsc panic mount_root kernel_init", false))},
			"Kernel panic - not syncing: VFS: no root\n---[ end Kernel panic - not syncing: VFS: no root ]---", verdict.Panic, "", "mount_root", 0},
		{"a panic whose notifier dies", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "delay_tsc panic oops_end page_fault_oops asm_exc_page_fault !notifier atomic_notifier_call_chain panic culprit do_one_initcall", false))},
			"Kernel panic - not syncing: first\nBUG: kernel NULL pointer dereference, address: 0\nOops: 0002 [#1] SMP\nRIP: 0010:notifier+0x10/0x20", verdict.Panic, "", "culprit", 0},
		{"the same, stopped at its first death", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "panic culprit do_one_initcall", false))},
			"Kernel panic - not syncing: first\nBUG: kernel NULL pointer dereference, address: 0\nOops: 0002 [#1] SMP\nRIP: 0010:notifier+0x10/0x20", verdict.Panic, "", "culprit", 0},
		{"an oops in the log and the panic that follows", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "panic do_exit f", false))},
			"BUG: kernel NULL pointer dereference, address: 0\nOops: 0002 [#1] SMP\nRIP: 0010:worker+0x10/0x20\nKernel panic - not syncing: Attempted to kill init!", verdict.Oops, "", "worker", 0},
		{"a watchdog that panics", watch.Stop{Kind: watch.Dead}, []Chain{chainOf(0, "panic watchdog_timer_fn __run_hrtimer asm_sysvec_apic_timer_interrupt ~(cpu_relax spinner kthread", false)},
			"Kernel panic - not syncing: softlockup: hung tasks", verdict.Panic, "", "spinner", 0},
		{"a watchdog that panics over another CPU", watch.Stop{Kind: watch.Dead}, []Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~default_idle do_idle", false)},
			"Kernel panic - not syncing: RCU Stall", verdict.Panic, "", "panic_on_rcu_stall", 0},
		{"a watchdog that panics over another CPU does not accuse what it interrupted", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~innocent do_syscall_64", false), chainOf(1, "(arch_static_branch exc_nmi end_repeat_nmi ~cpu_relax spinner kthread", false),
				chainOf(2, "exc_nmi asm_exc_nmi ~default_idle do_idle", false)},
			"Kernel panic - not syncing: RCU Stall", verdict.Panic, "", "spinner", 1},
		{"unless RCU names the CPU that it interrupted", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~spinner do_syscall_64", false), chainOf(1, "innocent kthread", false)},
			"rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n    0-....: (2999 ticks this GP) idle=7f7c/1/0x4000000000000000 softirq=13/13 fqs=1\n    (detected by 0, t=752 jiffies, g=-1111, q=21 ncpus=2)\nKernel panic - not syncing: RCU Stall", verdict.Panic, "", "spinner", 0},
		{"or one of two busy ones", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~innocent do_syscall_64", false), chainOf(1, "another kthread", false), chainOf(2, "spinner kthread", false)},
			"rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n    2-O..!: (1 GPs behind) idle=7f7c\nKernel panic - not syncing: RCU Stall", verdict.Panic, "", "spinner", 2},
		{"or it is the only CPU", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~spinner do_syscall_64", false)},
			"rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n    (detected by 0, t=752 jiffies, g=-1111, q=21 ncpus=1)\nKernel panic - not syncing: RCU Stall", verdict.Panic, "", "spinner", 0},
		{"but a task that is named may be on none", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic (panic_on_rcu_stall print_other_cpu_stall asm_sysvec_apic_timer_interrupt ~innocent do_syscall_64", false)},
			"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n    Tasks blocked on level-0 rcu_node (CPUs 0-0): P84\nKernel panic - not syncing: RCU Stall", verdict.Panic, "", "panic_on_rcu_stall", 0},
		{"nor one of several", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic watchdog_hardlockup_check watchdog_buddy_check_hardlockup watchdog_timer_fn asm_sysvec_apic_timer_interrupt ~innocent do_syscall_64", false),
				chainOf(1, "spinner kthread", false), chainOf(2, "another kthread", false)},
			"Kernel panic - not syncing: Hard LOCKUP", verdict.Panic, "", "watchdog_hardlockup_check", 0},
		{"a watchdog over a softirq over the idle task", watch.Stop{Kind: watch.Dead},
			[]Chain{chainOf(0, "panic watchdog_timer_fn asm_sysvec_apic_timer_interrupt ~spinner __do_softirq asm_sysvec_apic_timer_interrupt ~default_idle do_idle", false)},
			"Kernel panic - not syncing: softlockup: hung tasks", verdict.Panic, "", "spinner", 0},
		{"double fault", watch.Stop{Kind: watch.Dead}, []Chain{on(chainOf(0, "panic die exc_double_fault asm_exc_double_fault !recurse recurse f", false))},
			"", verdict.DoubleFault, "", "recurse", 0},
		{"an oops in a softirq", watch.Stop{Kind: watch.Dead}, []Chain{chainOf(0, "oops_begin page_fault_oops exc_page_fault asm_exc_page_fault !culprit call_timer_fn asm_sysvec_apic_timer_interrupt ~delay_tsc f do_one_initcall", false)},
			"", verdict.Oops, "", "culprit", 0},
		{"a BUG below a legal page fault", watch.Stop{Kind: watch.Dead}, []Chain{bug(chainOf(0, "oops_begin die exc_invalid_op asm_exc_invalid_op !culprit handle_mm_fault exc_page_fault asm_exc_page_fault !copy_user read", false))},
			"", verdict.Bug, "", "culprit", 0},
		{"a BUG whose handler faults until the stack is full", watch.Stop{Kind: watch.Dead},
			[]Chain{lastBug(chainOf(0, "oops_begin die exc_double_fault asm_exc_double_fault !error_entry !exc_page_fault asm_exc_page_fault !report_bug exc_invalid_op asm_exc_invalid_op !culprit do_one_initcall", false))},
			"", verdict.Bug, "", "culprit", 0},
		{"the kernel at work in an early page fault is no death", watch.Stop{Kind: watch.TimedOut},
			[]Chain{on(chainOf(0, "early_make_pgtable do_early_exception early_idt_handler_common !f "+boot, true))}, "", verdict.Hang, verdict.Spin, "early_make_pgtable", 0},
		{"survived oops, then a hang", watch.Stop{Kind: watch.Stuck}, []Chain{on(halted(chainOf(0, "default_idle do_idle", false)))},
			"BUG: kernel NULL pointer dereference, address: 0\nOops: 0002 [#1] SMP\nRIP: 0010:worker+0x10/0x20", verdict.Oops, "", "worker", 0},
		{"panic=-1", watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"}, []Chain{chainOf(0, "acpi_reboot native_machine_emergency_restart panic mount_root", false)},
			"", verdict.Panic, "", "mount_root", 0},
		{"reboot", watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"}, []Chain{chainOf(0, "native_machine_restart kernel_restart do_reboot", false)},
			"", verdict.Reset, "", "do_reboot", 0},
		{"triple fault", watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"}, []Chain{halted(chainOf(0, "default_idle", false)), chainOf(1, "culprit start_secondary", false)},
			"", verdict.TripleFault, "", "culprit", 1},
		{"triple fault of an AP, while the other waits for it", watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"},
			[]Chain{chainOf(0, "native_cpu_up bringup_cpu", false), without(chainOf(1, "culprit start_secondary", false))}, "", verdict.TripleFault, "", "culprit", 1},
		{"a jump to nowhere before there is an IDT", watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"}, []Chain{nowhere(chainOf(0, "none culprit x86_64_start_kernel", false))},
			"", verdict.TripleFault, "", "culprit", 0},
		{"halted by request", watch.Stop{Kind: watch.Dead}, []Chain{halted(chainOf(0, "stop_this_cpu native_machine_halt kernel_halt culprit", false))}, "", verdict.Shutdown, "", "culprit", 0},
		{"power-off", watch.Stop{Kind: watch.Shutdown, Reason: "guest-shutdown"}, []Chain{chainOf(0, "native_machine_power_off kernel_power_off do_reboot", false)},
			"", verdict.Shutdown, "", "do_reboot", 0},
		{"the decompressor gave up", watch.Stop{Kind: watch.Dead}, []Chain{at(halted(Chain{}), BootText)}, "", verdict.DecompressorError, "", "", 0},
		{"spinning with interrupts off", watch.Stop{Kind: watch.Stuck}, []Chain{chainOf(0, "(rep_nop (cpu_relax spinner "+boot, false)}, "", verdict.Hang, verdict.SpinIRQsOff, "spinner", 0},
		{"a lock taken twice", watch.Stop{Kind: watch.Stuck}, []Chain{on(chainOf(0, "native_queued_spin_lock_slowpath _raw_spin_lock taker "+boot, false))}, "", verdict.Hang, verdict.Spin, "taker", 0},
		{"idle", watch.Stop{Kind: watch.Stuck}, []Chain{on(halted(chainOf(0, "default_idle do_idle cpu_startup_entry rest_init", false)))}, "", verdict.Hang, verdict.Idle, "rest_init", 0},
		{"the spinning vCPU is blamed, not the idle one", watch.Stop{Kind: watch.TimedOut}, []Chain{on(halted(chainOf(0, "default_idle do_idle", false))), on(chainOf(1, "spinner kthread", false))},
			"", verdict.Hang, verdict.Spin, "spinner", 1},
		{"an AP that spins, while the other waits for it in a loop with interrupts mostly off", watch.Stop{Kind: watch.Stuck,
			Pace: watch.Pace{VCPUs: []watch.VCPUPace{{Running: 1000, IRQsOff: 950}, {CPU: 1, Running: 1000, IRQsOff: 1000}}}},
			[]Chain{chainOf(0, "__update_load_avg_se schedule native_cpu_up", false), chainOf(1, "spinner start_secondary", false)}, "", verdict.Hang, verdict.SpinIRQsOff, "spinner", 1},
		{"the last look met an interrupt", watch.Stop{Kind: watch.Stuck, Pace: watch.Pace{VCPUs: []watch.VCPUPace{{Running: 1000, IRQsOff: 20}}}},
			[]Chain{chainOf(0, "spinner "+boot, false)}, "", verdict.Hang, verdict.Spin, "spinner", 0},
		{"a CPU that was taken offline is no hang of its own", watch.Stop{Kind: watch.TimedOut},
			[]Chain{on(chainOf(0, "spinner do_syscall_64", false)), halted(chainOf(1, "native_halt (hlt_play_dead native_play_dead do_idle", false))}, "", verdict.Hang, verdict.Spin, "spinner", 0},
		{"nor is one for which MWAIT is a pause", watch.Stop{Kind: watch.Stuck},
			[]Chain{on(halted(chainOf(0, "default_idle do_idle rest_init", false))), chainOf(1, "mwait_play_dead native_play_dead do_idle", false)}, "", verdict.Hang, verdict.Idle, "rest_init", 0},
		{"it halts outside of the idle task, with interrupts on", watch.Stop{Kind: watch.Stuck},
			[]Chain{on(halted(chainOf(0, "default_idle do_idle rest_init", false))), on(halted(chainOf(1, "halter do_one_initcall kernel_init", false)))}, "", verdict.Hang, verdict.Idle, "halter", 1},
		{"idle=poll, and an interrupt that does not come back", watch.Stop{Kind: watch.Stuck}, []Chain{on(chainOf(0, "spinner asm_sysvec_apic_timer_interrupt ~cpu_idle_poll do_idle rest_init", false))}, "", verdict.Hang, verdict.Spin, "spinner", 0},
		{"idle=poll", watch.Stop{Kind: watch.Stuck}, []Chain{on(chainOf(0, "(cpu_relax cpu_idle_poll do_idle rest_init", false))}, "", verdict.Hang, verdict.Idle, "rest_init", 0},
		{"halted for good", watch.Stop{Kind: watch.Dead}, []Chain{halted(chainOf(0, "(halt stopper "+boot, false))}, "", verdict.Hang, verdict.Halted, "stopper", 0},
		{"suspended to RAM by init", watch.Stop{Kind: watch.TimedOut, Marker: true, Asleep: true}, []Chain{on(halted(chainOf(0, "default_idle do_idle", false))),
			chainOf(1, "acpi_hw_write suspend_enter suspend_devices_and_enter (enter_state pm_suspend state_store ksys_write do_syscall_64", false)}, "", verdict.Hang, verdict.Idle, "state_store", 1},
		{"no kernel", watch.Stop{Kind: watch.Stuck}, []Chain{at(Chain{Regs: amd64.Registers{EFLAGS: interruptsOn}}, LowMemory)}, "", verdict.NoKernel, "", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := &Evidence{Stop: tc.stop, Chains: tc.chains}
			if tc.log != "" {
				e.Log = records(tc.log)
				for _, l := range logged(e.Log) {
					e.Reports = append(e.Reports, Report{Logged: l, Chain: chainOf(0, l.RIP.Symbol, false)})
				}
			}
			f := Judge(e)
			cause := ""
			if f.Frame >= 0 {
				c := f.Chain
				if c == nil {
					c = &e.Chains[f.CPU]
				}
				cause = c.Frames[f.Frame].Function
			}
			if f.Class != tc.class || f.Hang != tc.hang || cause != tc.cause || f.CPU != tc.cpu {
				t.Errorf("judged %s/%s, cause %q on vCPU %d (%s); want %s/%s, %q on %d", f.Class, f.Hang, cause, f.CPU, f.What, tc.class, tc.hang, tc.cause, tc.cpu)
			}
		})
	}
}

// TestShutdownInWords: what is said of a machine that goes down, or has.
func TestShutdownInWords(t *testing.T) {
	asked := []Chain{chainOf(0, "native_machine_power_off kernel_power_off do_reboot", false)}
	for _, tc := range []struct {
		stop   watch.Stop
		chains []Chain
		what   string
	}{
		{watch.Stop{Kind: watch.Shutdown, Reason: "guest-shutdown"}, asked, "the guest shut down (guest-shutdown), asked by do_reboot()"},
		{watch.Stop{Kind: watch.Shutdown, Reason: "guest-shutdown"}, nil, "the guest shut down (guest-shutdown)"},
		{watch.Stop{Kind: watch.Saved}, asked, "the guest was shutting down, asked by do_reboot()"},
		{watch.Stop{Kind: watch.TimedOut}, asked, "the guest was shutting down, asked by do_reboot()"},
		{watch.Stop{Kind: watch.Panicked}, nil, "the guest reported a panic"},
	} {
		f := Judge(&Evidence{Stop: tc.stop, Chains: tc.chains})
		if !strings.HasPrefix(f.What, tc.what) {
			t.Errorf("%v: %q, want %q", tc.stop.Kind, f.What, tc.what)
		}
	}
}

// TestRefusedEntry: who called a function that is no code any more is at fault, not the function; a #PF in the midst of one is its own.
func TestRefusedEntry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		offset uint64
		cr2    uint64
		cause  string
	}{
		{"its first instruction could not be fetched", 0, 0x1000, "caller"},
		{"another could not", 16, 0x1000, "gone"},
		{"its first instruction reads what is not there", 0, 0x30, "gone"},
	} {
		c := chainOf(0, "oops_begin page_fault_oops exc_page_fault asm_exc_page_fault !gone caller do_syscall_64", false)
		c.Frames[4].Offset = tc.offset
		c.Traps[0].Vector, c.Traps[0].PC, c.Traps[0].CR2 = amd64.PageFault, 0x1000, tc.cr2
		f := Judge(&Evidence{Stop: watch.Stop{Kind: watch.Dead}, Chains: []Chain{c}})
		if got := c.Frames[f.Frame].Function; f.Class != verdict.Oops || got != tc.cause {
			t.Errorf("%s: %s in %s (%s), want %s", tc.name, f.Class, got, f.What, tc.cause)
		}
	}
}

// TestReturnToNowhere: behind a return through an address that was written over, the stack has no caller on top.
func TestReturnToNowhere(t *testing.T) {
	c := nowhere(chainOf(0, "!none", false))
	c.Traps[0].Vector, c.Traps[0].WildPC = amd64.PageFault, true
	c.Frames = append(chainOf(0, "oops_begin page_fault_oops exc_page_fault asm_exc_page_fault", false).Frames, c.Frames...)
	c.Traps[0].Index = 4
	f := Judge(&Evidence{Stop: watch.Stop{Kind: watch.Dead}, Chains: []Chain{c}})
	if f.Class != verdict.Oops || !strings.Contains(f.What, "from nobody") {
		t.Errorf("%s: %s", f.Class, f.What)
	}
	c.Frames, c.Traps[0].Returned = append(c.Frames, chainOf(0, "outer do_one_initcall", false).Frames...), true
	f = Judge(&Evidence{Stop: watch.Stop{Kind: watch.Dead}, Chains: []Chain{c}})
	if f.Frame != 5 || !strings.Contains(f.What, "return to 0x0") || !strings.Contains(f.What, "called by outer()") || len(f.Notes) != 1 {
		t.Errorf("frame %d: %s %q", f.Frame, f.What, f.Notes)
	}
}

// TestMoreWarned: a list that is not whole says so, by whoever has seen more.
func TestMoreWarned(t *testing.T) {
	warn, oops := Report{Logged: Logged{Class: verdict.Warn}}, Report{Logged: Logged{Class: verdict.Oops}}
	for _, tc := range []struct {
		name         string
		kept, passed int
		reports      []Report
		want         string
	}{
		{"all are kept", 2, 2, []Report{warn, warn}, ""},
		{"an oops is none", 1, 1, []Report{warn, oops}, ""},
		{"more were passed", 32, 256, []Report{warn}, "at least 256 times; the first 32"},
		{"more were logged", 1, 1, []Report{warn, warn, oops}, "at least 2 times; the first 1"},
		{"of the log alone, which are all listed", 0, 0, []Report{warn, warn}, ""},
	} {
		got := strings.Join(moreWarned(tc.kept, tc.passed, tc.reports), "\n")
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestResetByDevice: only a log that would have a triple fault tells that there was none.
func TestResetByDevice(t *testing.T) {
	for _, tc := range []struct {
		name  string
		log   *machine.ExceptionLog
		class verdict.Class
		cause string
	}{
		{"no log, as under KVM", nil, verdict.TripleFault, "__const_udelay"},
		{"a log that was ended", &machine.ExceptionLog{}, verdict.TripleFault, "__const_udelay"},
		{"a triple fault", &machine.ExceptionLog{Whole: true, TripleFault: true}, verdict.TripleFault, "__const_udelay"},
		{"none", &machine.ExceptionLog{Whole: true}, verdict.Reset, "writer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := &Evidence{Stop: watch.Stop{Kind: watch.Shutdown, Reason: "guest-reset"}, Exceptions: tc.log,
				Chains: []Chain{halted(chainOf(0, "default_idle do_idle", false)), chainOf(1, "__const_udelay writer do_one_initcall", false)}}
			f := Judge(e)
			if f.Class != tc.class || f.CPU != 1 || e.Chains[1].Frames[f.Frame].Function != tc.cause {
				t.Errorf("judged %s on vCPU %d, frame %d (%s); want %s in %s", f.Class, f.CPU, f.Frame, f.What, tc.class, tc.cause)
			}
		})
	}
}

// TestWriter: of several vCPUs that run the one that waits for the device reset the machine.
func TestWriter(t *testing.T) {
	idle, waits, busy := halted(chainOf(0, "default_idle do_idle", false)), chainOf(1, "__const_udelay writer f", false), chainOf(2, "unpack worker_thread", false)
	for _, tc := range []struct {
		name   string
		chains []Chain
		want   int // -1: none
	}{
		{"one runs", []Chain{idle, busy}, 2},
		{"one of two waits", []Chain{idle, busy, waits}, 1},
		{"neither waits", []Chain{busy, chainOf(1, "f g", false)}, -1},
		{"the only one", []Chain{idle}, 0},
	} {
		got := -1
		if c := writer(tc.chains); c != nil {
			got = c.CPU
		}
		if got != tc.want {
			t.Errorf("%s: vCPU %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestStateByChains: a kernel that ends the machine says no more in system_state how far it was.
func TestStateByChains(t *testing.T) {
	idle := chainOf(0, "default_idle do_idle rest_init start_kernel", false)
	for _, tc := range []struct {
		name string
		task string
		want int
	}{
		{"in an initcall", "schedule msleep f do_one_initcall kernel_init_freeable kernel_init ret_from_fork", scheduling},
		{"after them", "schedule rcu_barrier mark_readonly kernel_init ret_from_fork", freeing},
		{"in user space", "schedule do_wait __do_sys_wait4 do_syscall_64", running},
	} {
		if got := stateByChains([]Chain{idle, chainOf(1, tc.task, false)}); got != tc.want {
			t.Errorf("%s: state %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestEnded: which ends after init are good ones.
func TestEnded(t *testing.T) {
	const reset = "guest-reset"
	reached := watch.Stop{Kind: watch.Reached, Reason: reset, Marker: true, Until: "init"}
	for _, tc := range []struct {
		name  string
		stop  watch.Stop
		chain Chain
		log   *machine.ExceptionLog
		want  watch.Kind
	}{
		{"reboot -f", reached, chainOf(0, "native_machine_emergency_restart kernel_restart do_reboot", false), nil, watch.Reached},
		{"reboot -f by triple fault", reached, without(chainOf(0, "native_machine_emergency_restart kernel_restart do_reboot", false)), nil, watch.Reached},
		{"a reset by user space", reached, chainOf(0, "write_port vfs_write do_syscall_64", false), nil, watch.Reached},
		{"a reset out of nowhere, as by another kernel", reached, at(without(Chain{}), Elsewhere), nil, watch.Reached},
		{"a triple fault", reached, without(chainOf(0, "culprit do_syscall_64", false)), nil, watch.Shutdown},
		{"a triple fault that QEMU logged, where an exception could be delivered", reached, chainOf(0, "culprit do_syscall_64", false), &machine.ExceptionLog{Whole: true, TripleFault: true}, watch.Shutdown},
		{"a reset by user space, by QEMU's log", reached, chainOf(0, "write_port vfs_write do_syscall_64", false), &machine.ExceptionLog{Whole: true}, watch.Reached},
		{"halt -f", watch.Stop{Kind: watch.Dead, Marker: true, Until: "init"}, halted(chainOf(0, "stop_this_cpu kernel_halt do_reboot", false)), nil, watch.Reached},
		{"halt -f before the symbol that was asked for", watch.Stop{Kind: watch.Dead, Marker: true, Until: "f"}, halted(chainOf(0, "stop_this_cpu kernel_halt do_reboot", false)), nil, watch.Dead},
		{"dead after init", watch.Stop{Kind: watch.Dead, Marker: true, Until: "init"}, halted(chainOf(0, "panic do_exit", false)), nil, watch.Dead},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ended(&Evidence{Stop: tc.stop, Chains: []Chain{tc.chain}, Exceptions: tc.log}); got != tc.want {
				t.Errorf("ended = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestStage(t *testing.T) {
	known := KernelState{SystemState: -1, Consoles: -1}
	for _, tc := range []struct {
		name  string
		chain Chain
		state KernelState
		want  verdict.Stage
		call  string
	}{
		{"in setup_arch", chainOf(0, "(assert f setup_arch start_kernel secondary_startup_64_no_verify", true), known, verdict.StartKernel, "setup_arch"},
		{"in an initcall", chainOf(0, "f my_init.constprop.0 do_one_initcall kernel_init_freeable kernel_init ret_from_fork", false), known, verdict.Initcall, "my_init"},
		{"before init", chainOf(0, "f prepare_namespace kernel_init ret_from_fork", false), known, verdict.Init, ""},
		{"a system call", chainOf(0, "f __x64_sys_reboot do_syscall_64 entry_SYSCALL_64_after_hwframe", false), known, verdict.Userspace, ""},
		{"before the early IDT", chainOf(0, "f x86_64_start_kernel secondary_startup_64", false), known, verdict.EarlyC, ""},
		{"with the early IDT", chainOf(0, "f x86_64_start_kernel secondary_startup_64", false), KernelState{EarlyIDT: true}, verdict.EarlyIDT, ""},
		{"before C", chainOf(0, "early_setup_idt secondary_startup_64_no_verify", false), KernelState{}, verdict.EarlyC, ""},
		{"before C, since 6.10", chainOf(0, "early_setup_idt common_startup_64", false), KernelState{}, verdict.EarlyC, ""},
		{"before C, itself", chainOf(0, "secondary_startup_64", false), known, verdict.EarlyC, ""},
		{"before C, another vCPU", chainOf(0, "early_setup_idt secondary_startup_64_no_verify", false),
			KernelState{EarlyIDT: true, SystemState: 1}, verdict.Initcall, ""},
		{"identity-mapped", at(chainOf(0, "startup_64", false), IdentityText), known, verdict.Startup64, ""},
		{"the decompressor", at(Chain{}, BootText), known, verdict.Decompressor, ""},
		{"the firmware", at(Chain{}, LowMemory), known, verdict.Firmware, ""},
		{"no symbols, early", at(Chain{}, KernelText), KernelState{SystemState: -1, IDT: 0xffffffff82000000, IDTLimit: 0xfff}, verdict.StartKernel, ""},
		{"no symbols, earlier", at(Chain{}, KernelText), KernelState{SystemState: -1, IDT: 0xffffffff82000000, IDTLimit: 0x1ff}, verdict.EarlyC, ""},
		{"no symbols, late", at(Chain{}, KernelText), KernelState{SystemState: -1, IDT: 0xfffffe0000000000, IDTLimit: 0xfff}, verdict.Initcall, ""},
		{"user space", at(Chain{}, UserText), known, verdict.Userspace, ""},
		{"an idle vCPU while initcalls run", chainOf(0, "default_idle do_idle", false), KernelState{SystemState: 1}, verdict.Initcall, ""},
		{"an idle vCPU after init", chainOf(0, "default_idle do_idle", false), KernelState{SystemState: 3}, verdict.Userspace, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if s, call := stage(&tc.chain, tc.state); s != tc.want || call != tc.call {
				t.Errorf("stage = %s (%s), want %s (%s)", s, call, tc.want, tc.call)
			}
		})
	}
}

// TestReachedStage: a good boot came as far as what was asked for.
func TestReachedStage(t *testing.T) {
	idle := halted(chainOf(0, "default_idle do_idle rest_init start_kernel", false))
	for _, tc := range []struct {
		until  string
		ran    bool
		chains []Chain
		want   verdict.Stage
		call   string
	}{
		{"", true, []Chain{idle}, verdict.Userspace, ""},
		{"init", false, []Chain{chainOf(0, "f my_init do_one_initcall kernel_init", false)}, verdict.Userspace, ""},
		{"rest_init", false, []Chain{chainOf(0, "rest_init start_kernel secondary_startup_64", false)}, verdict.StartKernel, "rest_init"},
		{"f", false, []Chain{idle, chainOf(1, "f my_init do_one_initcall kernel_init", false)}, verdict.Initcall, "my_init"},
		{"console", false, []Chain{idle}, verdict.Initcall, ""},
		{"console", true, []Chain{idle}, verdict.Userspace, ""},
	} {
		e := &Evidence{Stop: watch.Stop{Kind: watch.Reached, Until: tc.until}, Chains: tc.chains, Kernel: KernelState{SystemState: 1, InitRan: tc.ran}}
		if s, call := reachedStage(e); s != tc.want || call != tc.call {
			t.Errorf("--until %s, init ran %v: %s (%s), want %s (%s)", tc.until, tc.ran, s, call, tc.want, tc.call)
		}
	}
}

func TestInlinedInto(t *testing.T) {
	c := chainOf(0, "(a (b owner caller", false)
	if got := strings.Join(inlinedInto(&c, 0), " "); got != "b owner" {
		t.Errorf("inlinedInto = %q", got)
	}
	if got := inlinedInto(&c, 2); got == nil || len(got) != 0 {
		t.Errorf("a function of its own is inlined into %q", got)
	}
}
