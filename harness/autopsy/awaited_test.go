package autopsy

import (
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// States of tasks, include/linux/sched.h.
const (
	interruptible   = 0x1
	uninterruptible = 0x2
	frozen          = 0x8000
)

// blocked is a task that waits, with a chain as chainOf takes it.
func blocked(pid int, comm string, state uint32, chain string) Blocked {
	return Blocked{Task: linux.Task{PID: pid, Comm: comm, State: state}, Chain: chainOf(-1, chain, false)}
}

// TestAwaited: an idle machine waits for init, or where that waits for its child, for the task that is stuck in the kernel.
func TestAwaited(t *testing.T) {
	const waits, signals = "__schedule schedule do_wait kernel_wait4", "schedule do_sigtimedwait do_syscall_64"
	init := blocked(1, "init", interruptible, waits)
	shell := blocked(20, "sh", interruptible, waits)
	stuck := blocked(28, "sh", uninterruptible, "schedule schedule_timeout culprit vfs_write")
	kernels := stuck
	kernels.Kernel = true
	onCPU := stuck
	onCPU.OnCPU = true
	held := blocked(28, "sh", frozen, "schedule __refrigerator")
	for _, tc := range []struct {
		name  string
		ran   bool
		tasks []Blocked
		cause string
		note  string // in the first note; empty: there is none
	}{
		{"a child that is stuck", true, []Blocked{init, shell, stuck}, "culprit", "task 28 (sh)"},
		{"by way of init's own loop", true, []Blocked{blocked(1, "init", interruptible, signals), stuck}, "culprit", "task 28 (sh)"},
		{"by 6.12's schedule(), which Debian's compiler gave a function more", true, []Blocked{init, blocked(28, "sh", uninterruptible, "(context_switch __schedule (__schedule_loop schedule schedule_timeout culprit")}, "culprit", "task 28 (sh)"},
		{"a child that sleeps", true, []Blocked{init, shell}, "do_wait", ""},
		{"a kernel thread that is stuck", true, []Blocked{init, kernels}, "do_wait", ""},
		{"a frozen child", true, []Blocked{init, held}, "do_wait", ""},
		{"a child that runs", true, []Blocked{init, onCPU}, "do_wait", ""},
		{"init is stuck itself", true, []Blocked{blocked(1, "init", uninterruptible, "schedule own vfs_write"), stuck}, "own", ""},
		{"nothing is left but init", true, []Blocked{blocked(1, "init", interruptible, signals), kernels}, "do_sigtimedwait", "init alone"},
		{"an init of which it is not known that it ran", false, []Blocked{blocked(1, "init", interruptible, signals)}, "do_sigtimedwait", ""},
		{"init waits for the world", true, []Blocked{blocked(1, "init", interruptible, "schedule ep_poll"), shell}, "ep_poll", ""},
	} {
		cpu := halted(chainOf(0, "default_idle do_idle rest_init", false))
		cpu.Regs.EFLAGS = interruptsOn
		f := Judge(&Evidence{Stop: watch.Stop{Kind: watch.Stuck}, Chains: []Chain{cpu}, Tasks: tc.tasks, Kernel: KernelState{InitRan: tc.ran}})
		if f.Class != verdict.Hang || f.Hang != verdict.Idle || f.Task == nil || f.Task.Chain.Frames[f.Frame].Function != tc.cause {
			t.Errorf("%s: %s/%s, %s, want %s", tc.name, f.Class, f.Hang, f.What, tc.cause)
		}
		told := slices.ContainsFunc(f.Notes, func(n string) bool { return tc.note != "" && strings.Contains(n, tc.note) })
		if said := slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, "init") }); said != (tc.note != "") || said != told {
			t.Errorf("%s: notes %q, want %q", tc.name, f.Notes, tc.note)
		}
	}
}

// TestHungTask: the watchdog that panics over a task that waits is not at fault, what that waits in is.
func TestHungTask(t *testing.T) {
	const watchdog = "panic check_hung_uninterruptible_tasks watchdog kthread ret_from_fork"
	one := blocked(28, "sh", uninterruptible, "schedule percpu_rwsem_wait percpu_down_read first vfs_write")
	two := blocked(29, "x: y:28 ", uninterruptible, "schedule mutex_lock second vfs_write")
	init := blocked(1, "init", interruptible, "schedule do_wait")
	for _, tc := range []struct {
		name  string
		chain string
		log   string
		tasks []Blocked
		cause string
	}{
		{"which the log names", watchdog, "INFO: task x: y:28 :29 blocked for more than 4 seconds.", []Blocked{init, one, two}, "second"},
		{"the first of two", watchdog, "INFO: task sh:28 blocked for more than 4 seconds.\nINFO: task x: y:28 :29 blocked for more than 4 seconds.", []Blocked{init, one, two}, "first"},
		{"the log is lost", watchdog, "", []Blocked{init, two, one}, "second"},
		{"which is not among the tasks", watchdog, "INFO: task sh:77 blocked for more than 4 seconds.", []Blocked{init, one}, "first"},
		{"no task is known", watchdog, "INFO: task sh:28 blocked for more than 4 seconds.", []Blocked{init}, "check_hung_uninterruptible_tasks"},
		{"inlined", "panic (check_hung_uninterruptible_tasks watchdog kthread", "", []Blocked{one}, "first"},
		{"another panic", "panic watchdog kthread", "", []Blocked{one}, "watchdog"},
		{"of a driver", "panic culprit kthread", "INFO: task sh:28 blocked for more than 4 seconds.", []Blocked{one}, "culprit"},
	} {
		e := &Evidence{Stop: watch.Stop{Kind: watch.Dead}, Chains: []Chain{chainOf(0, tc.chain, false)}, Tasks: tc.tasks}
		if tc.log != "" {
			e.Log = records(tc.log)
		}
		f := Judge(e)
		c := &e.Chains[0]
		if f.Task != nil {
			c = &f.Task.Chain
		}
		if f.Class != verdict.Panic || c.Frames[f.Frame].Function != tc.cause || !strings.Contains(f.What, tc.cause) {
			t.Errorf("%s: %s: %s, want %s", tc.name, f.Class, f.What, tc.cause)
		}
	}
}
