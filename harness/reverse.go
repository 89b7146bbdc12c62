package harness

import (
	"context"
	"errors"
	"fmt"
	"net"

	"kcatch/harness/machine"
	"kcatch/harness/reverse"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// recordingName is the recording of a boot in the artifact directory.
const recordingName = "replay.bin"

// recording is the boot's, which is to be played again; nil when it is an ordinary one, or a command line to look at.
func (b *boot) recording() *machine.Recording {
	if b.plan.Hold == nil || !b.plan.Hold.Reverse || b.artifacts.dir == "" {
		return nil
	}
	return &machine.Recording{Log: b.artifacts.path(recordingName)}
}

// recordingRoom is what must be free for a recording, in bytes: QEMU goes on without a word when its log cannot be written. A minute
// of a booted kernel takes some MB.
const recordingRoom = 64 << 20

// canReverse refuses a QEMU that does not record, and a disk that has no room for it, before the boot.
func (b *boot) canReverse(ctx context.Context) error {
	if b.recording() == nil {
		return nil
	}
	if err := roomFor(b.artifacts.dir, recordingRoom); err != nil {
		return err
	}
	trouble, err := machine.Replays(ctx, b.plan.QEMU)
	if err != nil {
		return err
	}
	if trouble != "" {
		return noReverse("this QEMU cannot", errors.New(trouble), "")
	}
	return nil
}

// roomFor refuses a directory whose disk has less than need bytes for us.
func roomFor(dir string, need uint64) error {
	if free, known := kernels.FreeSpace(dir); known && free < need {
		return blame.New(blame.Infrastructure, fmt.Sprintf("debug: --reverse: %s has %d MiB free, a recording may take %d MiB", dir, free>>20, need>>20),
			"free some space, or give another directory with --out")
	}
	return nil
}

// handOverReverse ends the machine that was recorded, and hands over one that plays the recording and stands at its end.
func (b *boot) handOverReverse(ctx context.Context, h Held) error {
	b.progress.stage("replay", "up to the stop")
	end, cpus, err := b.endRecording(ctx)
	if err != nil {
		return noReverse("the recording does not end", err, "")
	}
	spec := b.spec()
	spec.Recording.Play = true
	var first *machine.Machine
	s, err := reverse.Open(ctx, reverse.Recording{End: end, Start: func(ctx context.Context) (reverse.Machine, error) {
		m, err := machine.Start(ctx, spec, machine.Options{})
		first = m
		return m, err
	}})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return noReverse("the recording does not play", err, spec.Recording.Log)
	}
	defer s.Close()
	replayed, err := first.CPUs(ctx)
	if err == nil {
		err = sameStop(cpus, replayed)
	}
	if err != nil {
		return noReverse("the recording does not play", err, spec.Recording.Log)
	}
	l, err := net.Listen("unix", b.machine.DebuggerPath())
	if err != nil {
		return &blame.Error{Kind: blame.Infrastructure, Msg: "debug: " + err.Error(), Err: err}
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- s.Serve(serving, l) }()
	h.Socket, h.Exited = b.machine.DebuggerPath(), s.Exited()
	err = b.plan.Hold.Over(ctx, h)
	stop()
	if serr := <-served; serr != nil { // then a debugger has lost its machine, which is why it failed
		return noReverse("the machine was lost", serr, spec.Recording.Log)
	}
	return err
}

// endRecording says how long the recording is, in instructions, and where its vCPU stands; and ends QEMU, which completes the log.
func (b *boot) endRecording(ctx context.Context) (int64, []machine.CPUState, error) {
	cpus, err := b.machine.CPUs(ctx)
	if err != nil {
		return 0, nil, err
	}
	at, err := reverse.At(ctx, b.machine)
	if err != nil {
		return 0, nil, err
	}
	return at, cpus, b.machine.Quit(ctx)
}

// sameStop is an error when a replay does not stand where the recorded machine stood.
func sameStop(want, got []machine.CPUState) error {
	if len(got) != 1 || len(want) != 1 || got[0].RIP != want[0].RIP || got[0].RSP != want[0].RSP || got[0].RFLAGS != want[0].RFLAGS {
		return errors.New("the replay ends elsewhere than the boot")
	}
	return nil
}

// noReverse is an error in one line. log is the recording, where there is one: then another may do, since what goes wrong in QEMU's
// replay is a matter of chance.
func noReverse(what string, err error, log string) error {
	msg, hint := "debug: --reverse: "+what+": "+err.Error(), "leave --reverse out; who wrote to a piece of memory, kcatch boot --who-wrote tells, too"
	if log != "" {
		msg, hint = msg+"; the recording is "+log, "once more: another recording may do. Who wrote to a piece of memory, kcatch boot --who-wrote tells, too"
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: msg, Hint: hint, Err: err}
}
