package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/rsp"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Machine is what the watch asks of QEMU. *machine.Machine satisfies it.
type Machine interface {
	CPUs(ctx context.Context) ([]machine.CPUState, error)
	Events() <-chan machine.Event
	Exited() <-chan struct{}
	ExitError() error
	CPUTime() time.Duration
	RAMUsed() int64 // bytes of guest memory that have ever been written to
}

// Stub is what the watch asks of the GDB stub. *rsp.Client satisfies it.
type Stub interface {
	Insert(ctx context.Context, b rsp.Breakpoint) error
	Remove(ctx context.Context, b rsp.Breakpoint) error
	Continue(ctx context.Context) error
	Interrupt(ctx context.Context) (rsp.Stop, error)
	Stood(ctx context.Context) (rsp.Stop, error)
	StepOver(ctx context.Context, t rsp.Thread) (rsp.Stop, error)
	Registers(ctx context.Context, t rsp.Thread) (amd64.Registers, error)
	Stops() <-chan rsp.Stop
	Running() bool
	RunError() error // why it does not run although no stop came
}

// Console is what the watch asks of the serial line.
type Console interface {
	Contains(text string) bool // whether text has appeared since the start
	Bytes() int64              // received so far
}

// Log is what the watch asks of the printk ring; it may be read while the guest runs.
type Log interface {
	Head() (uint64, error) // grows with every record
	// Recent are the newest records, oldest first: n, or a few more. Records that were written over are left out.
	Recent(n int) ([]Line, error)
}

// Line is a record of the log. The last one may still grow.
type Line struct {
	Seq  uint64
	Text string
	User bool          // written by user space, through /dev/kmsg
	Time time.Duration // the kernel's own stamp; 0 before its clock works
	Open bool          // it may still grow
}

// Symbols resolves names to link addresses. *kernel.Kernel satisfies it.
type Symbols interface {
	Symbol(name string) (vmlinux.Symbol, bool)
	CallSite(from, to string) (vmlinux.Addr, bool) // of the call or jump in function from to the entry of function to
}

// Input is a machine at its first instruction, and what to wait for.
type Input struct {
	Machine Machine
	Stub    Stub
	Console Console
	// Symbols is nil when there is no vmlinux: then nothing but the console and the vCPUs' state is watched.
	Symbols Symbols
	// LateSymbols gives them once Locate has found the kernel, where they take time to be read; it may give nil.
	LateSymbols func() Symbols
	// Locate finds the kernel in the guest's RAM, or returns nil; it costs about 0.1 ms and is asked until it succeeds.
	Locate func() *guest.Placement
	// OpenLog is called once, when the kernel's place is known; nil when the kernel has no log that can be read.
	OpenLog func(guest.Placement) Log
	// Ticks is the kernel's count of timer ticks, once its place is known; nil when it cannot be told.
	Ticks func() (uint64, bool)
	// SetupLoaded reports whether the firmware has put the real-mode setup of a bzImage into RAM, and StageNow how far the kernel
	// itself is by its memory, once it is in its place; "" is not known. Both are asked at every tick and cost microseconds; may
	// be nil. They make the marks.
	SetupLoaded func() bool
	StageNow    func() verdict.Stage
	// Heard is told of every record of the log, once and in their order, when it is complete; may be nil. They came between two
	// looks, at before and now by the clock of the marks.
	Heard func(lines []Line, before, now time.Duration)
	// Early is shown every sample of the vCPUs until it says that it has seen enough; may be nil.
	Early func(context.Context, []machine.CPUState) (enough bool)
	// Passed is told of every breakpoint that is hit, while the machine stands at it; it may read the machine.
	Passed func(ctx context.Context, h Hit) error
	// Points are more places to break at, from the first instruction of the kernel's C code on. They need Symbols, and are not
	// to be had with FewPoints.
	Points []Point
	// Breaks are breakpoints at run-time addresses that stand from power-on, and Broken is told of each stop at one, before the
	// instruction. Not for KVM, which has four and needs them elsewhere.
	Breaks []uint64
	Broken func(cpu int, regs amd64.Registers) Next
	// Watched are write watchpoints (rsp.WriteWatch) that stand from power-on, and Written is told of each write to one; see
	// [Write]. TCG takes any number of them, at addresses that are not mapped yet too.
	Watched []rsp.Breakpoint
	Written func(ctx context.Context, w Write) (Next, error)
	// Rewatch is asked for all watchpoints after a Written that gave Moved.
	Rewatch func() []rsp.Breakpoint
	// Rearmed is told when a watchpoint that rested is in again.
	Rearmed func(addr uint64)
	// FewPoints says that the stub takes four breakpoints and no more (KVM).
	FewPoints bool
	// Until is init, console or the name of a symbol.
	Until string
	// Marker is the text that our init prints. With Linger the boot goes on after it, to the guest's own shutdown.
	// Without a marker (another init) the kernel's own word and a vCPU in ring 3 must do.
	Marker string
	Linger bool
	// Talks says that what the guest runs after the marker writes to the log more often than Quiet: silence is a hang there too.
	Talks   bool
	Timeout time.Duration
	// Quiet is how long a boot may show no progress before it is a hang; zero is the default of 48 s.
	Quiet time.Duration
}

