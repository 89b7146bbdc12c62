package rsp

import (
	"context"
	"fmt"
	"time"

	"kcatch/internal/blame"
)

// interruptRetry is how long an 0x03 may stay without effect before it is sent again. QEMU loses one that meets a reply
// of its own that is not acknowledged yet.
const interruptRetry = 200 * time.Millisecond

// run is one resume, from its packet to its stop.
type run struct {
	op      string
	async   bool          // its stop goes to Stops
	stopped chan struct{} // closed at the end
	ended   bool          // under Client.mu
	stop    Stop          // valid after stopped, unless err
	err     error
}

// end closes the run. The caller holds Client.mu.
func (r *run) end(stop Stop, err error) {
	if r.ended {
		return
	}
	r.ended, r.stop, r.err = true, stop, err
	close(r.stopped)
}

// Running reports whether the guest was resumed and has not stopped since.
func (c *Client) Running() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run != nil && !c.run.ended
}

// RunError is why the last resume is over without a stop that means anything: the stub refused it, or answered what is no
// stop. Nothing comes through [Client.Stops] then. nil while the guest runs, and after an ordinary stop.
func (c *Client) RunError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == nil || !c.run.ended {
		return nil
	}
	return c.run.err
}

// Stops delivers the stop of each [Client.Continue] or [Client.ReverseContinue]. It holds one; a stop that nobody took
// is dropped when [Client.Wait] or [Client.Interrupt] return it or when the guest is resumed. It is closed when the
// connection ends.
func (c *Client) Stops() <-chan Stop { return c.stops }

// onStop takes a stop reply from the wire. The caller holds Client.mu.
func (c *Client) onStop(payload string) {
	running := c.run != nil && !c.run.ended
	stop, err := parseStop(payload)
	if err != nil {
		if running {
			c.run.end(Stop{}, infra(err, "%s", c.run.op))
		}
		return
	}
	if stop.Thread.TID != 0 && stop.Thread.PID == 0 && c.features.Multiprocess {
		stop.Thread.PID = 1
	}
	c.last = &stop
	if !running {
		c.selected = Thread{}
		// Unasked: QEMU 7.2 pauses and says T02 when a client attaches to a running guest, and W00 at QMP quit.
		return
	}
	if r := c.pending; r != nil {
		r.ack() // a stop shows that the resume was understood
	}
	if c.run.async {
		select {
		case c.stops <- stop:
		default: // resume emptied it, so this cannot be
		}
	}
	c.run.end(stop, nil)
}

// Continue resumes all vCPUs (vCont;c) and returns once the stub has the packet. The stop comes through [Client.Stops]
// and [Client.Wait]. At the address of a break point it stops there again at once: [Client.StepOver] first.
// Errors: [ErrRunning], [ErrNeedsReset]. After [ErrTimeout] the state of the guest is not known.
func (c *Client) Continue(ctx context.Context) error {
	return c.resumeAsync(ctx, "continue", "vCont;c")
}

// ReverseContinue runs backwards to the last break or watch point (packet bc). It is refused unless the stub announced
// it: outside rr=replay QEMU aborts on bs and bc (assert replay_mode == REPLAY_MODE_PLAY).
func (c *Client) ReverseContinue(ctx context.Context) error {
	if !c.Features().ReverseContinue {
		return fmt.Errorf("reverse continue: %w", ErrUnsupported)
	}
	return c.resumeAsync(ctx, "reverse continue", "bc")
}

func (c *Client) resumeAsync(ctx context.Context, op, packet string) error {
	if err := c.acquire(ctx, op); err != nil {
		return err
	}
	defer c.release()
	_, err := c.resume(ctx, &run{op: op, async: true}, packet)
	return err
}

// ReverseStep goes one instruction back (packet bs) and waits for the stop. It is refused as ReverseContinue is.
func (c *Client) ReverseStep(ctx context.Context) (Stop, error) {
	const op = "reverse step"
	if !c.Features().ReverseStep {
		return Stop{}, fmt.Errorf("%s: %w", op, ErrUnsupported)
	}
	if err := c.acquire(ctx, op); err != nil {
		return Stop{}, err
	}
	defer c.release()
	return c.step(ctx, op, "bs")
}

