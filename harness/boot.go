package harness

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"kcatch/gdb/decompressor"
	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/rsp"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/timeline"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// BuildRequest says what to build; see kernels.Request.
type BuildRequest = kernels.Request

// Boot builds a kernel if the plan says so, boots it, and says how that ended. An error means that there is no verdict
// on the kernel; blame.Of tells whose fault it is. However it ends, QEMU has ended, and the artifacts stay.
func Boot(ctx context.Context, plan Plan, p Progress) (verdict.Result, error) {
	b := &boot{plan: plan.whole(), progress: p}
	if err := b.build(ctx); err != nil {
		return verdict.Result{}, err
	}
	return b.run(ctx)
}

// run boots what has been built, and once more when the host may have been the death of it, or KVM failed.
func (b *boot) run(ctx context.Context) (verdict.Result, error) {
	r, err := b.once(ctx)
	switch {
	case b.kvmFailed(err) && ctx.Err() == nil:
		return b.withoutKVM(ctx, err)
	case errors.Is(err, errDoubtful):
		return b.confirm(ctx)
	case !errors.Is(err, errStarved):
		return r, err
	}
	b.progress.say("the kernel panicked: " + starvedPanic + " A host that is too busy does that to a good one; booting once more")
	again := b.anew()
	again.again = true
	return again.once(ctx)
}

// once boots what has been built.
func (b *boot) once(ctx context.Context) (verdict.Result, error) {
	if err := b.openArtifacts(); err != nil {
		return verdict.Result{}, err
	}
	defer b.artifacts.release()
	if err := b.initramfs(ctx); err != nil {
		return verdict.Result{}, err
	}
	defer b.close()
	defer b.observed()
	if err := b.start(ctx); err != nil {
		return verdict.Result{}, b.ended(err)
	}
	stop, err := b.watch(ctx)
	if err != nil {
		return verdict.Result{}, b.ended(err)
	}
	return b.examine(ctx, stop)
}

// boot is a journey under way: what the stages have made so far.
type boot struct {
	plan     Plan
	progress Progress

	built     kernels.Build
	buildTime time.Duration
	artifacts artifacts
	marker    string
	initrd    string

	kernel  *kernel.Kernel // nil without a vmlinux, and until the bzImage is unpacked in its stead
	shelved bool           // it is the shelf's
	ahead   sync.WaitGroup // what reads ahead in it
	machine *machine.Machine
	stub    *rsp.Client
	ram     *guest.RAM
	place   *guest.Placement
	accel   machine.Accel

	unpacking *unpacking // nil when there is none under way
	unpackErr error      // why the bzImage gave no kernel

	decompressor *decompressor.Image // opened when a boot ends before the kernel was found
	setup        decompressor.Setup

	first     *autopsy.Evidence // the machine at its first oops or panic
	coreErr   error             // of the core that was written then
	coreState *coreState        // in that core
	warned    []autopsy.Chain   // the vCPU at each of the first WARNs
	warns     int               // that were passed
	points    []watch.Point     // of the plan's observer
	over      bool              // it has been told so
	intLog    string            // QEMU's log of exceptions; empty: none
	logThin   bool              // it has only triple faults and resets any more
	logCut    bool              // not even those
	again     bool              // it is the second boot, see starved
	note      string            // about an earlier boot, for the result
	doubt     verdict.Result    // see doubtful

	chosenBy accelerators // nil: a machine.Chooser

	helperErr error // why the workload has no helper

	initcalls timeline.Initcalls // as the log has them

	exact *exact // it is a deterministic one, see WhoWrote; nil as a rule

	searchModules sync.Once // of moduleIndex: the .ko files by the names of their modules
	moduleIndex   map[string][]kernel.ModuleFile
}