// The watch's own timing. Each is a bound on how late it is, never on how slow a kernel may be.
const (
	tick       = 2 * time.Millisecond  // RAM is looked at
	calmTick   = 5 * time.Millisecond  // the same, once breakpoints stand where a kernel dies: less to be woken for
	poll       = 20 * time.Millisecond // vCPUs are looked at
	fastPoll   = 1 * time.Millisecond  // the same, once one looks dead: at every tick
	gulp       = 5 * time.Millisecond  // the serial line is read in gulps, each at most so late
	sharp      = 100 * time.Millisecond
	maxHits    = 256              // a breakpoint hit more often than this is taken out
	stopGrace  = 2 * time.Second  // for the stub to say that a frozen machine stands still
	eventGrace = 10 * time.Second // for QMP to say why; both come from one thread of QEMU's
	panicGrace = 300 * time.Millisecond
	mutePanic  = 2 * time.Second // for a panic whose text does not come (no CONFIG_PRINTK)
	initGrace  = 2 * time.Second // without a marker: init that is run and does not panic by then has started
	// userGrace is the same of an init that was seen in ring 3: one that is killed by its first instructions is no living one.
	userGrace = 500 * time.Millisecond
	// quietLimit: no progress for this long is a hang. It is longer than a pause of 30 s and shorter than a minute.
	quietLimit = 48 * time.Second
)

// Wait lets the machine go and returns when the boot is over, with the machine stopped. The error, if any, is of our own
// world (QEMU gone, a silent socket, a cancelled context); then there is no verdict on the kernel.
func Wait(ctx context.Context, in Input) (Stop, error) {
	if in.Quiet == 0 {
		in.Quiet = quietLimit
	}
	w := &watch{in: in, points: append(points(in.Symbols, in.Until, in.FewPoints), others(in.Symbols, in.Until, in.Points)...)}
	if slices.ContainsFunc(w.points, func(p point) bool { return p.early() }) { // it may be among the first things
		put := w.scatter
		if in.FewPoints { // at least where it is without KASLR
			put = func(ctx context.Context) error { return w.place(ctx, 0, all) }
		}
		if err := put(ctx); err != nil {
			return Stop{}, err
		}
		w.scattered, w.inserted = !in.FewPoints, in.FewPoints
	}
	for _, at := range in.Breaks {
		if err := in.Stub.Insert(ctx, breakAt(at)); err != nil {
			return Stop{}, lost(err)
		}
	}
	for _, b := range in.Watched {
		if err := in.Stub.Insert(ctx, b); err != nil {
			return Stop{}, lost(err)
		}
	}
	if err := in.Stub.Continue(ctx); err != nil {
		return Stop{}, lost(err)
	}
	w.start = time.Now()
	w.marks.begin()
	w.progress()
	stop, err := w.run(ctx)
	if err != nil {
		return Stop{}, err
	}
	stop.Pace = w.pace()
	if err := w.standStill(ctx, stop.Kind); err != nil {
		return Stop{}, err
	}
	stop.After = time.Since(w.start)
	w.lastWords()
	if cpus, err := in.Machine.CPUs(ctx); err == nil {
		stop.CPUs = cpus
	}
	w.locate()
	stop.Until, stop.Limit = in.Until, in.Timeout
	stop.Asleep = w.asleep()
	stop.Placement, stop.Hits, stop.Marks, stop.Marker = w.placement, w.hits, w.marks.all(w.ran(stop.After)), w.marker
	return stop, nil
}

