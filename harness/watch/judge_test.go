package watch

import (
	"context"
	"testing"
	"time"

	"kcatch/gdb/guest"
	"kcatch/harness/machine"
)

const on = 1 << 9 // RFLAGS.IF

func TestAllHaltedForGood(t *testing.T) {
	const kernel, parked = 0xffffffff81000000, 0xfd09a
	cpu := func(i int, rip, flags uint64, halted bool) machine.CPUState {
		return machine.CPUState{Index: i, RIP: rip, RFLAGS: flags, Halted: halted}
	}
	for _, tc := range []struct {
		name string
		cpus []machine.CPUState
		want bool
	}{
		{"none", nil, false},
		{"dead", []machine.CPUState{cpu(0, kernel, 0, true)}, true},
		{"dead in the decompressor", []machine.CPUState{cpu(0, 0x2000000, 0, true)}, true},
		{"idle", []machine.CPUState{cpu(0, kernel, on, true)}, false},
		{"spinning with interrupts off", []machine.CPUState{cpu(0, kernel, 0, false)}, false},
		{"firmware waits", []machine.CPUState{cpu(0, parked, 0, true)}, false},
		{"dead, the other parked", []machine.CPUState{cpu(0, kernel, 0, true), cpu(1, parked, 0, true)}, true},
		{"dead, the other idle", []machine.CPUState{cpu(0, kernel, 0, true), cpu(1, kernel, on, true)}, false},
		{"setup gave up", []machine.CPUState{{CSBase: machine.SetupStart, RIP: 0x23, Halted: true}}, true},
		{"both dead", []machine.CPUState{cpu(0, kernel, 0, true), cpu(1, kernel, 0, true)}, true},
		{"an offline CPU beside a living one", []machine.CPUState{cpu(0, kernel, on, false), cpu(1, kernel, 0, true)}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := allHaltedForGood(tc.cpus); got != tc.want {
				t.Errorf("allHaltedForGood = %v, want %v", got, tc.want)
			}
		})
	}
}

// still is a machine that does nothing but use CPU time.
type still struct {
	cpu time.Duration
	ram int64
}

func (s still) CPUs(context.Context) ([]machine.CPUState, error) { return nil, nil }
func (s still) Events() <-chan machine.Event                     { return nil }
func (s still) Exited() <-chan struct{}                          { return nil }
func (s still) ExitError() error                                 { return nil }
func (s still) CPUTime() time.Duration                           { return s.cpu }
func (s still) RAMUsed() int64                                   { return s.ram }

type silent struct{ said string }

func (s silent) Contains(text string) bool { return s.said != "" && text == s.said }
func (s silent) Bytes() int64              { return int64(len(s.said)) }

// late is a console of which the last words are read a moment after they came.
type late struct{ at time.Time }

func (l late) Contains(text string) bool { return text == "x" && l.Bytes() > 0 }
func (l late) Bytes() int64 {
	if time.Now().Before(l.at) {
		return 0
	}
	return 1
}

// TestLastWords: init's marker, and the power-off directly after it, before the serial line was read.
func TestLastWords(t *testing.T) {
	now := time.Now()
	w := &watch{in: Input{Machine: still{}, Console: late{now.Add(2 * time.Millisecond)}, Until: "init", Marker: "x", Timeout: time.Minute},
		start: now, event: &machine.Event{Name: "SHUTDOWN", Reason: "guest-reset"}}
	if got, over := shutDown(w, now); !over || got.Kind != Reached {
		t.Errorf("%v, over %v", got.Kind, over)
	}
}