// StepOver executes one instruction of thread alone, past a break point at its address, and waits for its stop. The other
// vCPUs stand still. Interrupts are held back while stepping (QEMU's sstep default, NOIRQ|NOTIMER).
//
// TCG ignores break points while it steps ("Singlestep overrides breakpoints", cpu-exec.c); with [Options].KVM those at
// the instruction are taken out for the step. A vCPU that sits in HLT never finishes a step: after the timeout it is
// interrupted, and the stop (ReasonPaused) comes with an error.
func (c *Client) StepOver(ctx context.Context, thread Thread) (Stop, error) {
	op := fmt.Sprintf("step %v", thread)
	if thread.TID <= 0 {
		return Stop{}, fmt.Errorf("step: thread %d: no such vCPU", thread.TID)
	}
	if err := c.acquire(ctx, op); err != nil {
		return Stop{}, err
	}
	defer c.release()
	packet := "vCont;s:" + c.threadID(thread)
	if !c.opt.KVM {
		return c.step(ctx, op, packet)
	}
	regs, err := c.registers(ctx, thread)
	if err != nil {
		return Stop{}, err
	}
	back, err := c.lift(ctx, regs.LinearPC())
	if err != nil {
		return Stop{}, err
	}
	stop, stepErr := c.step(ctx, op, packet)
	if err := back(context.WithoutCancel(ctx)); err != nil && stepErr == nil && !stop.Exited {
		return stop, err
	}
	return stop, stepErr
}

// step resumes with packet and waits for the stop. The caller holds the turn.
func (c *Client) step(ctx context.Context, op, packet string) (Stop, error) {
	r, err := c.resume(ctx, &run{op: op}, packet)
	if err != nil {
		return Stop{}, err
	}
	timer := time.NewTimer(c.opt.Timeout)
	defer timer.Stop()
	select {
	case <-r.stopped:
		return r.stop, r.err
	case <-ctx.Done():
		err = fmt.Errorf("%s: %w", op, ctx.Err())
	case <-timer.C:
		err = infra(ErrTimeout, "%s: instruction not done in %v", op, c.opt.Timeout)
	}
	// Leave the guest stopped, as after every step; the caller's context may be over.
	stop, stopErr := c.interrupt(context.WithoutCancel(ctx), r)
	if stopErr != nil {
		return Stop{}, stopErr
	}
	if stop.Reason() != ReasonPaused {
		return stop, nil // it was done after all
	}
	return stop, err
}

// resume starts r with packet and waits until the stub has acknowledged it. The caller holds the turn.
func (c *Client) resume(ctx context.Context, r *run, packet string) (*run, error) {
	if err := c.idle(r.op); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, packet); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.last != nil && c.last.needsReset() {
		c.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", r.op, ErrNeedsReset)
	}
	r.stopped = make(chan struct{})
	c.run = r
	c.selected = Thread{} // a stop selects the vCPU it is about (gdb_set_stop_cpu)
	c.dropStop()
	c.mu.Unlock()

	req := &request{packet: packet}
	if err := c.send(req); err != nil {
		return nil, c.abandon(r, err)
	}
	defer c.forget(req)
	timer := time.NewTimer(c.opt.Timeout)
	defer timer.Stop()
	select {
	case <-req.acked:
	case <-r.stopped:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", r.op, ctx.Err())
	case <-timer.C:
		return nil, infra(ErrTimeout, "%s: not acknowledged in %v", r.op, c.opt.Timeout)
	case <-c.done:
		return nil, c.closedError(r.op)
	}
	c.forget(req) // a refusal that comes from now on ends the run; one that came before is the request's
	select {
	case res := <-req.reply: // refused before, or instead of, running
		if res.err != nil {
			return nil, c.abandon(r, res.err)
		}
		return nil, c.abandon(r, fmt.Errorf("%s: refused by the stub: reply %s", r.op, short(string(res.payload))))
	default:
		return r, nil
	}
}

// abandon ends a run that never began and returns err.
func (c *Client) abandon(r *run, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.end(Stop{}, err)
	return err
}

// dropStop takes a stop out of Stops that nobody read. The caller holds Client.mu.
func (c *Client) dropStop() {
	select {
	case <-c.stops:
	default:
	}
}

