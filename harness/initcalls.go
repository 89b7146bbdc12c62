package harness

import (
	"sync"
	"time"

	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/timeline"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// initcallDebug is what a boot with a timeline has on its command line: the kernel then logs each initcall as it begins and ends, as
// KERN_DEBUG, which is in its log and by default on no console. Breakpoints at do_one_initcall would be twice a millisecond for
// each, where this is some 20 us, need TCG, and have no clock that stands with the guest.
const initcallDebug = "initcall_debug"

// heard takes the log's new records.
func (b *boot) heard(lines []watch.Line, before, now time.Duration) {
	var records []timeline.Record
	for _, l := range lines {
		if !l.User { // else user space could make initcalls up
			records = append(records, timeline.Record{Text: l.Text, Time: l.Time})
		}
	}
	b.initcalls.Heard(records, before, now)
}

// times puts the timeline into the result.
func (b *boot) times(r *verdict.Result, stop *watch.Stop) {
	r.Timeline = stop.Marks
	var look timeline.Lookup
	if b.kernel != nil && b.place != nil {
		levels := sync.OnceValue(func() map[string]string { return linux.InitcallLevels(b.kernel.File) }) // a boot without initcalls needs none
		look.Level = func(function string) string { return levels()[function] }
		look.Name = func(address uint64) string {
			s, ok := b.kernel.SymbolAt(vmlinux.Addr(b.place.Link(address)))
			if !ok || uint64(s.Addr) != b.place.Link(address) {
				return ""
			}
			return s.Name
		}
	}
	end := time.Duration(0)
	if n := len(stop.Marks); n > 0 {
		end = time.Duration(stop.Marks[n-1].Seconds * float64(time.Second))
	}
	r.Initcalls = b.initcalls.Times(look, end)
	if b.plan.Timeline && len(r.Initcalls) == 0 && r.Verdict == verdict.Good {
		r.Notes = append(r.Notes, "no times of initcalls: the log in memory has none (a kernel without CONFIG_PRINTK, or older than 5.10)")
	}
}