// build makes the kernel, and points the plan at it.
func (b *boot) build(ctx context.Context) error {
	if b.plan.Build == nil {
		return nil
	}
	start := time.Now()
	var last kernels.Progress
	builder := kernels.Builder{Cache: b.plan.Cache, Progress: func(p kernels.Progress) {
		current := string(p.Stage)
		if p.Stage != last.Stage || p.Done == 0 && p.Note != last.Note {
			b.progress.stage(current, p.Note)
		}
		last = p
		if p.Done > 0 {
			b.progress.step(current, p.Done, p.Total)
		}
	}}
	built, err := builder.Build(ctx, *b.plan.Build)
	if err != nil {
		return err
	}
	b.built, b.buildTime = built, time.Since(start)
	b.plan.Kernel, b.plan.Vmlinux, b.plan.BootVmlinux = built.BzImage, built.Vmlinux, built.BootVmlinux
	return nil
}

// initramfs writes our own guest root, unless the plan brings one or wants none.
func (b *boot) initramfs(ctx context.Context) error {
	if b.initrd != "" { // of the boot before, which this one repeats
		return nil
	}
	switch b.plan.Initrd {
	case "none":
		return nil
	case "":
	default:
		b.initrd = b.plan.Initrd
		return nil
	}
	busybox, err := images.FindBusybox()
	if err != nil {
		return err
	}
	b.marker = images.NewMarker()
	helper, err := b.helper(ctx)
	if err != nil {
		return err
	}
	data, err := images.Build(images.Spec{Busybox: busybox, Marker: b.marker, Run: b.plan.Run, Workload: b.plan.Workload, Helper: helper,
		Checks: checkImages(b.plan.Checks)})
	if err != nil {
		return err
	}
	if b.plan.Modules != "" {
		modules, err := b.modules()
		if err != nil {
			return err
		}
		data = append(data, modules...) // the kernel reads one archive after the other
	}
	b.initrd, err = b.artifacts.write("initrd.cpio", data)
	return err
}

// start brings up QEMU, stopped before its first instruction, and opens the vmlinux meanwhile.
func (b *boot) start(ctx context.Context) error {
	if b.plan.Vmlinux == "" {
		b.unpacking = unpack(b.plan.Kernel)
		b.adopt(untilSymbol(b.plan)) // a symbol must be watched for from the first instruction on
		return b.startMachine(ctx)
	}
	opened := make(chan error, 1)
	go func() {
		var err error
		b.kernel, err = b.openKernel()
		if b.built.Key == "" {
			b.built = b.plan.known() // one of ours has its source
		}
		if err == nil && (b.plan.Build != nil || b.plan.built != nil) { // before a build there was no symbol to ask for
			err = checkUntil(b.plan, b.kernel)
		}
		if err == nil {
			err = b.observe()
		}
		opened <- err
	}()
	err := b.startMachine(ctx)
	if oerr := <-opened; oerr != nil {
		return oerr
	}
	return err
}

// watch lets the machine go until the boot is over.
func (b *boot) watch(ctx context.Context) (watch.Stop, error) {
	in := watch.Input{
		Machine: b.machine, Stub: b.stub, Console: b.machine.Console(), Locate: b.locate, OpenLog: b.openLog,
		Until: b.plan.Until, FewPoints: b.accel == machine.KVM, Timeout: b.plan.Timeout, Quiet: b.plan.Quiet, Passed: b.passed,
		Ticks: b.ticks, Heard: b.heard, SetupLoaded: b.setupLoaded, StageNow: b.stageNow(), Early: b.endExceptionLog, Points: b.points,
	}
	talks := b.plan.Workload != "" || len(b.plan.Checks) > 0
	in.Linger, in.Talks = talks || b.plan.Run != "", talks && b.plan.Run == ""
	if b.kernel != nil {
		in.Symbols = b.kernel
		if !b.shelved {
			b.kernel.Warm() // while the guest boots
		}
	} else {
		in.LateSymbols = func() watch.Symbols { return b.kernel }
	}
	if b.marker != "" {
		in.Marker = images.MarkerLine(b.marker)
	}
	if b.exact != nil {
		b.exact.watch(b, &in)
	}
	began := time.Now()
	stop, err := watch.Wait(ctx, in)
	if err != nil && b.plan.Hold != nil {
		return b.heldAt(ctx, err, began)
	}
	return stop, err
}