// watch is what has been seen so far.
type watch struct {
	in     Input
	points []point
	start  time.Time

	marks marks

	placement *guest.Placement
	inserted  bool   // the points are in the stub
	scattered bool   // the points that spread are, for every slide
	slide     uint64 // at which they were inserted
	log       Log
	logHead   uint64
	logFirst  uint64 // logHead when the log was found
	logReads  bool   // its records could be read the last time

	cpus     []machine.CPUState
	polledAt time.Time
	deadFor  int       // polls in a row in which every vCPU of the kernel was halted for good
	sharpTo  time.Time // until then vCPUs are polled quickly

	bytes   int64
	since   pace // what was seen since the last sign of progress
	lastSeq uint64
	told    uint64 // the first record that Heard has not been told of
	stall   stall

	hits     []Hit
	reached  bool // the --until symbol was hit
	marker   bool
	panicAt  time.Time // when the panic's text was first seen
	panicHit time.Time // when panic() was entered
	initAt   time.Time // when the kernel said that it runs init; watched for without a marker only
	userAt   time.Time // when a vCPU was first seen in ring 3 after that
	event    *machine.Event
	frozen   rsp.Stop // the last stop that is no breakpoint's, while the machine stands at it
	frozenAt time.Time
	resting  []resting
	pausedAt time.Time // when QMP said that the machine stands, and it has not said since that it goes on
	asleepAt time.Time // when QMP said that the guest is suspended to RAM, and it has not said since that it woke up
}

// run waits until a judge finds that the boot is over.
func (w *watch) run(ctx context.Context) (Stop, error) {
	every := tick
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return Stop{}, context.Cause(ctx)
		case <-w.in.Machine.Exited():
			return Stop{}, w.in.Machine.ExitError()
		case e, ok := <-w.in.Machine.Events():
			if !ok {
				return Stop{}, w.connectionLost("QMP")
			}
			w.event = telling(w.event, e)
			w.follow(e, time.Now())
		case s, ok := <-w.in.Stub.Stops():
			if !ok {
				return Stop{}, w.connectionLost("its gdb stub")
			}
			if err := w.stopped(ctx, s); err != nil {
				return Stop{}, err
			}
		case <-ticker.C:
			if err := w.look(ctx); err != nil {
				return Stop{}, err
			}
			if next := w.tick(time.Now()); next != every {
				every = next
				ticker.Reset(every)
			}
		}
		if stop, over := w.judge(time.Now()); over {
			return stop, nil
		}
	}
}

// tick is the time to the next look.
func (w *watch) tick(now time.Time) time.Duration {
	if !w.inserted || w.deadFor > 0 || now.Before(w.sharpTo) || len(w.resting) > 0 || len(w.in.Points) > 0 {
		return tick
	}
	return calmTick
}

