package machine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// relay stands between QEMU's QMP socket and go-qemu's SocketMonitor, which dials by itself and so cannot be given a
// connection. Lines pass through it one by one, and it keeps from the monitor what that cannot bear
// (go-qemu ee9b0668d242, qmp/socket.go):
//
//	trap in SocketMonitor                                     what the relay does
//	no deadline: Run waits for ever (PR #206)                 replies in QEMU's place when the context ends, and drops the late reply
//	an event before the handshake's reply is taken for it     holds events until the handshake is over
//	(PR #210); what its decoder has buffered by then is lost
//	Run returns scanner.Bytes(), which the next line          keeps every reply aside for the caller, and sends a stand-in with
//	overwrites while Run reads it (#226)                      two fences behind it, see below
//	lines over 64 KiB end the connection (#159)               so no reply is long there; an event that is, is dropped
//	a reply that nobody waits for blocks the listener         drops replies with another id than the command's
//
// The fences are two events of ours. The monitor's listener hands them on by an unbuffered channel. Who drains that takes
// the first, waits until Run has returned, and takes the second: until then the listener stands before it and reads
// nothing. All three lines come in one write of under 100 bytes; should the listener's buffer (4 KiB or more) end amid
// them, the rest goes to its beginning, far from the stand-in.
type relay struct {
	up   net.Conn // QEMU
	down net.Conn // the monitor

	mu    sync.Mutex
	open  bool     // events may pass; false during the handshake and from a reply until Run has returned
	held  [][]byte // events that wait, oldest first
	id    string   // of the command whose reply is waited for; empty: none
	hello bool     // the handshake is over
	reply []byte   // QEMU's reply to the last command; nil: none, it was given up
	stood bool     // the last command's stand-in has been sent
	err   error    // why the connection is over

	returned chan struct{} // a token for each stand-in: Run has returned
	done     chan struct{} // closed with err set
}

// fence is the name of the relay's own events.
const fence = "KCATCH_FENCE"

const (
	// maxLine bounds one line from QEMU. The longest known answer, query-qmp-schema, has 200 kB.
	maxLine = 32 << 20
	// maxEvent is what the monitor's scanner takes, with room for its newline (bufio.MaxScanTokenSize).
	maxEvent = 60 << 10
	// maxHeld bounds the events that wait while a reply is read.
	maxHeld = 1024
	// stall is how long a write to either side may take: nobody is so slow who is alive.
	stall = 10 * time.Second
)

var errMonitorClosed = errors.New("QEMU closed the connection")

// listenRelay makes the socket that the monitor is to dial. Its name goes away with the listener.
func listenRelay(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(true)
	return l, nil
}

// startRelay takes the monitor's connection from l and begins to pass lines.
func startRelay(up net.Conn, l *net.UnixListener) (*relay, error) {
	_ = l.SetDeadline(time.Now().Add(stall))
	down, err := l.Accept()
	if err != nil {
		return nil, err
	}
	r := &relay{up: up, down: down, returned: make(chan struct{}, 1), done: make(chan struct{})}
	go r.fromQEMU()
	go r.fromMonitor()
	return r, nil
}

// fail ends the connection with the first reason that is given.
func (r *relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failLocked(err)
}

func (r *relay) failLocked(err error) {
	if r.err != nil {
		return
	}
	r.err = err
	close(r.done)
	r.up.Close()
	r.down.Close()
}

// cause is why the connection is over; nil while it is not.
func (r *relay) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *relay) fromMonitor() {
	buf := make([]byte, 4096)
	for {
		n, err := r.down.Read(buf)
		if n > 0 {
			_ = r.up.SetWriteDeadline(time.Now().Add(stall))
			if _, werr := r.up.Write(buf[:n]); werr != nil {
				r.fail(fmt.Errorf("write to QEMU: %w", werr))
				return
			}
		}
		if err != nil {
			r.fail(errors.New("closed"))
			return
		}
	}
}

