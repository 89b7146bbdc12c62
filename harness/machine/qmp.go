package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/digitalocean/go-qemu/qmp"

	"kcatch/internal/blame"
)

// monitor is a QMP connection: go-qemu's SocketMonitor behind a [relay]. One command runs at a time; each has a
// deadline, and a command that was given up does not harm the next one.
type monitor struct {
	mon     *qmp.SocketMonitor
	relay   *relay
	turn    chan struct{} // holds one token: the right to run a command
	seq     uint64        // under turn
	events  chan Event
	drained chan struct{} // closed when events is
	version [3]int
}

const (
	// commandTimeout is the deadline of a command whose context has none.
	commandTimeout = 10 * time.Second
	// eventBuffer is how many events may wait for a reader; when there are more, the oldest go. A boot has about five.
	eventBuffer = 256
)

// dialMonitor shakes hands over up, a connection to QEMU, and owns it then. path is a free name for a Unix socket.
func dialMonitor(ctx context.Context, up net.Conn, path string) (*monitor, error) {
	l, err := listenRelay(path)
	if err != nil {
		up.Close()
		return nil, infra("qmp: listen", err)
	}
	defer l.Close()
	mon, err := qmp.NewSocketMonitor("unix", path, stall)
	if err != nil {
		up.Close()
		return nil, infra("qmp: connect", err)
	}
	r, err := startRelay(up, l)
	if err != nil {
		up.Close()
		_ = mon.Disconnect()
		return nil, infra("qmp: connect", err)
	}
	stop := r.closeOn(ctx)
	err = mon.Connect()
	stop()
	if err == nil {
		err = r.cause() // ctx may have ended just behind the handshake
	}
	if err != nil {
		if cause := r.cause(); cause != nil {
			err = cause
		}
		r.fail(err)
		_ = mon.Disconnect()
		return nil, infra("qmp: handshake", err)
	}
	m := &monitor{mon: mon, relay: r, turn: make(chan struct{}, 1), events: make(chan Event, eventBuffer), drained: make(chan struct{})}
	m.turn <- struct{}{}
	if v := mon.Version; v != nil {
		m.version = [3]int{v.QEMU.Major, v.QEMU.Minor, v.QEMU.Micro}
	}
	in, err := mon.Events(context.Background())
	if err != nil {
		m.close()
		return nil, infra("qmp: events", err)
	}
	go m.drain(in)
	r.greeted()
	return m, nil
}

// drain takes every event at once: an event that waits stops go-qemu's reader. The last ones stay, since the last ones
// tell how a machine ended.
func (m *monitor) drain(in <-chan qmp.Event) {
	defer close(m.drained)
	defer close(m.events)
	second := false // the next fence is a pair's second
	for e := range in {
		if e.Event == fence {
			if !second {
				m.relay.atFence()
			}
			second = !second
			continue
		}
		for sent := false; !sent; {
			select {
			case m.events <- eventFrom(e):
				sent = true
			default:
				select {
				case <-m.events:
				default:
				}
			}
		}
	}
}

// execute runs a command and decodes what it returns into out, unless out is nil.
func (m *monitor) execute(ctx context.Context, command string, args, out any) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, commandTimeout)
		defer cancel()
	}
	start := time.Now()
	select {
	case <-m.turn:
		defer func() { m.turn <- struct{}{} }()
	case <-ctx.Done():
		return m.lost(ctx, command, start)
	}
	m.seq++
	id := strconv.FormatUint(m.seq, 10)
	request, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        string `json:"id"`
	}{command, args, id})
	if err != nil {
		return fmt.Errorf("qmp: %s: %w", command, err)
	}
	m.relay.begin(id)
	stop := context.AfterFunc(ctx, func() { m.relay.giveUp(id) })
	_, err = m.mon.Run(append(request, '\n'))
	stop()
	reply := m.relay.end()
	switch {
	case reply != nil:
		return decodeReply(command, reply, out)
	case ctx.Err() == nil && m.relay.cause() == nil:
		return infra("qmp: "+command, fmt.Errorf("no reply: %v", err)) // go-qemu's own, such as a failed write
	}
	return m.lost(ctx, command, start)
}

// lost says why there is no reply.
func (m *monitor) lost(ctx context.Context, command string, start time.Time) error {
	if cause := m.relay.cause(); cause != nil {
		return infra("qmp: "+command, cause)
	}
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return infra(fmt.Sprintf("qmp: %s: no reply in %s", command, time.Since(start).Round(time.Millisecond)), err)
	}
	return fmt.Errorf("qmp: %s: %w", command, err)
}

// decodeReply is the last step, pure.
func decodeReply(command string, reply []byte, out any) error {
	var r struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Class string `json:"class"`
			Desc  string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply, &r); err != nil {
		return infra("qmp: "+command, err)
	}
	if r.Error != nil {
		return fmt.Errorf("qmp: %s: %s: %s", command, r.Error.Class, r.Error.Desc)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(r.Return, out); err != nil {
		return &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("qmp: %s: reply %q: %v", command, clip(string(r.Return)), err), Err: err}
	}
	return nil
}

// close ends the connection; a command that waits fails. It may be called twice.
func (m *monitor) close() {
	m.relay.fail(errors.New("closed"))
	_ = m.mon.Disconnect() // waits for go-qemu's reader; its socket is closed twice, which is all it can complain of
	<-m.drained
}
