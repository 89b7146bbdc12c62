package watch

import (
	"cmp"
	"slices"
	"time"

	"kcatch/harness/machine"
	"kcatch/harness/verdict"
)

// marks are the stages as they were seen to begin. They cost nothing but reads of RAM that is mapped, and of what is sampled anyway.
//
// What tells a stage, from its first moment on:
//
//	setup         QEMU's option ROM has put the setup's header to where it will run (Input.SetupLoaded)
//	decompressor  a vCPU executes above the first MiB after that, in a sample of every 20 ms. (SeaBIOS does before: it moves itself there.)
//	startup_64    the kernel is in its place (Input.Locate gives a settled placement)
//	later ones    the kernel's variables (Input.StageNow)
//
// Only what a look shows is marked: two stages that have passed between two looks are one.
type marks struct {
	seen   []verdict.Mark
	at     int           // of the last stage in verdict.Stages
	looked time.Duration // at RAM, the last time
	before time.Duration // and the time before that
	polled time.Duration // the vCPUs, the last time

	stood   time.Duration // for which the machine has stood for us
	standAt time.Time     // since when it stands; zero while it runs
}

func (m *marks) begin() { m.seen = []verdict.Mark{{Stage: string(verdict.Firmware)}} }

// all are the marks in order of time, with the end.
func (m *marks) all(end time.Duration) []verdict.Mark {
	out := append(slices.Clone(m.seen), verdict.Mark{Stage: verdict.MarkEnd, Seconds: end.Seconds(), Within: max(end-m.looked, 0).Seconds(), Event: true})
	slices.SortStableFunc(out, func(a, b verdict.Mark) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return out
}

// ran is how long the machine has run of a time since it was let go.
func (w *watch) ran(since time.Duration) time.Duration {
	stood := w.marks.stood
	if at := w.marks.standAt; !at.IsZero() {
		stood += w.start.Add(since).Sub(at)
	}
	return max(since-stood, 0)
}

// stands and goes bound a time for which the machine does not run because of us.
func (w *watch) stands() {
	if w.marks.standAt.IsZero() {
		w.marks.standAt = time.Now()
	}
}

func (w *watch) goes() {
	if at := w.marks.standAt; !at.IsZero() {
		w.marks.stood, w.marks.standAt = w.marks.stood+time.Since(at), time.Time{}
	}
}

// mark marks an event that has just been seen.
func (w *watch) mark(event string) {
	now := w.ran(time.Since(w.start))
	w.marks.seen = append(w.marks.seen, verdict.Mark{Stage: event, Seconds: now.Seconds(), Within: (now - w.marks.before).Seconds(), Event: true})
}

// markStage looks at RAM.
func (w *watch) markStage() {
	now := w.ran(time.Since(w.start))
	stage := verdict.Stage("")
	switch {
	case w.placement != nil:
		stage = verdict.Startup64
		if w.in.StageNow != nil && w.marks.at < slices.Index(verdict.Stages(), verdict.Userspace) {
			stage = cmp.Or(w.in.StageNow(), stage)
		}
	case w.in.SetupLoaded != nil && w.marks.at == 0 && w.in.SetupLoaded():
		stage = verdict.Setup
	}
	w.marks.stage(stage, now, now-w.marks.looked)
	w.marks.before, w.marks.looked = w.marks.looked, now
}

// markSample looks at the vCPUs' registers, for what RAM does not tell.
func (w *watch) markSample(cpus []machine.CPUState) {
	now := w.ran(time.Since(w.start))
	if w.placement == nil && w.marks.at > 0 && slices.ContainsFunc(cpus, func(c machine.CPUState) bool { return c.PC() >= firmwareEnd }) {
		w.marks.stage(verdict.Decompressor, now, now-w.marks.polled)
	}
	w.marks.polled = now
}

// stage marks a stage that is further than the last.
func (m *marks) stage(s verdict.Stage, now, within time.Duration) {
	i := slices.Index(verdict.Stages(), s)
	if i <= m.at {
		return
	}
	m.at = i
	if last := m.seen[len(m.seen)-1]; !last.Event { // no stage begins before the one before it was seen to have begun
		within = min(within, now-time.Duration(last.Seconds*float64(time.Second)))
	}
	m.seen = append(m.seen, verdict.Mark{Stage: string(s), Seconds: now.Seconds(), Within: max(within, 0).Seconds()})
}
