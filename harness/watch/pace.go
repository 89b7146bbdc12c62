package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"kcatch/harness/machine"
)

// pace is what was seen of the guest since its last sign of progress.
type pace struct {
	at     time.Time
	cpu    time.Duration // QEMU's CPU time then
	ram    int64         // bytes of guest memory in use then
	ticks  uint64        // the kernel's timer ticks then
	ticked bool          // ticks is known
	vcpus  map[int]*vcpuPace
}

// vcpuPace counts the samples of one vCPU.
type vcpuPace struct {
	running, halted int
	irqsOff         int // of running
	places          map[uint64]int
}

// newMemory is how much memory a guest must take into use for that to be progress, in bytes. A kernel that clears or
// describes much memory in silence uses it by the megabyte; one that spins or idles, by the page at most.
const newMemory = 4 << 20

// The samples tell a kernel that goes round in circles from one at work: a loop is seen in few places, of 256 bytes
// each, if one leaves out the interrupts that it takes.
const (
	placeSize   = 256
	fewPlaces   = 48
	mostSamples = 0.9
	minSamples  = 20
	maxPlaces   = 4096 // bounds memory; a guest that was seen in so many is not in few
)

// sample adds one look at all vCPUs.
func (p *pace) sample(cpus []machine.CPUState) {
	if p.vcpus == nil {
		p.vcpus = map[int]*vcpuPace{}
	}
	for _, c := range cpus {
		v := p.vcpus[c.Index]
		if v == nil {
			v = &vcpuPace{places: map[uint64]int{}}
			p.vcpus[c.Index] = v
		}
		if c.Halted {
			v.halted++
			continue
		}
		v.running++
		if !c.InterruptsOn() {
			v.irqsOff++
		}
		if at := c.RIP / placeSize; v.places[at] > 0 || len(v.places) < maxPlaces {
			v.places[at]++
		}
	}
}

// circles reports whether the guest goes round in circles: a vCPU that never had interrupts on, or every one that executed,
// was seen in few places. Too few samples say nothing against it.
func (p *pace) circles() bool {
	all := true
	for _, v := range p.vcpus {
		if v.running < minSamples {
			continue
		}
		few := v.share(fewPlaces) >= mostSamples
		if few && v.irqsOff == v.running && v.halted == 0 {
			return true // whatever the others do
		}
		all = all && few
	}
	return all
}

// shut reports whether a vCPU was seen in few places with interrupts off, and hardly ever else: the first samples may be of the time
// before. That is the kernel's doing, for user space has them on.
func (p *pace) shut() bool {
	for _, v := range p.vcpus {
		if v.running >= minSamples && float64(v.irqsOff) >= mostlyOff*float64(v.running+v.halted) && v.share(fewPlaces) >= mostSamples {
			return true
		}
	}
	return false
}

// mostlyOff is the share of samples with interrupts off of a vCPU that has them off for good.
const mostlyOff = 0.98

// share is the part of the running samples that lies in the n most frequent places.
func (v *vcpuPace) share(n int) float64 {
	counts := make([]int, 0, len(v.places))
	for _, c := range v.places {
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b int) int { return cmp.Compare(b, a) })
	sum := 0
	for _, c := range counts[:min(n, len(counts))] {
		sum += c
	}
	return float64(sum) / float64(max(v.running, 1))
}

// typical reports whether the vCPUs stand as the samples had them: one that was mostly seen with interrupts on, and now has
// them off, is in an interrupt.
func (p *pace) typical(cpus []machine.CPUState) bool {
	for _, c := range cpus {
		v := p.vcpus[c.Index]
		if v == nil || v.running < minSamples || c.Halted {
			continue
		}
		if on := v.irqsOff < v.running/2; on && !c.InterruptsOn() {
			return false
		}
	}
	return true
}

// Pace is how the guest went on since its last sign of progress, for the report.
type Pace struct {
	Ticks    int64      // timer ticks; -1 unknown
	VCPUs    []VCPUPace // by index
	Watchdog string     // what the kernel's own watchdog said of it first; empty when nothing
}

