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
type still struct{ cpu time.Duration }

func (s still) CPUs(context.Context) ([]machine.CPUState, error) { return nil, nil }
func (s still) Events() <-chan machine.Event                     { return nil }
func (s still) Exited() <-chan struct{}                          { return nil }
func (s still) ExitError() error                                 { return nil }
func (s still) CPUTime() time.Duration                           { return s.cpu }

type silent struct{ said string }

func (s silent) Contains(text string) bool { return s.said != "" && text == s.said }
func (s silent) Bytes() int64              { return int64(len(s.said)) }

func TestJudges(t *testing.T) {
	now := time.Now()
	runs := []machine.CPUState{{RIP: 0xffffffff81000000, RFLAGS: on}}
	waits := []machine.CPUState{{RIP: 0xffffffff81000000, RFLAGS: on, Halted: true}}
	since := func(d time.Duration) time.Time { return now.Add(-d) }
	base := func(change func(w *watch)) *watch {
		w := &watch{
			in:    Input{Machine: still{}, Console: silent{}, Until: "init", Marker: "x", Timeout: 2 * time.Minute, Quiet: quietLimit},
			start: since(70 * time.Second), progressAt: since(time.Second), cpus: runs,
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
		{"a pause of 30 s, idle", base(func(w *watch) { w.cpus, w.progressAt = waits, since(31*time.Second) }), 0},
		{"a pause of 30 s, spinning", base(func(w *watch) {
			w.progressAt, w.in.Machine = since(31*time.Second), still{cpu: 31 * time.Second}
		}), 0},
		{"idle for good", base(func(w *watch) { w.cpus, w.progressAt = waits, since(quietLimit) }), Stuck},
		{"spinning for good", base(func(w *watch) {
			w.progressAt, w.in.Machine = since(quietLimit), still{cpu: quietLimit}
		}), Stuck},
		{"a slow boot on a loaded host", base(func(w *watch) {
			w.progressAt, w.in.Machine = since(quietLimit), still{cpu: quietLimit / 4}
		}), 0},
		{"halted for two samples", base(func(w *watch) { w.deadFor = deadPolls - 1 }), 0},
		{"halted for three", base(func(w *watch) { w.deadFor = deadPolls }), Dead},
		{"init spoke", base(func(w *watch) { w.marker = true }), Reached},
		{"init spoke and has more to do", base(func(w *watch) { w.marker, w.in.Linger = true, true }), 0},
		{"power-off after init", base(func(w *watch) {
			w.marker, w.in.Linger, w.event = true, true, event("SHUTDOWN", "guest-shutdown")
		}), Reached},
		{"power-off before init", base(func(w *watch) { w.event = event("SHUTDOWN", "guest-shutdown") }), Shutdown},
		{"reset", base(func(w *watch) { w.event = event("SHUTDOWN", "guest-reset") }), Shutdown},
		{"pvpanic", base(func(w *watch) { w.event = event("GUEST_PANICKED", "") }), Panicked},
		{"init's last words came with the power-off", base(func(w *watch) {
			w.in.Marker, w.in.Console, w.event = "x", silent{"x"}, event("SHUTDOWN", "guest-shutdown")
		}), Reached},
		{"panic still printing", base(func(w *watch) { w.panicAt = since(panicGrace / 2) }), 0},
		{"panic() was entered and says nothing", base(func(w *watch) { w.panicHit = since(mutePanic) }), Dead},
		{"a silent command in user space", base(func(w *watch) {
			w.marker, w.in.Linger, w.in.Machine, w.progressAt = true, true, still{cpu: quietLimit}, since(quietLimit)
		}), 0},
		{"another init, in ring 3", base(func(w *watch) { w.in.Marker = ""; w.initAt, w.user = now, true }), Reached},
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
