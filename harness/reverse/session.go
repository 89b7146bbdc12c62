package reverse

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"kcatch/gdb/rsp"
)

// Session is a machine that goes both ways. Make one with [Open].
type Session struct {
	rec    Recording
	now    *player
	said   []string // what gdb told the stub that another one has to know: its features, the thread
	points []string // the break and watch points that gdb has in
	exited chan struct{}
}

// Open plays the recording to its end. That is the proof, too, that this QEMU can.
func Open(ctx context.Context, rec Recording) (*Session, error) {
	rec.Limits = rec.Limits.whole()
	s := &Session{rec: rec, exited: make(chan struct{})}
	var err error
	s.now, err = s.play(ctx, rec.End)
	return s, err
}

// Machine is the QEMU that stands for the recorded one now. It is another one after each step back.
func (s *Session) Machine() Machine { return s.now }

// Exited is closed when a debugger has killed the machine, or it is beyond repair; see Serve.
func (s *Session) Exited() <-chan struct{} { return s.exited }

// Close ends what is still there.
func (s *Session) Close() {
	if s.now != nil {
		s.now.end()
	}
}

// play starts a player and lets it play up to an instruction. It takes another one when that fails, and says why the last one failed.
func (s *Session) play(ctx context.Context, to int64) (*player, error) {
	var got *player
	err := s.try(ctx, to, func(p *player) error {
		got = p
		return nil
	})
	return got, err
}

// spentError is an error behind which there were as many tries as there may be.
type spentError struct{ error }

func (e spentError) Unwrap() error { return e.error }

// try gives a player that stands at an instruction to do, and another one when that fails, unless do has tried that itself. The one with
// which it succeeded is do's to keep or to end.
func (s *Session) try(ctx context.Context, at int64, do func(*player) error) error {
	var err error
	for range s.rec.Limits.Tries {
		var p *player
		if p, err = s.rec.start(ctx, s.said); err == nil {
			if err = p.playTo(ctx, at); err == nil {
				err = do(p)
			}
			if err != nil {
				p.end()
			}
		}
		if _, spent := errors.AsType[spentError](err); err == nil || spent || ctx.Err() != nil {
			return err
		}
	}
	return spentError{err}
}

// Serve serves one debugger after the other, until one kills the machine, the context is over, or the machine is beyond repair: only
// that is an error. A debugger that goes away without killing it leaves it standing, without break points.
func (s *Session) Serve(ctx context.Context, l net.Listener) error {
	defer close(s.exited)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		killed, err := s.serveNext(ctx, l)
		if err == nil && !killed {
			err = s.now.points(ctx, 'z', s.points)
			s.points, s.said = nil, nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if killed || err != nil {
			return err
		}
	}
}

// accept waits for a debugger, and no longer than there is a machine.
func (s *Session) accept(l net.Listener) (net.Conn, error) {
	came, ended := make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-s.now.Exited():
			l.Close()
			ended <- true
		case <-came:
			ended <- false
		}
	}()
	conn, err := l.Accept()
	close(came)
	if <-ended {
		if err == nil {
			conn.Close()
		}
		return nil, errEnded
	}
	return conn, err
}

// serveNext serves the next debugger.
func (s *Session) serveNext(ctx context.Context, l net.Listener) (killed bool, err error) {
	conn, err := s.accept(l)
	if err != nil {
		return false, err
	}
	gdb := rsp.NewLink(conn)
	defer gdb.Close()
	unlink := context.AfterFunc(ctx, func() { gdb.Close() })
	defer unlink()
	return s.serve(ctx, gdb)
}

// serve answers one debugger.
func (s *Session) serve(ctx context.Context, gdb *rsp.Link) (killed bool, err error) {
	for {
		var packet string
		select {
		case p, ok := <-gdb.Packets():
			if !ok {
				return false, nil
			}
			packet = p
		case <-s.now.Exited():
			return false, errEnded
		}
		var reply string
		switch {
		case packet == rsp.Interrupt: // it stands
			continue
		case packet == "k":
			return true, nil
		case strings.HasPrefix(packet, "vKill;"):
			farewell(gdb)
			return true, nil
		case packet == "D" || strings.HasPrefix(packet, "D;"):
			farewell(gdb)
			return false, nil
		case packet == "bs", packet == "bc":
			reply, err = s.backward(ctx, gdb, packet)
		case resumes(packet):
			reply, err = s.forward(ctx, gdb, packet)
		default:
			reply, err = s.request(ctx, gdb, packet)
		}
		if err != nil {
			return false, err
		}
		if gdb.Send(reply) != nil {
			return false, nil
		}
	}
}

// farewell says yes to a debugger that leaves, and waits until it hangs up, as it does when it has read that.
func farewell(gdb *rsp.Link) {
	if gdb.Send("OK") != nil {
		return
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-gdb.Packets():
	case <-t.C:
	}
}

// resumes reports whether a packet lets the machine go.
func resumes(packet string) bool {
	if rest, ok := strings.CutPrefix(packet, "vCont"); ok {
		return strings.HasPrefix(rest, ";")
	}
	return packet != "" && strings.ContainsRune("cCsS", rune(packet[0]))
}