// locate finds the kernel in RAM once it is settled there.
func (b *boot) locate() *guest.Placement {
	b.adopt(false)
	if b.kernel == nil {
		return nil
	}
	p, m := b.kernel.Find(b.ram)
	if m != guest.SameBuild || !p.Settled {
		return nil
	}
	b.place = &p
	return &p
}

func (b *boot) openLog(p guest.Placement) watch.Log {
	mem := b.kernel.Memory(b.ram, p)
	if _, ok := b.kernel.LogNow(mem, p); !ok {
		return nil
	}
	return logWatch{func() linux.Ring {
		ring, _ := b.kernel.LogNow(mem, p)
		return ring
	}}
}

// ticks is jiffies_64 (kernel/time/timer.c), which each timer tick adds to.
func (b *boot) ticks() (uint64, bool) {
	if b.place == nil {
		return 0, false
	}
	sym, ok := b.kernel.Symbol("jiffies_64")
	if !ok {
		return 0, false
	}
	var v [8]byte
	_, err := b.kernel.Memory(b.ram, *b.place).ReadMemory(v[:], b.place.Run(uint64(sym.Addr)))
	return binary.LittleEndian.Uint64(v[:]), err == nil
}

// examine asks what died, where and why, and completes the result.
func (b *boot) examine(ctx context.Context, stop watch.Stop) (verdict.Result, error) {
	if stop.Kind == watch.Reached {
		b.progress.stage("reached", b.plan.Until)
	} else {
		b.progress.stage("caught", stop.String())
	}
	begin := time.Now()
	b.adopt(true)
	if b.place == nil && b.kernel != nil {
		// A death while the kernel is being started: what is known of its place is better than nothing.
		if p, m := b.kernel.Find(b.ram); m == guest.SameBuild {
			b.place = &p
		}
	}
	if err := b.passedUnseen(stop); err != nil {
		return verdict.Result{}, err
	}
	if b.place == nil {
		if err := b.checkBuild(); err != nil {
			return verdict.Result{}, err
		}
		if err := b.openDecompressor(); err != nil {
			return verdict.Result{}, err
		}
	}
	b.observed()
	scene := b.scene(stop)
	r, err := scene.Examine(ctx)
	if err != nil {
		return verdict.Result{}, b.ended(unheard("examine", err))
	}
	b.complete(&r, &stop)
	if b.note != "" {
		r.Notes = append(r.Notes, b.note)
	}
	if b.exact != nil {
		b.exact.examined(&scene, &r)
	}
	switch {
	case b.again:
		r.Notes = append(r.Notes, starvedNote)
	case b.doubtful(&r):
		b.doubt = r
		return verdict.Result{}, errors.Join(errDoubtful, b.dropArtifacts())
	case b.starved(&r):
		return verdict.Result{}, errors.Join(errStarved, b.dropArtifacts())
	}
	b.name(&r)
	r.Timing.Examine = time.Since(begin).Seconds()
	b.progress.verdict(&r)
	err = errors.Join(b.save(&r), b.keepCore(&r, &scene))
	if err == nil && b.plan.Hold != nil {
		err = b.handOver(ctx, &r, &scene)
	}
	return r, err
}

// scene is the machine as the autopsy sees it.
func (b *boot) scene(stop watch.Stop) autopsy.Scene {
	return autopsy.Scene{
		Stop: stop, Stub: b.stub, RAM: b.ram, Kernel: b.kernel, Placement: b.place, Boot: b.decompressor, Setup: b.setup,
		First: b.first, Warned: b.warned, Warns: b.warns, Console: string(b.machine.Console().Tail(consoleTail)),
		Source: b.source, Patched: b.patched, FailOn: b.plan.FailOn, Values: b.plan.Values, Exceptions: b.exceptions(), ModuleFiles: b.moduleFiles,
	}
}