func TestJudges(t *testing.T) {
	now := time.Now()
	runs := []machine.CPUState{{RIP: 0xffffffff81000000, RFLAGS: on}}
	waits := []machine.CPUState{{RIP: 0xffffffff81000000, RFLAGS: on, Halted: true}}
	since := func(d time.Duration) time.Time { return now.Add(-d) }
	base := func(change func(w *watch)) *watch {
		w := &watch{
			in:    Input{Machine: still{}, Console: silent{}, Until: "init", Marker: "x", Timeout: 2 * time.Minute, Quiet: quietLimit},
			start: since(70 * time.Second), since: pace{at: since(time.Second)}, cpus: runs,
		}
		change(w)
		return w
	}
	event := func(name, reason string) *machine.Event { return &machine.Event{Name: name, Reason: reason} }
	for _, tc := range []struct {
		name string
		w    *watch
		want Kind // zero: not over
	}{
		{"a kernel at work", base(func(w *watch) {}), 0},
		{"a pause of 30 s, idle", base(func(w *watch) { w.cpus, w.since.at = waits, since(31*time.Second) }), 0},
		{"a pause of 30 s, spinning", base(func(w *watch) {
			w.since.at, w.in.Machine = since(31*time.Second), still{cpu: 31 * time.Second}
		}), 0},
		{"idle for good", base(func(w *watch) { w.cpus, w.since.at = waits, since(quietLimit) }), Stuck},
		{"spinning for good", base(func(w *watch) {
			w.since.at, w.in.Machine = since(quietLimit), still{cpu: quietLimit}
		}), Stuck},
		{"a slow boot on a loaded host", base(func(w *watch) {
			w.since.at, w.in.Machine = since(quietLimit), still{cpu: quietLimit / 4}
		}), 0},
		{"at silent work for long: seen in many places", base(func(w *watch) {
			w.since.at, w.in.Machine = since(quietLimit), still{cpu: quietLimit}
			for i := range 200 {
				w.since.sample([]machine.CPUState{{RIP: 0xffffffff81000000 + uint64(i%100)*placeSize, RFLAGS: on}})
			}
		}), 0},
		{"spinning, with an interrupt now and then", base(func(w *watch) {
			w.since.at, w.in.Machine = since(quietLimit), still{cpu: quietLimit}
			for i := range 400 {
				w.since.sample([]machine.CPUState{{RIP: 0xffffffff81000000 + uint64(i%2)*placeSize, RFLAGS: on}})
			}
			for i := range 20 {
				w.since.sample([]machine.CPUState{{RIP: 0xffffffff82000000 + uint64(i)*placeSize}})
			}
		}), Stuck},
		{"one vCPU spins with interrupts off, the other works", base(func(w *watch) {
			w.since.at, w.in.Machine = since(quietLimit), still{cpu: quietLimit}
			for i := range 200 {
				w.since.sample([]machine.CPUState{{RIP: 0xffffffff81000000 + uint64(i%100)*placeSize, RFLAGS: on}, {Index: 1, RIP: 0xffffffff82000000}})
			}
		}), Stuck},
		{"init ran what is silent", base(func(w *watch) {
			w.marker, w.in.Linger, w.since.at, w.in.Machine = true, true, since(quietLimit), still{cpu: quietLimit}
			for range 400 {
				w.since.sample([]machine.CPUState{{RIP: 0x400000, RFLAGS: on}, {Index: 1, RIP: 0xffffffff82000000, Halted: true, RFLAGS: on}})
			}
		}), 0},
		{"init ran what spins in the kernel with interrupts off", base(func(w *watch) {
			w.marker, w.in.Linger, w.since.at, w.in.Machine = true, true, since(quietLimit), still{cpu: quietLimit}
			for i := range 400 {
				if i < 4 {
					w.since.sample(waits) // until it came to that
				}
				w.since.sample([]machine.CPUState{{RIP: 0xffffffffc0000000}, {Index: 1, RIP: 0xffffffff82000000, Halted: true, RFLAGS: on}})
			}
		}), Stuck},
		{"halted for two samples", base(func(w *watch) { w.deadFor = deadPolls - 1 }), 0},
		{"halted for three", base(func(w *watch) { w.deadFor = deadPolls }), Dead},
		{"asleep for a while", base(func(w *watch) { w.asleepAt, w.since.at = since(quietLimit/2), since(quietLimit/2) }), 0},
		{"asleep, and nobody wakes it", base(func(w *watch) {
			w.marker, w.in.Linger, w.asleepAt, w.since.at = true, true, since(quietLimit), since(quietLimit)
		}), Stuck},
		{"init spoke", base(func(w *watch) { w.marker = true }), Reached},
		{"init spoke and has more to do", base(func(w *watch) { w.marker, w.in.Linger = true, true }), 0},
		{"power-off after init", base(func(w *watch) {
			w.marker, w.in.Linger, w.event = true, true, event("SHUTDOWN", "guest-shutdown")
		}), Reached},
		{"a panic after init that resets the machine at once", base(func(w *watch) {
			w.marker, w.in.Linger, w.panicHit, w.event = true, true, now, event("SHUTDOWN", "guest-reset")
		}), Shutdown},
		{"the same without a breakpoint: its text is in the log", base(func(w *watch) {
			w.marker, w.in.Linger, w.log, w.event = true, true, &script{lines: []Line{{Text: panicText + ": x"}}}, event("SHUTDOWN", "guest-reset")
		}), Shutdown},
		{"another init, and a panic that resets", base(func(w *watch) {
			w.in.Marker, w.initAt, w.panicHit, w.event = "", now, now, event("SHUTDOWN", "guest-reset")
		}), Shutdown},
		{"power-off before init", base(func(w *watch) { w.event = event("SHUTDOWN", "guest-shutdown") }), Shutdown},
		{"reset", base(func(w *watch) { w.event = event("SHUTDOWN", "guest-reset") }), Shutdown},
		{"pvpanic", base(func(w *watch) { w.event = event("GUEST_PANICKED", "") }), Panicked},
		{"init's last words came with the power-off", base(func(w *watch) {
			w.in.Marker, w.in.Console, w.event = "x", silent{"x"}, event("SHUTDOWN", "guest-shutdown")
		}), Reached},
		{"panic still printing", base(func(w *watch) { w.panicAt = since(panicGrace / 2) }), 0},
		{"panic() was entered and says nothing", base(func(w *watch) { w.panicHit = since(mutePanic) }), Dead},
		{"a silent command in user space", base(func(w *watch) {
			w.marker, w.in.Linger, w.in.Machine, w.since.at = true, true, still{cpu: quietLimit}, since(quietLimit)
		}), 0},
		{"a workload that says nothing any more", base(func(w *watch) {
			w.marker, w.in.Linger, w.in.Talks, w.in.Machine, w.since.at = true, true, true, still{cpu: quietLimit}, since(quietLimit)
		}), Stuck},
		{"another init, in ring 3", base(func(w *watch) { w.in.Marker = ""; w.initAt, w.userAt = since(userGrace), since(userGrace) }), Reached},
		{"another init, that may be killed by its first instructions", base(func(w *watch) { w.in.Marker = ""; w.initAt, w.userAt = now, now }), 0},
		{"another init, just begun", base(func(w *watch) { w.in.Marker = ""; w.initAt = now }), 0},
		{"another init, at work for a while", base(func(w *watch) { w.in.Marker = ""; w.initAt = since(2 * initGrace) }), Reached},
		{"another init that could not be run", base(func(w *watch) { w.in.Marker = ""; w.initAt, w.panicAt = since(2*initGrace), now }), 0},
		{"panic", base(func(w *watch) { w.panicAt = since(panicGrace) }), Dead},
		{"out of time", base(func(w *watch) { w.start = since(2 * time.Minute) }), TimedOut},
		{"symbol reached", base(func(w *watch) { w.in.Until, w.reached = "start_kernel", true }), Reached},
		{"console reached", base(func(w *watch) { w.in.Until, w.bytes, w.placement = "console", 3, &guest.Placement{} }), Reached},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stop, over := tc.w.judge(now)
			if !over {
				stop.Kind = 0
			}
			if stop.Kind != tc.want {
				t.Errorf("judge = %v (%v), want kind %v", stop.Kind, stop, tc.want)
			}
		})
	}
}