// request passes on what lets no machine go.
func (s *Session) request(ctx context.Context, gdb *rsp.Link, packet string) (string, error) {
	reply, err := s.now.ask(ctx, packet, gdb.Send)
	if err != nil {
		return "", err
	}
	switch {
	case packet == "?":
		s.points = nil // QEMU takes them out then (handle_target_halt)
	case packet[:min(1, len(packet))] == "Z" && reply == "OK":
		if !slices.Contains(s.points, packet[1:]) {
			s.points = append(s.points, packet[1:])
		}
	case packet[:min(1, len(packet))] == "z" && reply == "OK":
		s.points = slices.DeleteFunc(s.points, func(p string) bool { return p == packet[1:] })
	case remembered(packet) != "":
		key := remembered(packet)
		s.said = append(slices.DeleteFunc(s.said, func(p string) bool { return remembered(p) == key }), packet)
	}
	return reply, nil
}

// remembered names what a packet sets in a stub; empty: nothing.
func remembered(packet string) string {
	for _, prefix := range []string{"qSupported", "Hg", "Hc", "Qqemu."} {
		if strings.HasPrefix(packet, prefix) {
			return prefix
		}
	}
	return ""
}

// The stops that gdb takes for the ends of what was recorded.
const (
	atBegin = "replaylog:begin;"
	atEnd   = "replaylog:end;"
)

// stopped is the stop of a machine at an end, at a point, or at a step.
func (s *Session) stopped(what string) string { return "T05" + s.now.thread + what }

// forward passes on what lets the machine go, up to the end of the recording.
func (s *Session) forward(ctx context.Context, gdb *rsp.Link, packet string) (string, error) {
	from, err := s.now.at(ctx)
	if err != nil {
		return "", err
	}
	if from >= s.rec.End {
		return s.stopped(atEnd), nil
	}
	stop, at, err := s.proceed(ctx, gdb, packet)
	if err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		again, aerr := s.play(ctx, from)
		if aerr != nil {
			return "", errors.Join(err, aerr)
		}
		if perr := again.points(ctx, 'Z', s.points); perr != nil {
			again.end()
			return "", errors.Join(err, perr)
		}
		s.replace(again)
		return s.stopped(""), tell(gdb, fmt.Sprintf("kcatch: %v; back to where that began", err))
	}
	if at >= s.rec.End && strings.HasPrefix(stop, "T02") {
		return s.stopped(atEnd), nil
	}
	return stop, nil
}

func (s *Session) proceed(ctx context.Context, gdb *rsp.Link, packet string) (stop string, at int64, err error) {
	if err := s.now.stopAt(ctx, s.rec.End); err != nil {
		return "", 0, err
	}
	if stop, err = s.now.resume(ctx, packet, gdb.Packets()); err != nil {
		return "", 0, err
	}
	if at, err = s.now.at(ctx); err != nil {
		return "", 0, err
	}
	return stop, at, nil
}

// errInterrupted says that gdb did not want to wait.
var errInterrupted = errors.New("interrupted")

// backward goes one instruction back (bs), or to the last point that was passed (bc). The present machine is there until another one
// stands where it is to.
func (s *Session) backward(ctx context.Context, gdb *rsp.Link, packet string) (string, error) {
	from, err := s.now.at(ctx)
	if err != nil {
		return "", err
	}
	if from == 0 {
		return s.stopped(atBegin), nil
	}
	going, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type arrival struct {
		p    *player
		what string
		err  error
	}
	arrived := make(chan arrival, 1)
	go func() {
		var a arrival
		if packet == "bs" {
			a.p, a.err = s.play(going, from-1)
		} else {
			a.p, a.what, a.err = s.backToPoint(going, from)
		}
		if a.err == nil {
			if a.err = a.p.points(going, 'Z', s.points); a.err != nil {
				a.p.end()
			}
		}
		arrived <- a
	}()
	packets := gdb.Packets()
	for {
		select {
		case p, ok := <-packets:
			if !ok {
				packets = nil
			}
			if !ok || p == rsp.Interrupt {
				cancel(errInterrupted)
			}
		case a := <-arrived:
			switch {
			case a.err == nil:
				s.replace(a.p)
				return s.stopped(a.what), nil
			case ctx.Err() != nil:
				return "", a.err
			case context.Cause(going) != nil:
				return "T02" + s.now.thread, nil
			}
			return s.stopped(""), tell(gdb, fmt.Sprintf("kcatch: %v; not gone back", a.err))
		}
	}
}

// backToPoint goes to the last point before an instruction, or to the beginning.
func (s *Session) backToPoint(ctx context.Context, from int64) (*player, string, error) {
	to := hit{watch: atBegin}
	if len(s.points) > 0 {
		last, err := s.last(ctx, from)
		if err != nil {
			return nil, "", err
		}
		if last.found {
			to = last
		}
	}
	p, err := s.play(ctx, to.at)
	return p, to.watch, err
}

// replace lets another player be the machine.
func (s *Session) replace(p *player) {
	if p.thread == "" {
		p.thread = s.now.thread
	}
	s.now.end()
	s.now = p
}

// tell prints a line in gdb, which it takes while it waits for a stop.
func tell(gdb *rsp.Link, line string) error {
	_ = gdb.Send("O" + hex.EncodeToString([]byte(line+"\n"))) // that it has gone shows in its packets
	return nil
}