// consoleTail is how much of the end of the serial line is looked through, in bytes.
const consoleTail = 4 << 10

// openDecompressor opens the ELF of the bzImage's own program, if there is one.
func (b *boot) openDecompressor() error {
	if b.plan.BootVmlinux == "" || b.plan.Kernel == "" {
		return nil
	}
	image, err := kernels.ReadBzImage(b.plan.Kernel)
	if err != nil {
		return err
	}
	b.setup = decompressor.Setup{Alignment: uint64(image.Alignment), PrefAddress: image.PrefAddress, InitSize: uint64(image.InitSize)}
	return b.openBootVmlinux()
}

func (b *boot) openBootVmlinux() (err error) {
	b.decompressor, err = decompressor.Open(b.plan.BootVmlinux)
	return err
}

// maxWarned bounds how many WARNs are unwound; the log has them all.
const maxWarned = 32

// passed looks at a machine that stands at a breakpoint: the first death is kept as it was at its moment, because the
// stack may be gone later, and so is every WARN.
func (b *boot) passed(ctx context.Context, h watch.Hit) error {
	if b.exact != nil {
		b.exact.passed(b, h)
	}
	switch h.Symbol {
	case "early_fixup_exception": // it goes on to its halt, as a rule; the files that its chain needs are read meanwhile
		scene := b.scene(watch.Stop{})
		b.ahead.Go(func() { scene.Rehearse(h.CPU, h.Regs) })
	case "oops_begin", "panic":
		if b.first != nil {
			return nil
		}
		scene := b.scene(watch.Stop{})
		e, err := scene.Gather(ctx)
		if err != nil {
			return unheard("examine", err)
		}
		e.Moment = scene.Moment(h.After)
		b.first = e
		scene.Stop.After = h.After
		b.coreErr = b.saveCore(&scene, true) // now, while the stacks are whole; said when the boot is over
		if b.plan.Hold != nil {
			return errDeath
		}
	case "__warn":
		if b.warns++; b.plan.Observer == nil && len(b.warned) < maxWarned {
			scene := b.scene(watch.Stop{})
			b.warned = append(b.warned, scene.WarnedOf(h))
		}
	}
	return nil
}

// close ends the machine. It runs on every way out, a panic of ours included.
func (b *boot) close() {
	if b.stub != nil {
		_ = b.stub.Close() // QEMU ends in any case
	}
	if b.machine != nil {
		_ = b.machine.Close()
		b.progress.ended(b.machine.Life())
	}
	if b.ram != nil {
		_ = b.ram.Close()
	}
	b.adopt(true)
	b.closeKernel()
	if b.decompressor != nil {
		_ = b.decompressor.Close()
	}
}

// unheard makes an infrastructure error of an answer that did not come or was nonsense, unless it says more itself.
func unheard(stage string, err error) error {
	if blame.Of(err) != blame.Unknown || errors.Is(err, context.Canceled) {
		return err
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: stage + ": the machine does not answer as QEMU does: " + err.Error(), Err: err}
}

// ended puts QEMU's own end in the place of an error that comes of it, such as a connection that was reset: that says more. What
// QEMU says of an internal error is added to that.
func (b *boot) ended(err error) error {
	if err == nil || b.machine == nil || blame.Of(err) != blame.Infrastructure {
		return err
	}
	select {
	case <-b.machine.Exited():
		return b.machine.ExitError()
	case <-time.After(endGrace): // its sockets close before it is gone
	}
	if words := b.machine.Complaint(); errors.Is(err, watch.ErrInternal) && words != "" {
		return &blame.Error{Kind: blame.Infrastructure, Msg: err.Error() + ": " + words, Detail: b.machine.Output(), Err: err}
	}
	return err
}

const endGrace = 300 * time.Millisecond