// Wait waits for the stop of the last resume and returns it, also when it has come already. Only ctx bounds it: give it
// a deadline. [ErrNotRunning] when there was no resume; [ErrClosed] when QEMU goes away.
func (c *Client) Wait(ctx context.Context) (Stop, error) {
	c.mu.Lock()
	r := c.run
	c.mu.Unlock()
	if r == nil {
		return Stop{}, fmt.Errorf("wait: %w", ErrNotRunning)
	}
	select {
	case <-r.stopped:
		return c.take(r)
	case <-ctx.Done():
		return Stop{}, fmt.Errorf("wait: %w", ctx.Err())
	}
}

// take returns the end of r and removes it from Stops, when r is still the last run.
func (c *Client) take(r *run) (Stop, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.done: // stops is closed
	default:
		if c.run == r {
			c.dropStop()
		}
	}
	return r.stop, r.err
}

// Interrupt stops the guest with an 0x03, repeated every 200 ms, and waits for its stop. A stop that came by itself in the
// meantime is returned as it is, so look at the reason. A guest that has been resumed before and stands already gives its
// last stop; one that was never resumed [ErrNotRunning].
func (c *Client) Interrupt(ctx context.Context) (Stop, error) {
	if err := c.acquire(ctx, "interrupt"); err != nil {
		return Stop{}, err
	}
	defer c.release() // no new run can start between our look at this one and our 0x03
	c.mu.Lock()
	r := c.run
	c.mu.Unlock()
	if r == nil {
		return Stop{}, fmt.Errorf("interrupt: %w", ErrNotRunning)
	}
	return c.interrupt(ctx, r)
}

func (c *Client) interrupt(ctx context.Context, r *run) (Stop, error) {
	deadline := time.NewTimer(c.opt.Timeout)
	defer deadline.Stop()
	retry := time.NewTimer(interruptRetry)
	defer retry.Stop()
	for {
		select {
		case <-r.stopped:
			return c.take(r)
		default:
		}
		if err := c.write([]byte{0x03}); err != nil {
			select {
			case <-r.stopped: // it went away while we knocked
				return c.take(r)
			case <-deadline.C:
				return Stop{}, infra(err, "interrupt")
			}
		}
		retry.Reset(interruptRetry)
		select {
		case <-r.stopped:
			return c.take(r)
		case <-ctx.Done():
			return Stop{}, fmt.Errorf("interrupt: %w", ctx.Err())
		case <-deadline.C:
			return Stop{}, &blame.Error{
				Kind: blame.Infrastructure,
				Msg:  fmt.Sprintf("interrupt: %v: %v", c.opt.Timeout, ErrTimeout),
				Hint: "ask QMP query-status: a machine that is shut down ignores a resume and an interrupt",
				Err:  ErrTimeout,
			}
		case <-retry.C:
		}
	}
}

// Stood ends the run of a guest that stands although no stop has said so, as one does that is suspended to RAM: QEMU's run state is then
// neither running nor paused, an 0x03 is noise to it, and it answers whatever it is asked (gdb_read_byte, gdbstub.c). The answer to ?
// is the stop. QEMU takes all break points out on a ? (handle_target_halt), so that it is the last thing for a run to come to.
// Of a guest that runs it is an [ErrTimeout]. [ErrNotRunning] when there was no resume.
func (c *Client) Stood(ctx context.Context) (Stop, error) {
	const op = "stood"
	if err := c.acquire(ctx, op); err != nil {
		return Stop{}, err
	}
	defer c.release()
	c.mu.Lock()
	r := c.run
	c.mu.Unlock()
	if r == nil {
		return Stop{}, fmt.Errorf("%s: %w", op, ErrNotRunning)
	}
	if err := c.settle(ctx, "?"); err != nil {
		return Stop{}, err
	}
	req := &request{packet: "?"} // its reply is the run's stop, not its own
	if err := c.send(req); err != nil {
		return Stop{}, err
	}
	defer c.forget(req)
	timer := time.NewTimer(c.opt.Timeout)
	defer timer.Stop()
	select {
	case <-r.stopped:
		return c.take(r)
	case <-ctx.Done():
		return Stop{}, fmt.Errorf("%s: %w", op, ctx.Err())
	case <-timer.C:
		return Stop{}, infra(ErrTimeout, "%s: %v", op, c.opt.Timeout)
	case <-c.done:
		return Stop{}, c.closedError(op)
	}
}
