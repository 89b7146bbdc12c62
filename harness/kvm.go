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
	if chooser, err := b.chooser(); err == nil {
		chooser.Distrust(trouble)
	}
	if err := b.dropArtifacts(); err != nil {
		return verdict.Result{}, err
	}
	b.progress.say("KVM: " + trouble + "; booting once more, under TCG")
	again := b.anew()
	again.plan.Accel, again.note = string(machine.TCG), "this is the second boot, under TCG: KVM failed at the first: "+failed.Error()
	return again.run(ctx)
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