// telling keeps the first event that can end a boot.
func telling(have *machine.Event, e machine.Event) *machine.Event {
	if have != nil {
		return have
	}
	switch e.Name {
	case "SHUTDOWN", "GUEST_PANICKED":
		return &e
	}
	return nil
}

// follow keeps account of whether the machine stands, by QMP's word. Each breakpoint and each step is a STOP and a RESUME.
func (w *watch) follow(e machine.Event, now time.Time) {
	switch e.Name {
	case "STOP":
		w.pausedAt = now
	case "RESUME":
		w.pausedAt = time.Time{}
	case "SUSPEND":
		w.asleepAt = now
		w.progress()
	case "WAKEUP":
		w.asleepAt = time.Time{}
		w.progress()
	}
}

// asleep reports whether the guest is suspended to RAM (ACPI's S3): it stands, without a stop, until a device wakes it.
func (w *watch) asleep() bool { return !w.asleepAt.IsZero() }

// look takes the samples that are due.
func (w *watch) look(ctx context.Context) error {
	if !w.in.Stub.Running() {
		return w.standing(time.Now())
	}
	if w.event == nil && !w.pausedAt.IsZero() && time.Since(w.pausedAt) >= eventGrace {
		return blame.New(blame.Infrastructure, "watch: QEMU has stopped the machine, and its gdb stub does not say so", "")
	}
	w.locate()
	w.markStage()
	w.readLog()
	w.readConsole()
	if w.asleep() { // its vCPUs do nothing, and its stub cannot stop them
		return nil
	}
	if w.placement != nil && (w.inserted || w.scattered || w.others() || w.begun()) {
		if err := w.arm(ctx); err != nil {
			return err
		}
	}
	if err := w.rearm(ctx, time.Now()); err != nil {
		return err
	}
	every := poll
	if w.deadFor > 0 || time.Now().Before(w.sharpTo) {
		every = fastPoll
	}
	if time.Since(w.polledAt) < every {
		return nil
	}
	cpus, err := w.in.Machine.CPUs(ctx)
	if err != nil {
		if w.gone() {
			return w.in.Machine.ExitError()
		}
		return lost(err)
	}
	w.markSample(cpus)
	w.cpus, w.polledAt = cpus, time.Now()
	for _, c := range cpus {
		if w.userAt.IsZero() && !w.initAt.IsZero() && c.CPL == 3 {
			w.userAt = w.polledAt
		}
	}
	if w.in.Early != nil && w.in.Early(ctx, cpus) {
		w.in.Early = nil
	}
	w.since.sample(cpus)
	if w.in.Machine.RAMUsed() >= w.since.ram+newMemory {
		w.progress()
	}
	if allHaltedForGood(cpus) {
		w.deadFor++
	} else {
		w.deadFor = 0
	}
	return nil
}

// locate looks for the kernel in RAM, until it is found.
func (w *watch) locate() {
	if w.placement != nil || w.in.Locate == nil {
		return
	}
	p := w.in.Locate()
	if p == nil {
		return
	}
	w.placement = p
	if w.in.Symbols == nil && w.in.LateSymbols != nil {
		w.in.Symbols = w.in.LateSymbols()
		w.points = points(w.in.Symbols, w.in.Until, w.in.FewPoints)
	}
	if w.in.OpenLog != nil {
		if w.log = w.in.OpenLog(*p); w.log != nil {
			w.logFirst, _ = w.log.Head() // an error shows again at the next look
		}
	}
}

// ErrInternal: the accelerator could not go on. Only KVM does that (QEMU: kvm_cpu_exec, RUN_STATE_INTERNAL_ERROR).
var ErrInternal = errors.New("QEMU stopped the machine with an internal error")

func lost(err error) error {
	if blame.Of(err) != blame.Unknown {
		return err
	}
	msg := "watch: QEMU does not answer: "
	if refused := (*rsp.StubError)(nil); errors.As(err, &refused) {
		msg = "watch: QEMU refuses: "
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: msg + err.Error(), Err: err}
}
