package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kcatch/internal/blame"
)

// interruptible is a context that the first SIGINT, SIGTERM or SIGHUP cancels: every stage then ends what it started, and
// what is made so far stays. A SIGINT while the terminal is lent
// (see talk.lend) is not ours. A second one has its ordinary effect and ends kcatch at once; QEMU dies with it.
func interruptible(parent context.Context, talk *talk) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for {
			select {
			case s := <-signals:
				if s == os.Interrupt && talk.lent.Load() {
					continue // Ctrl-C reaches all of the terminal's programs; it is meant for the one that has it
				}
				signal.Stop(signals)
				talk.print("kcatch: ending what runs; the same again ends at once")
				cancel()
			case <-ctx.Done():
			}
			return
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

// interrupted is an error as one of the interrupt, when there was one: what fails while all is being ended fails because of it.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || blame.Of(err) == blame.Interrupted {
		return err
	}
	return &blame.Error{Kind: blame.Interrupted, Msg: "interrupted: " + err.Error(), Err: err}
}
