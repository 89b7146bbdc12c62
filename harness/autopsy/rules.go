package autopsy

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Finding is what the rules say of a death.
type Finding struct {
	Class verdict.Class
	Hang  verdict.HangKind
	CPU   int      // the vCPU whose chain shows it
	Chain *Chain   // in place of that vCPU's, where the death is older than the stop; else nil
	Frame int      // index of the frame at fault in that chain; -1 when there is none
	Task  *Blocked // the task that waits, when Frame is in its chain
	Trap  *Trap
	What  string // "#UD in __SetPageReserved()": the summary without the class
	Notes []string
}

// rule is one way to die. judge returns nil when it does not apply; the first rule of the table that applies wins, so
// that the order says what is the first death: an oops comes before the panic that follows it.
type rule struct {
	name  string
	judge func(*Evidence) *Finding
}

// rules is the table. A machine that was reset or is halted says so from outside; what it was doing then is read from
// the chains, so the chain rules come first.
var rules = []rule{
	{"exception", exception},
	{"oops or BUG in the log", reported},
	{"panic", panicked},
	{"decompressor", decompressing},
	{"reset", reset},
	{"triple fault", tripleFault},
	{"shutdown", shutdown},
	{"hang", hang},
}

// Judge applies the rules. It always finds something: a stop that fits none is a hang of unknown kind, and says so.
func Judge(e *Evidence) Finding {
	for _, r := range rules {
		if f := r.judge(e); f != nil {
			return *f
		}
	}
	return Finding{Class: verdict.Hang, Hang: verdict.Spin, Frame: -1, What: "stopped for a reason no rule knows: " + e.Stop.String()}
}

// panicked: a vCPU is in panic().
func panicked(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		at := c.outermost("vpanic", "panic") // of a panic in a panic the first is the death
		if at < 0 {
			continue
		}
		c, frame := lockedUp(e, c, beyond(c, at, reporting))
		f := &Finding{Class: verdict.Panic, CPU: c.CPU, Frame: frame}
		where := place(&c.Frames[frame])
		if t := hungTask(e, c, frame); t != nil {
			f.Task, f.Frame = t, first(&t.Chain, waiting)
			where = fmt.Sprintf("%s, where task %d (%s) waits", place(&t.Chain.Frames[f.Frame]), t.PID, t.Comm)
		}
		what := panicText(e)
		if what == "" && e.PanicFormat != "" {
			what = e.PanicFormat
			f.Notes = []string{"the panic's text is from panic()'s arguments: the log does not have it yet"}
		}
		if what == "" {
			what = "panic"
		}
		f.What = what + " in " + where
		return f
	}
	return nil
}

// lockupWatchdogs find in an interrupt that what they interrupted does not get on, and panic where they are told to: softlockup_panic,
// panic_on_rcu_stall, nmi_watchdog=panic (kernel/watchdog.c, watchdog_hld.c, rcu/tree_stall.h; of 6.1 and 6.12).
var lockupWatchdogs = []string{"watchdog_timer_fn", "panic_on_rcu_stall", "watchdog_overflow_callback", "watchdog_hardlockup_check"}

// ofOthers are those of them that speak of another CPU: what they interrupted is not at fault (rcu/tree_stall.h, watchdog_buddy.c).
var ofOthers = []string{"print_other_cpu_stall", "watchdog_buddy_check_hardlockup"}

// lockedUp is where a CPU is locked up, by the word of a watchdog that panicked at frame of c: it is the kernel's own word as a hang's is
// ours. It is frame itself when it is no watchdog's, and where the watchdog does not tell: it interrupted the idle task, or it speaks of
// another CPU and several are busy.
func lockedUp(e *Evidence, c *Chain, frame int) (*Chain, int) {
	if !listed(c.Frames[frame].Function, lockupWatchdogs) {
		return c, frame
	}
	if c.has(ofOthers...) {
		other, busy, at := (*Chain)(nil), 0, 0
		for i := range e.Chains {
			o := &e.Chains[i]
			from := belowNMI(o)
			if o != c && from < len(o.Frames) && !o.has(putAway...) && !idleAt(o, from) {
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
	at := c.index(from, "do_idle", "cpu_startup_entry")
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
	waits := func(t *Blocked) bool { return t.StateText() == "D" && !t.Frozen() && len(t.Chain.Frames) > 0 }
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

// panicText is the kernel's own text, from the log in memory: "Kernel panic - not syncing: %s" (kernel/panic.c).
func panicText(e *Evidence) string {
	text, _ := panicRecord(e)
	return text
}

// panicRecord is that text and the sequence number of its record, which is the largest there can be when there is none.
func panicRecord(e *Evidence) (text string, seq uint64) {
	for _, r := range e.Log { // the first: "---[ end Kernel panic" repeats it
		if text, ok := strings.CutPrefix(r.Text, "Kernel panic - not syncing: "); ok && text != "" && r.Facility == 0 {
			line, _, _ := strings.Cut(text, "\n")
			return line, r.Seq
		}
	}
	return "", math.MaxUint64
}

// decompressing: the pc lies in the decompressor and the vCPU is halted with interrupts off: error() in
// arch/x86/boot/compressed/error.c. Its text is read from the code that called it, or from the console if that has it.
func decompressing(e *Evidence) *Finding {
	for i := range e.Chains {
		c := &e.Chains[i]
		if c.Where != BootText || !c.Halted || e.Stop.Kind == watch.Shutdown {
			continue
		}
		f := &Finding{Class: verdict.DecompressorError, CPU: c.CPU, Frame: first(c, []string{"error"}), What: "the decompressor gave up"}
		text := c.Message
		if text == "" {
			text = haltedText(e.Console)
		}
		if text != "" {
			f.What += ": " + text
		}
		if f.Frame >= 0 {
			f.What += " in " + place(&c.Frames[f.Frame])
		}
		return f
	}
	return nil
}

// haltedText is the line before " -- System halted" on the console, which error() prints after its text.
func haltedText(console string) string {
	before, _, ok := strings.Cut(console, " -- System halted")
	if !ok {
		return ""
	}
	lines := strings.FieldsFunc(before, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return ""
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// first is the innermost frame that is in none of the list, or -1 when the chain is empty.
func first(c *Chain, list []string) int {
	if len(c.Frames) == 0 {
		return -1
	}
	return beyond(c, 0, list)
}

// inModule is " [module]" for a frame in one.
func inModule(f *verdict.Frame) string {
	if f.Module == "" {
		return ""
	}
	return " [" + f.Module + "]"
}

// place is a frame for a sentence: "__SetPageReserved() include/linux/page-flags.h:503".
func place(f *verdict.Frame) string {
	switch {
	case f.Function == "":
		return f.PC.String()
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s()%s  %s:%d", f.Function, inModule(f), f.File, f.Line)
	}
	return f.Function + "()" + inModule(f)
}