func (r *relay) fromQEMU() {
	in := bufio.NewReaderSize(r.up, 16<<10)
	for {
		line, err := readLine(in)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
				err = errMonitorClosed
			}
			r.fail(err)
			return
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		m, err := classify(line)
		if err != nil {
			r.fail(err)
			return
		}
		r.mu.Lock()
		r.pass(m, line)
		over := r.err != nil
		r.mu.Unlock()
		if over {
			return
		}
	}
}

// pass gives one line to the monitor, or keeps it from it.
func (r *relay) pass(m message, line []byte) {
	switch {
	case m.event && len(line) > maxEvent:
		// None is known that is nearly so long.
	case m.event && !r.open:
		if len(r.held) == maxHeld {
			r.held = r.held[1:]
		}
		r.held = append(r.held, line)
	case m.event, m.greeting && !r.hello:
		r.send(line)
	case !r.hello:
		r.send(line) // the handshake's reply; events stay held until its end
	case r.id == "" || m.id != r.id:
		// A reply to a command that was given up.
	default:
		r.answer(line)
	}
}

// answer lets Run return: line is QEMU's reply, or nil.
func (r *relay) answer(line []byte) {
	r.reply = line
	standIn := fmt.Sprintf("{\"return\":{},\"id\":%q}\n{\"event\":%q}\n{\"event\":%q}\n", r.id, fence, fence)
	r.open, r.id, r.stood = false, "", true
	r.send([]byte(standIn))
}

// send writes to the monitor, which always reads: its events are drained, and it gets no reply that it does not wait for.
func (r *relay) send(line []byte) {
	_ = r.down.SetWriteDeadline(time.Now().Add(stall))
	if _, err := r.down.Write(line); err != nil {
		r.failLocked(fmt.Errorf("write to the QMP monitor: %w", err))
	}
}

// greeted says that the handshake is over: events may pass.
func (r *relay) greeted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hello = true
	r.release()
}

// begin announces a command. Events pass until its reply does.
func (r *relay) begin(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id, r.reply, r.stood = id, nil, false
}

// giveUp replies to the command in QEMU's place, if QEMU has not.
func (r *relay) giveUp(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == id && r.err == nil {
		r.answer(nil)
	}
}

// end says that Run has returned, and gives QEMU's reply, if there is one. What was held may pass.
func (r *relay) end() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stood {
		select {
		case r.returned <- struct{}{}:
		case <-r.done:
		}
	}
	reply := r.reply
	r.id, r.reply, r.stood = "", nil, false
	r.release()
	return reply
}

// atFence is called by who drains the monitor's events when the first of two fences has come: it waits until Run has
// returned.
func (r *relay) atFence() {
	select {
	case <-r.returned:
	case <-r.done:
	}
}

func (r *relay) release() {
	r.open = true
	for _, line := range r.held {
		if r.err != nil {
			break
		}
		r.send(line)
	}
	r.held = nil
}

// closeOn ends the connection when ctx does; the returned function takes that back.
func (r *relay) closeOn(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { r.fail(context.Cause(ctx)) })
}

// message is what the relay must know of a line.
type message struct {
	greeting, event bool
	id              string
}

// classify says what a line from QEMU is. A line that is no JSON object, or none of greeting, event, return and error,
// is an error: whoever listens there is no QEMU. Source: QEMU docs/interop/qmp-spec.
func classify(line []byte) (message, error) {
	var v struct {
		QMP    json.RawMessage `json:"QMP"`
		Event  *string         `json:"event"`
		ID     json.RawMessage `json:"id"`
		Return json.RawMessage `json:"return"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return message{}, fmt.Errorf("QMP line %q: %w", clip(string(line)), err)
	}
	switch {
	case v.QMP != nil:
		return message{greeting: true}, nil
	case v.Event != nil && *v.Event != "":
		return message{event: true}, nil
	case v.Return == nil && v.Error == nil:
		return message{}, fmt.Errorf("QMP line %q: no greeting, event or reply", clip(string(line)))
	}
	var id string
	_ = json.Unmarshal(v.ID, &id) // ours are strings; another's fits no command
	return message{id: id}, nil
}

// readLine returns the next line with its newline, at most maxLine bytes. The slice is the caller's.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, fmt.Errorf("QMP line of more than %d bytes", maxLine)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, err
		}
	}
}
