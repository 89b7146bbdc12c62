package reverse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"kcatch/gdb/rsp"
)

// Machine is a QEMU that plays the recording; a machine.Machine is one.
type Machine interface {
	GDBConn() net.Conn // its stub's, on which nothing has been said
	Execute(ctx context.Context, command string, args, out any) error
	Status(ctx context.Context) (string, error)
	Exited() <-chan struct{}
	Close() error
}

// Recording is what is played.
type Recording struct {
	// Start starts a QEMU that plays it, standing before the first instruction.
	Start func(ctx context.Context) (Machine, error)
	// End is where the recording ends, in instructions since power-on.
	End    int64
	Limits Limits
}

// Limits are how long things may take. The zero value is what real machines need.
type Limits struct {
	Stall  time.Duration // that a replay stands at one instruction; default 10 s
	Answer time.Duration // that a stub says nothing; default 10 s
	Tries  int           // how many QEMUs are tried for one way; default 3
}

func (l Limits) whole() Limits {
	if l.Stall == 0 {
		l.Stall = 10 * time.Second
	}
	if l.Answer == 0 {
		l.Answer = 10 * time.Second
	}
	if l.Tries == 0 {
		l.Tries = 3
	}
	return l
}

// player is a QEMU and the connection to its stub.
type player struct {
	Machine
	stub   *rsp.Link
	limits Limits
	thread string // what the last stop said of the vCPU: "thread:p01.01;"
}

// The ways in which a QEMU fails.
var (
	errStands = errors.New("the replay stands still")
	errSilent = errors.New("QEMU's stub does not answer")
	errEnded  = errors.New("QEMU has ended")
)

// start makes a player that has been told what gdb had told the one before.
func (r Recording) start(ctx context.Context, said []string) (*player, error) {
	m, err := r.Start(ctx)
	if err != nil {
		return nil, err
	}
	p := &player{Machine: m, stub: rsp.NewLink(m.GDBConn()), limits: r.Limits.whole()}
	for _, packet := range said {
		if _, err := p.ask(ctx, packet, nil); err != nil {
			p.end()
			return nil, err
		}
	}
	return p, nil
}

func (p *player) end() {
	_ = p.stub.Close()
	_ = p.Close()
}

// At is where a machine that is recorded, or played, stands: in instructions since power-on (QMP, query-replay).
func At(ctx context.Context, m interface {
	Execute(ctx context.Context, command string, args, out any) error
}) (int64, error) {
	var r struct {
		ICount int64 `json:"icount"`
	}
	err := m.Execute(ctx, "query-replay", nil, &r)
	return r.ICount, err
}

// at is where it stands.
func (p *player) at(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.Answer)
	defer cancel()
	return At(ctx, p)
}

// stopAt arms QEMU's stop at an instruction, which must not lie behind.
func (p *player) stopAt(ctx context.Context, to int64) error {
	ctx, cancel := context.WithTimeout(ctx, p.limits.Answer)
	defer cancel()
	return p.Execute(ctx, "replay-break", map[string]any{"icount": to}, nil)
}

// playTo goes on up to an instruction; no breakpoint may be set.
func (p *player) playTo(ctx context.Context, to int64) error {
	if at, err := p.at(ctx); err != nil || at == to {
		return err
	}
	if err := p.stopAt(ctx, to); err != nil {
		return err
	}
	if err := p.Execute(ctx, "cont", nil, nil); err != nil {
		return err
	}
	look := p.look()
	for pause := time.Millisecond; ; pause = min(2*pause, 10*time.Millisecond) {
		running, err := look(ctx)
		if err != nil {
			return err
		}
		if !running {
			break
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	at, err := p.at(ctx)
	if err != nil {
		return err
	}
	if at != to {
		return fmt.Errorf("the replay stopped at instruction %d in the place of %d", at, to)
	}
	_, err = p.ask(ctx, "qC", nil) // its answer comes behind the stop, which QEMU 7.2 reports and 8.1 does not
	return err
}

// look returns what looks at a machine that runs: an error says that it never will stop.
func (p *player) look() func(ctx context.Context) (running bool, err error) {
	last, since := int64(-1), time.Now()
	return func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, p.limits.Answer)
		defer cancel()
		status, err := p.Status(ctx)
		if err != nil || status != "running" {
			return false, err
		}
		at, err := p.at(ctx)
		switch {
		case err != nil:
			return false, err
		case at != last:
			last, since = at, time.Now()
		case time.Since(since) > p.limits.Stall:
			return true, fmt.Errorf("%w at instruction %d", errStands, at)
		}
		return true, nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// ask sends a request and returns its reply; what the stub prints meanwhile goes to console, a packet each. Stops that nobody waits for
// are dropped.
func (p *player) ask(ctx context.Context, packet string, console func(string) error) (string, error) {
	if err := p.stub.Send(packet); err != nil {
		return "", errEnded
	}
	t := time.NewTimer(p.limits.Answer)
	defer t.Stop()
	for {
		select {
		case reply, ok := <-p.stub.Packets():
			switch {
			case !ok:
				return "", errEnded
			case isStop(reply):
				p.note(reply)
				if packet == "?" || strings.HasPrefix(packet, "vAttach;") { // whose replies look like one
					return reply, nil
				}
			case strings.HasPrefix(reply, "O") && reply != "OK":
				if console != nil {
					if err := console(reply); err != nil {
						return "", err
					}
				}
			default:
				return reply, nil
			}
		case <-t.C:
			return "", errSilent
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// resume sends a packet that lets the machine go, and returns its stop. interrupts are gdb's wish to have it stop; nil: there are none.
func (p *player) resume(ctx context.Context, packet string, interrupts <-chan string) (string, error) {
	if err := p.stub.Send(packet); err != nil {
		return "", errEnded
	}
	look := p.look()
	t := time.NewTicker(max(p.limits.Stall/20, time.Millisecond))
	defer t.Stop()
	silent := time.Now()
	for {
		select {
		case reply, ok := <-p.stub.Packets():
			switch {
			case !ok:
				return "", errEnded
			case isStop(reply):
				p.note(reply)
				return reply, nil
			case reply == "" || strings.HasPrefix(reply, "E"):
				return reply, nil // it does not go
			}
		case packet, ok := <-interrupts:
			if !ok {
				interrupts = nil
				_ = p.stub.SendInterrupt()
			} else if packet == rsp.Interrupt {
				_ = p.stub.SendInterrupt()
			}
		case <-t.C:
			running, err := look(ctx)
			if err != nil {
				return "", err
			}
			if running {
				silent = time.Now()
			} else if time.Since(silent) > p.limits.Answer {
				return "", errSilent
			}
		case <-p.Exited():
			return "", errEnded
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// isStop tells a stop reply from other replies.
func isStop(reply string) bool {
	return len(reply) >= 3 && strings.ContainsRune("TSWX", rune(reply[0]))
}

// note keeps what a stop says of the vCPU.
func (p *player) note(stop string) {
	if thread := field(stop, "thread"); thread != "" {
		p.thread = thread
	}
}

// field is one of a T packet's pairs as it stands there, or empty.
func field(stop, name string) string {
	if len(stop) < 3 || stop[0] != 'T' {
		return ""
	}
	for pair := range strings.SplitAfterSeq(stop[3:], ";") {
		if strings.HasPrefix(pair, name+":") && strings.HasSuffix(pair, ";") {
			return pair
		}
	}
	return ""
}
