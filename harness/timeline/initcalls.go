package timeline

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kcatch/harness/verdict"
)

// Record is a line of the kernel's log that the kernel itself wrote.
type Record struct {
	Text string
	Time time.Duration // the kernel's stamp; 0 before its clock works
}

// Initcalls collects the initcalls that a kernel logs. The zero value is ready.
//
// Durations are by the stamps of the lines at its beginning and its end, and not by the count of usecs in the second: that is by
// ktime_get(), which goes by the timer tick (4 ms) until a clock source is chosen, in the middle of the initcalls. They include what it
// costs to log the first line, some 20 us under TCG.
type Initcalls struct {
	calls []call
	open  map[string][]int // those that have not returned, by name
	lead  time.Duration    // of the boot's time over the log's, by the last record
	ahead bool             // lead is known
}

type call struct {
	function, module string
	began            time.Duration // by the log's clock
	start            time.Duration // by the boot's
	took             time.Duration
	returned         *int
}

// maxInitcalls bounds what is kept: a kernel of a distribution has 1,500.
const maxInitcalls = 1 << 13

// What trace_initcall_start_cb() and trace_initcall_finish_cb() log (init/main.c). A function is %pS: its name, offset and size, and the
// module; a bare address without CONFIG_KALLSYMS. Their bounds make large programs of them, 0.5 ms of each start of kcatch: so they are
// compiled for the first line that there is.
var (
	calling  = lazily(`^calling  ([\w.$]{1,200})(?:\+0x0/0x[0-9a-f]+)?(?: \[(\w{1,64})\])? @ \d+$`)
	returned = lazily(`^initcall ([\w.$]{1,200})(?:\+0x0/0x[0-9a-f]+)?(?: \[(\w{1,64})\])? returned (-?\d+) after (\d+) usecs\s*$`)
)

func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// Heard takes records in their order, which were written between two looks at the log, at before and at now of the boot's time.
//
// The log's clock may fall behind on a busy host: before the kernel has a clock source, a guest that is kept from taking its timer ticks
// loses them (kernel/sched/clock.c lets an unstable clock run ahead of the last tick by one at most). 1.3 s were lost in a boot of 3 s.
// So the two clocks are held together by each record anew: by the difference of the one before, as far as that lies between the looks.
func (c *Initcalls) Heard(records []Record, before, now time.Duration) {
	for _, r := range records {
		if most, least := now-r.Time, before-r.Time; !c.ahead || c.lead > most || r.Time == 0 {
			c.lead = most
		} else if c.lead < least {
			c.lead = least
		}
		c.ahead = c.ahead || r.Time > 0
		switch {
		case strings.HasPrefix(r.Text, "calling  "):
			if m := calling().FindStringSubmatch(r.Text); m != nil && len(c.calls) < maxInitcalls {
				if c.open == nil {
					c.open = map[string][]int{}
				}
				key := m[1] + " " + m[2]
				c.open[key] = append(c.open[key], len(c.calls))
				c.calls = append(c.calls, call{function: m[1], module: m[2], began: r.Time, start: r.Time + c.lead})
			}
		case strings.HasPrefix(r.Text, "initcall "):
			if m := returned().FindStringSubmatch(r.Text); m != nil {
				c.finish(m, r.Time)
			}
		}
	}
}

// finish ends a call. One whose first line was written over, before anybody looked, is known by the second.
func (c *Initcalls) finish(m []string, at time.Duration) {
	code, err := strconv.Atoi(m[3])
	usecs, uerr := strconv.ParseInt(m[4], 10, 40)
	if err != nil || uerr != nil {
		return
	}
	key := m[1] + " " + m[2]
	if open := c.open[key]; len(open) > 0 {
		one := &c.calls[open[len(open)-1]]
		c.open[key] = open[:len(open)-1]
		one.took, one.returned = max(at-one.began, 0), &code
		return
	}
	if len(c.calls) < maxInitcalls {
		took := min(time.Duration(usecs)*time.Microsecond, at)
		c.calls = append(c.calls, call{function: m[1], module: m[2], began: at - took, start: at - took + c.lead, took: took, returned: &code})
	}
}

// Lookup is what a vmlinux knows of initcalls: the level of a function, "" for none, and the name of what a bare address means.
type Lookup struct {
	Level func(function string) string
	Name  func(address uint64) string
}

// Times are the initcalls in the order in which they began. Those that have not come back are as long as it was to the end of the
// boot, which is in its own time.
func (c *Initcalls) Times(look Lookup, end time.Duration) []verdict.InitcallTime {
	var out []verdict.InitcallTime
	for _, one := range c.calls {
		begin := min(max(one.start, 0), end)
		t := verdict.InitcallTime{Function: one.function, Module: one.module, Start: begin.Seconds(), Seconds: one.took.Seconds(), Returned: one.returned}
		if one.returned == nil {
			t.Seconds = (end - begin).Seconds()
		}
		if address, err := strconv.ParseUint(one.function, 0, 64); err == nil && look.Name != nil {
			if name := look.Name(address); name != "" {
				t.Function = name
			}
		}
		if t.Module == "" && look.Level != nil {
			t.Level = look.Level(t.Function)
		}
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b verdict.InitcallTime) int { return cmp.Compare(a.Start, b.Start) })
	return out
}