// TestPace: what counts as progress, and what the samples come to.
func TestPace(t *testing.T) {
	w := &watch{in: Input{Machine: still{}, Console: silent{}, Ticks: func() (uint64, bool) { return 100, true }}, placement: &guest.Placement{}}
	w.progress()
	for range 30 {
		w.since.sample([]machine.CPUState{{Index: 0, RIP: 0x1000}, {Index: 1, Halted: true, RFLAGS: on}})
	}
	p := w.pace()
	if len(p.VCPUs) != 2 || p.VCPUs[0] != (VCPUPace{Running: 30, IRQsOff: 30}) || p.VCPUs[1] != (VCPUPace{CPU: 1, Halted: 30}) || p.Ticks != 0 {
		t.Errorf("pace = %+v", p)
	}
	if !w.since.typical([]machine.CPUState{{Index: 0}}) {
		t.Error("a vCPU that always has interrupts off is not taken as it stands")
	}
	for range 100 {
		w.since.sample([]machine.CPUState{{Index: 0, RIP: 0x1000, RFLAGS: on}})
	}
	if w.since.typical([]machine.CPUState{{Index: 0}}) {
		t.Error("a vCPU that mostly has interrupts on is taken in an interrupt")
	}
}

// TestWatchdogs: the reports of the kernel's own watchdogs are no progress; what comes after them is.
func TestWatchdogs(t *testing.T) {
	log := &script{lines: []Line{{Seq: 1, Text: "smp: Brought up 1 node"}}}
	w := &watch{in: Input{Machine: still{}, Console: silent{}}, log: log}
	look := func(want bool, why string) {
		t.Helper()
		before := time.Now()
		w.readLog()
		if got := !w.since.at.Before(before); got != want {
			t.Errorf("%s: progress %v, want %v", why, got, want)
		}
	}
	look(true, "a record")
	log.say("rcu: INFO: rcu_sched self-detected stall on CPU")
	look(false, "an RCU stall")
	log.say("Call Trace:")
	look(false, "its lines")
	log.say("hrtimer: interrupt took 41152248 ns")
	look(false, "an interrupt's aside")
	w.stall.report = time.Time{} // as after reportTime
	log.say("PCI: Using configuration type 1")
	look(true, "the next record")
	if w.stall.said != "rcu: INFO: rcu_sched self-detected stall on CPU" {
		t.Errorf("said %q", w.stall.said)
	}
	for _, text := range []string{"watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [swapper/0:1]", "INFO: task swapper/0:1 blocked for more than 120 seconds.",
		"BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!", "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:"} {
		if !isOne(text, watchdogs) {
			t.Errorf("%q is not known", text)
		}
	}
	for _, text := range []string{"rcu: Hierarchical RCU implementation.", "INFO: lockdep is turned off."} {
		if isOne(text, watchdogs) {
			t.Errorf("%q is taken for a watchdog's", text)
		}
	}
}

// script is a log that is written by a test.
type script struct{ lines []Line }

func (s *script) say(text string) {
	s.lines = append(s.lines, Line{Seq: s.lines[len(s.lines)-1].Seq + 1, Text: text})
}
func (s *script) Head() (uint64, error)      { return s.lines[len(s.lines)-1].Seq, nil }
func (s *script) Recent(int) ([]Line, error) { return s.lines, nil }

// TestTick: looks are rare only while breakpoints tell of a death and nothing is suspected.
func TestTick(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		w    watch
		want time.Duration
	}{
		{"no breakpoints yet", watch{}, tick}, {"calm", watch{inserted: true}, calmTick}, {"looks dead", watch{inserted: true, deadFor: 1}, tick},
		{"a breakpoint was hit", watch{inserted: true, sharpTo: now.Add(1)}, tick}, {"one rests", watch{inserted: true, resting: make([]resting, 1)}, tick},
		{"an observer's", watch{inserted: true, in: Input{Points: make([]Point, 1)}}, tick},
	} {
		if got := tt.w.tick(now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
