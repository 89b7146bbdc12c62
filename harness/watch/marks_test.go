package watch

import (
	"slices"
	"testing"
	"time"

	"kcatch/gdb/guest"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
)

// boots is a watch of a boot that began so long ago, as tests of its marks need it.
func boots(ago time.Duration) *watch {
	w := &watch{in: Input{Machine: still{}, Console: silent{}}, start: time.Now().Add(-ago)}
	w.marks.begin()
	return w
}

func stagesOf(marks []verdict.Mark) (names []string) {
	for _, m := range marks {
		names = append(names, m.Stage)
	}
	return names
}

// TestMarks: each stage is marked when a look first shows it, with the time since the look before; a sample of a vCPU high up is SeaBIOS,
// which has moved itself there, until the setup is in RAM; what is further back is no news.
func TestMarks(t *testing.T) {
	w := boots(time.Second)
	loaded, stage := false, verdict.Stage("")
	w.in.SetupLoaded, w.in.StageNow = func() bool { return loaded }, func() verdict.Stage { return stage }
	high := []machine.CPUState{{Index: 0, CS64: true, RIP: 0xffbe1234}}
	look := func() { w.markStage(); w.markSample(high) }
	look()
	loaded = true
	w.markStage()
	w.markSample([]machine.CPUState{{Index: 0, CSBase: machine.SetupStart, RIP: 0x300}})
	look() // in the decompressor now
	w.placement = &guest.Placement{}
	look()
	for _, s := range []verdict.Stage{verdict.EarlyIDT, verdict.StartKernel, verdict.EarlyIDT, verdict.Userspace, verdict.Init, "nonsense"} {
		stage = s
		look()
	}
	want := []string{"firmware", "setup", "decompressor", "startup_64", "early-idt", "start_kernel", "userspace", "end"}
	all := w.marks.all(w.ran(time.Since(w.start)))
	if got := stagesOf(all); !slices.Equal(got, want) {
		t.Fatalf("marks %q, want %q", got, want)
	}
	last := 0.0
	for _, m := range all {
		if m.Seconds < last || m.Within < 0 || m.Within > m.Seconds {
			t.Errorf("%+v after %v s", m, last)
		}
		last = m.Seconds
	}
	if len(verdict.Spans(all)) != 7 {
		t.Errorf("spans %+v", verdict.Spans(all))
	}
}

// TestMarksTellTheirPrecision: a host that did not look for half a second says so.
func TestMarksTellTheirPrecision(t *testing.T) {
	w := boots(time.Second)
	w.marks.looked = 500 * time.Millisecond
	w.in.SetupLoaded = func() bool { return true }
	w.markStage()
	if m := w.marks.seen[1]; m.Within < 0.5 || m.Within > 0.6 {
		t.Errorf("a look after half a second: %+v", m)
	}
	w.mark(verdict.MarkConsole) // seen by the same look
	if m := w.marks.seen[2]; m.Within < 0.5 || !m.Event {
		t.Errorf("an event of that look: %+v", m)
	}
}

// TestStandingIsNoBootTime: the time for which the machine stood at a breakpoint is none of a stage's.
func TestStandingIsNoBootTime(t *testing.T) {
	w := boots(3 * time.Second)
	w.marks.standAt = time.Now().Add(-2 * time.Second)
	if got := w.ran(time.Since(w.start)); got < 900*time.Millisecond || got > 1500*time.Millisecond {
		t.Errorf("stands for the last two of three seconds: has run %s", got)
	}
	w.goes()
	w.stands()
	w.goes()
	if got := w.ran(time.Since(w.start)); got < 900*time.Millisecond || got > 1500*time.Millisecond {
		t.Errorf("stood for two of three seconds: has run %s", got)
	}
}

// TestTell: each record is handed on once, in order, when it is complete; a burst between two looks is looked at whole.
func TestTell(t *testing.T) {
	w := boots(0)
	var got []uint64
	w.in.Heard = func(lines []Line, _, _ time.Duration) {
		for _, l := range lines {
			got = append(got, l.Seq)
		}
	}
	w.tell([]Line{{Seq: 0}, {Seq: 1}, {Seq: 2, Open: true}, {Seq: 3}})
	w.tell([]Line{{Seq: 1}, {Seq: 2}, {Seq: 3}})
	w.tell([]Line{{Seq: 3}})
	w.tell([]Line{{Seq: 9}}) // those between were written over
	if want := []uint64{0, 1, 2, 3, 9}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	for grown, want := range map[uint64]int{1: someRecords + 1, 5000: someRecords + 5000, mostRecords + 1: someRecords, ^uint64(0): someRecords} {
		if got := recent(grown); got != want {
			t.Errorf("after %d new records, %d are read, want %d", grown, got, want)
		}
	}
}
