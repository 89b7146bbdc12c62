package harness

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kcatch/gdb/rsp"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/internal/blame"
)

// kvmFailed reports whether err is of KVM's doing: QEMU complains of it, stops the machine because KVM gave up (an instruction
// that it cannot emulate, an entry that failed), or its stub refuses what the CPU's debug registers are for, or does not get it
// done. A kernel may be the reason too, when it jumps where KVM cannot follow; TCG tells.
func (b *boot) kvmFailed(err error) bool {
	if err == nil || b.accel != machine.KVM || blame.Of(err) != blame.Infrastructure {
		return false
	}
	var refused *rsp.StubError
	return errors.As(err, &refused) || errors.Is(err, rsp.ErrUnsupported) || errors.Is(err, rsp.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, watch.ErrInternal) || machine.OfKVM(err)
}

// withoutKVM is the boot once more under TCG, after KVM that was our own choice failed; that is remembered for the next one. KVM
// that was asked for is what the user gets, with a hint.
func (b *boot) withoutKVM(ctx context.Context, failed error) (verdict.Result, error) {
	if machine.Accel(b.plan.Accel) == machine.KVM {
		if blame.Hint(failed) != "" {
			return verdict.Result{}, failed
		}
		return verdict.Result{}, &blame.Error{Kind: blame.Infrastructure, Msg: failed.Error(), Hint: "--accel tcg", Err: failed}
	}
	trouble := "it failed at a boot: " + failed.Error()
	b.distrust(trouble)
	if err := b.dropArtifacts(); err != nil {
		return verdict.Result{}, err
	}
	b.progress.say("KVM: " + trouble + "; booting once more, under TCG")
	return b.underTCG("KVM failed at the first: " + failed.Error()).run(ctx)
}

// underTCG is the boot before it began, but under TCG. note says why, for the result.
func (b *boot) underTCG(note string) *boot {
	again := b.anew()
	again.plan.Accel, again.note = string(machine.TCG), "this is the second boot, under TCG: "+note
	return again
}

func (b *boot) distrust(trouble string) {
	if chooser, err := b.chooser(); err == nil {
		chooser.Distrust(trouble)
	}
}

// errDoubtful ends a boot that KVM may have been the death of, so that TCG is asked. It does not leave this package.
var errDoubtful = errors.New("the boot ended before the kernel, under KVM")

// doubtful reports whether a boot under KVM that was our own choice ended before the kernel's own code. That is the same each
// time, whatever the accelerator, unless KVM is at fault: there are hosts where no kernel gets to startup_64.
func (b *boot) doubtful(r *verdict.Result) bool {
	if b.accel != machine.KVM || machine.Accel(b.plan.Accel) == machine.KVM || r.Verdict != verdict.Bad {
		return false
	}
	return r.Class == verdict.NoKernel || slices.Contains([]verdict.Stage{verdict.Firmware, verdict.Setup, verdict.Decompressor}, r.Stage)
}

// confirm boots once more under TCG, and believes that. KVM is not chosen again when it was another death or none.
func (b *boot) confirm(ctx context.Context) (verdict.Result, error) {
	b.progress.say("the boot ended before the kernel, under KVM (" + b.doubt.Summary + "); booting once more, under TCG")
	r, err := b.underTCG("the first, under KVM, ended before the kernel: " + b.doubt.Summary).run(ctx)
	if err == nil && (r.Class != b.doubt.Class || r.Stage != b.doubt.Stage) {
		b.distrust("a boot ended before the kernel (" + b.doubt.Summary + "), and did not under TCG")
	}
	return r, err
}

// anew is the boot before it began.
func (b *boot) anew() *boot {
	return &boot{plan: b.plan, progress: b.progress, built: b.built, buildTime: b.buildTime, note: b.note, chosenBy: b.chosenBy}
}

// tooFew is why KVM is no good for --until SYMBOL. TCG takes a breakpoint at each place where KASLR may put it.
const tooFew = "KVM takes too few breakpoints to find a symbol wherever KASLR puts it"

// mayMove reports whether the kernel may run elsewhere than it is linked: a bzImage, unless it is told not to.
func (b *boot) mayMove() bool {
	return b.plan.Kernel != "" && !slices.Contains(strings.Fields(b.plan.Append), "nokaslr")
}

// passedUnseen is the error for a symbol that KVM may have let pass: until the kernel was found its breakpoint stood where the
// kernel is linked, and by then the symbol may lie behind.
func (b *boot) passedUnseen(stop watch.Stop) error {
	if b.accel != machine.KVM || !untilSymbol(b.plan) || stop.Kind == watch.Reached || b.place == nil || b.place.Slide == 0 {
		return nil
	}
	return blame.New(blame.Infrastructure, "watch: --until "+b.plan.Until+": it may have been passed unseen: "+tooFew, "--accel tcg, or --append nokaslr")
}
