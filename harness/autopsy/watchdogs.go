package autopsy

import (
	"regexp"
	"slices"
	"strings"

	"kcatch/gdb/linux"
)

// lockupWatchdogs find in an interrupt that what they interrupted does not get on, and panic where they are told to: softlockup_panic,
// panic_on_rcu_stall, nmi_watchdog=panic (kernel/watchdog.c, watchdog_hld.c, rcu/tree_stall.h; of 6.1 and 6.12).
var lockupWatchdogs = []string{"watchdog_timer_fn", "panic_on_rcu_stall", "watchdog_overflow_callback", "watchdog_hardlockup_check"}

// ofOthers are those of them that speak of another CPU: what they interrupted is not at fault (rcu/tree_stall.h, watchdog_buddy.c).
var ofOthers = []string{"print_other_cpu_stall", "watchdog_buddy_check_hardlockup"}

// The head of what RCU says of a stall, the CPUs that it names then, and its word on tasks (rcu/tree_stall.h, print_cpu_stall_info and
// rcu_print_task_stall): "\t0-....: (2999 ticks this GP) idle=...", "\tTasks blocked on level-0 rcu_node (CPUs 0-1): P84".
var (
	stallLine   = regexp.MustCompile(`^rcu: INFO: \S+ (?:self-)?detected stalls? on CPU`)
	stalledLine = regexp.MustCompile(`^\s*(\d+)-[O.][o.][N.][?!.0-9]: \(`)
	blockedLine = regexp.MustCompile(`^\s*Tasks blocked on level-\d+ rcu_node`)
)

// stalled are the CPUs that RCU's last report of a stall names, and whether it names tasks, which may be on none.
func stalled(log []linux.Record) (cpus []int, tasks bool) {
	for _, r := range slices.Backward(log) {
		if r.Facility != 0 {
			continue
		}
		text, _, _ := strings.Cut(r.Text, "\n")
		switch m := stalledLine.FindStringSubmatch(text); {
		case m != nil:
			cpus = append(cpus, number(m[1]))
		case blockedLine.MatchString(text):
			tasks = true
		case stallLine.MatchString(text):
			return cpus, tasks
		}
	}
	return nil, false
}

// lockedUp is where a CPU is locked up, by the word of a watchdog that panicked at frame of c: it is the kernel's own word as a hang's is
// ours. It is frame itself when it is no watchdog's, and where the watchdog does not tell: it interrupted the idle task, or it speaks of
// another CPU, does not say which, and several are busy. RCU's may speak so of the very CPU that it runs on: it names it, or there is no other.
func lockedUp(e *Evidence, c *Chain, frame int) (*Chain, int) {
	if !listed(c.Frames[frame].Function, lockupWatchdogs) {
		return c, frame
	}
	named, tasks := stalled(e.Log)
	itself := len(named) == 1 && named[0] == c.CPU || len(named) == 0 && len(e.Chains) == 1
	if c.has(ofOthers...) && (!itself || tasks) {
		other, busy, at := (*Chain)(nil), 0, 0
		for i := range e.Chains {
			o := &e.Chains[i]
			from := belowNMI(o)
			if o != c && (len(named) == 0 || slices.Contains(named, o.CPU)) && from < len(o.Frames) && !o.has(putAway...) && !idleAt(o, from) {
				other, busy, at = o, busy+1, beyond(o, from, reporting, waiting)
			}
		}
		if busy != 1 {
			return c, frame
		}
		return other, at
	}
	for _, t := range c.Traps {
		if t.Index > frame {
			if idleAt(c, t.Index) {
				break
			}
			return c, beyond(c, t.Index, reporting, waiting)
		}
	}
	return c, frame
}

// belowNMI is the first frame of what a CPU does but for an NMI, in which it tells the watchdog its backtrace; 0 when it is in none.
func belowNMI(c *Chain) int {
	nmi := c.index(0, "exc_nmi", "end_repeat_nmi", "asm_exc_nmi")
	for _, t := range c.Traps {
		if nmi >= 0 && t.Index > nmi {
			return t.Index
		}
	}
	return 0
}

// idleAt reports whether a chain is in the idle task at a frame: not in an interrupt that came over it.
func idleAt(c *Chain, from int) bool {
	at := c.idle(from)
	over := func(t Trap) bool { return t.Index > from && t.Index <= at }
	return at >= 0 && !slices.ContainsFunc(c.Traps, over)
}

// hungTaskWatchdog panics over a task that waits for too long, with hung_task_panic (kernel/hung_task.c).
var hungTaskWatchdog = []string{"check_hung_uninterruptible_tasks", "check_hung_task", "watchdog"}

// hungTaskLine is its word on that task: "INFO: task sh:84 blocked for more than 120 seconds."
var hungTaskLine = regexp.MustCompile(`^INFO: task .*:(\d+) blocked for more than `)

// hungTask is the task that the watchdog for such at a frame found first, by the log; where that does not say, one that cannot be
// interrupted. nil when the frame is another's, or no chain of such a task is known.
func hungTask(e *Evidence, c *Chain, frame int) *Blocked {
	if !listed(c.Frames[frame].Function, hungTaskWatchdog) || !c.has("check_hung_uninterruptible_tasks") {
		return nil
	}
	waits := func(t *Blocked) bool { return t.stuck() && len(t.Chain.Frames) > 0 }
	for _, r := range e.Log {
		if m := hungTaskLine.FindStringSubmatch(r.Text); m != nil && r.Facility == 0 {
			for i := range e.Tasks {
				if t := &e.Tasks[i]; t.PID == number(m[1]) && waits(t) {
					return t
				}
			}
			break
		}
	}
	for i := range e.Tasks {
		if t := &e.Tasks[i]; waits(t) {
			return t
		}
	}
	return nil
}