// VCPUPace is how often a vCPU was seen in which state.
type VCPUPace struct {
	CPU                      int
	Halted, Running, IRQsOff int // IRQsOff of Running
}

// pace is the samples so far.
func (w *watch) pace() Pace {
	out := Pace{Ticks: -1, Watchdog: w.stall.said}
	if w.since.ticked && w.in.Ticks != nil {
		if now, ok := w.in.Ticks(); ok {
			out.Ticks = int64(now - w.since.ticks)
		}
	}
	for i, v := range w.since.vcpus {
		out.VCPUs = append(out.VCPUs, VCPUPace{CPU: i, Halted: v.halted, Running: v.running, IRQsOff: v.irqsOff})
	}
	slices.SortFunc(out.VCPUs, func(a, b VCPUPace) int { return cmp.Compare(a.CPU, b.CPU) })
	return out
}

// progress begins to count anew.
func (w *watch) progress() {
	w.since = pace{at: time.Now(), cpu: w.in.Machine.CPUTime(), ram: w.in.Machine.RAMUsed()}
	if w.placement != nil && w.in.Ticks != nil {
		w.since.ticks, w.since.ticked = w.in.Ticks()
	}
}

// stall is what of the log is no progress: it fills the log of a kernel that gets nowhere.
type stall struct {
	said    string    // the first telling line of the kernel's own watchdogs
	report  time.Time // until then, lines belong to a watchdog's report
	console time.Time // until then, the console prints lines that are no progress
}

// How long the lines of one report may take to come, and the console may take for a line.
const (
	reportTime = 2 * time.Second
	lineTime   = 200 * time.Millisecond
)

// watchdogs are the beginnings of the telling lines, and what else is in them (kernel/rcu/tree_stall.h, tree_exp.h;
// kernel/watchdog.c, watchdog_hld.c; kernel/workqueue.c; kernel/hung_task.c; of 6.1 and 6.12).
var watchdogs = [][2]string{
	{"rcu: INFO: ", "stall"}, {"watchdog: BUG: soft lockup", ""}, {"Watchdog detected hard LOCKUP", ""}, {"watchdog: Watchdog detected hard LOCKUP", ""},
	{"BUG: workqueue lockup", ""}, {"INFO: task ", "blocked for more than"},
}

// asides are lines that interrupts and the kernel's housekeeping log whatever the boot does (kernel/time/hrtimer.c,
// kernel/time/clocksource.c, drivers/char/random.c, arch/x86/kernel/tsc.c, kernel/sched/rt.c, kernel/events/core.c,
// arch/x86/kernel/nmi.c).
var asides = [][2]string{
	{"hrtimer: interrupt took", ""}, {"random: crng init done", ""}, {"clocksource: ", ""}, {"tsc: Refined TSC", ""}, {"sched: RT throttling", ""},
	{"perf: interrupt took too long", ""}, {"INFO: NMI handler", "took too long"}, {"workqueue: ", "hogged CPU"},
}

// isOne reports whether a line is one of a list.
func isOne(text string, list [][2]string) bool {
	return slices.ContainsFunc(list, func(d [2]string) bool { return strings.HasPrefix(text, d[0]) && strings.Contains(text, d[1]) })
}

// heard looks at the lines that are new, and reports whether one of them is progress.
func (w *watch) heard(lines []Line, now time.Time) (news bool) {
	for _, l := range lines {
		if l.Seq < w.lastSeq {
			continue
		}
		w.lastSeq = l.Seq + 1
		switch {
		case l.User: // whatever it says, somebody lives to say it
			news = true
		case isOne(l.Text, watchdogs):
			w.stall.report, w.stall.console = now.Add(reportTime), now.Add(reportTime)
			if w.stall.said == "" {
				w.stall.said = l.Text
			}
		case isOne(l.Text, asides):
			w.stall.console = now.Add(lineTime)
		case !now.Before(w.stall.report):
			news = true
		}
	}
	return news
}
