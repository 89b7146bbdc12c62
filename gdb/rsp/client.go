package rsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	defaultTimeout  = 5 * time.Second
	maxRetransmits  = 3       // of one packet, in either direction
	maxConsoleBytes = 4 << 20 // of one monitor command
)

// Options tune a client. The zero value is right for TCG.
type Options struct {
	// Timeout bounds each request's wait for its reply, besides the context. Default 5 s.
	Timeout time.Duration
	// KVM says that the accelerator is KVM: break points are then taken out for a step, where TCG ignores them.
	KVM bool
}

// Client is one connection to a stub. Make it with [New].
type Client struct {
	conn net.Conn
	opt  Options

	turn  chan struct{} // holds one token: whose turn it is to talk to the stub
	stops chan Stop
	done  chan struct{} // closed when the reader has ended; err is set before

	wmu sync.Mutex // one packet or byte at a time on the wire

	mu      sync.Mutex
	pending *request // sent and not answered; stays set when its caller gave up on it
	run     *run     // the last resume; nil before the first
	last    *Stop    // the last stop seen, unasked ones included
	err     error    // why the connection ended
	closing bool

	// Owned by whoever holds the turn.
	features Features
	layout   layout
	selected Thread // what Hg last chose; zero when a stop may have moved it
	table    breakTable
	physical bool
}

// request is one packet that waits for its answer.
type request struct {
	packet    string
	frame     []byte
	naks      int
	acked     chan struct{}
	ackOnce   sync.Once
	reply     chan result // buffered: the reader never waits for a caller
	wantsStop bool        // the reply is a stop reply (packet ?)
	console   *bytes.Buffer
}

type result struct {
	payload []byte
	err     error
}

// New takes over conn and starts reading from it. It sends nothing; call [Client.Handshake] next.
func New(conn net.Conn, opt Options) *Client {
	if opt.Timeout <= 0 {
		opt.Timeout = defaultTimeout
	}
	c := &Client{
		conn:   conn,
		opt:    opt,
		turn:   make(chan struct{}, 1),
		stops:  make(chan Stop, 1),
		done:   make(chan struct{}),
		layout: coreLayout(),
		table:  breakTable{},
	}
	go c.read()
	return c
}

// Close ends the connection and waits for the reader. QEMU keeps the machine as it is: paused, or running, with its
// break points. It may be called twice and at any time.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	err := c.conn.Close()
	<-c.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// acquire takes the turn to talk. Every wait in the client is bounded, so the turn comes.
func (c *Client) acquire(ctx context.Context, op string) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", op, ctx.Err())
	case <-c.done:
		return c.closedError(op)
	}
}

func (c *Client) release() { <-c.turn }

// idle reports why nothing may be sent now, or nil.
func (c *Client) idle(op string) error {
	select {
	case <-c.done:
		return c.closedError(op)
	default:
	}
	if c.Running() {
		return fmt.Errorf("%s: %w", op, ErrRunning)
	}
	return nil
}

func (c *Client) closedError(op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return infra(c.err, "%s", op)
}

// exchange sends one packet and returns its reply. The caller holds the turn.
// An empty reply is [ErrUnsupported] and Enn a [*StubError].
func (c *Client) exchange(ctx context.Context, packet string) ([]byte, error) {
	return c.do(ctx, &request{packet: packet})
}

func (c *Client) do(ctx context.Context, r *request) ([]byte, error) {
	if err := c.idle("request"); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, r.packet); err != nil {
		return nil, err
	}
	if err := c.send(r); err != nil {
		return nil, err
	}
	payload, err := c.await(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case len(payload) == 0:
		return nil, fmt.Errorf("stub: packet %s: %w", short(r.packet), ErrUnsupported)
	case len(payload) == 3 && payload[0] == 'E':
		code, err := strconv.ParseUint(string(payload[1:]), 16, 8)
		if err == nil {
			return nil, &StubError{Packet: short(r.packet), Code: uint8(code)}
		}
	}
	return payload, nil
}

// settle waits for the reply that an earlier caller gave up on. Replies carry no number, so without this the late one
// would be taken for the answer to the next request.
func (c *Client) settle(ctx context.Context, next string) error {
	c.mu.Lock()
	old := c.pending
	c.mu.Unlock()
	if old == nil {
		return nil
	}
	if _, err := c.await(ctx, old); err != nil {
		return fmt.Errorf("stub: packet %s: not sent, an earlier one is unanswered: %w", short(next), err)
	}
	return nil
}

// send puts r on the wire as the pending request.
func (c *Client) send(r *request) error {
	r.frame = appendFrame(make([]byte, 0, len(r.packet)+4), r.packet)
	r.acked = make(chan struct{})
	r.reply = make(chan result, 1)
	c.mu.Lock()
	c.pending = r
	c.mu.Unlock()
	if err := c.write(r.frame); err != nil {
		return infra(err, "stub: packet %s", short(r.packet))
	}
	return nil
}

// await waits for r's reply; r stays pending when it does not come.
func (c *Client) await(ctx context.Context, r *request) ([]byte, error) {
	timer := time.NewTimer(c.opt.Timeout)
	defer timer.Stop()
	select {
	case res := <-r.reply:
		c.forget(r)
		return res.payload, res.err
	case <-ctx.Done():
		return nil, fmt.Errorf("stub: packet %s: %w", short(r.packet), ctx.Err())
	case <-timer.C:
		return nil, infra(ErrTimeout, "stub: packet %s: %v", short(r.packet), c.opt.Timeout)
	case <-c.done:
	}
	select { // the reply may have come with the end
	case res := <-r.reply:
		c.forget(r)
		return res.payload, res.err
	default:
		return nil, c.closedError("stub: packet " + short(r.packet))
	}
}

func (c *Client) forget(r *request) {
	c.mu.Lock()
	if c.pending == r {
		c.pending = nil
	}
	c.mu.Unlock()
}

func (c *Client) write(p []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.opt.Timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	return err
}

// read is the reader goroutine: bytes to packets, an answer to each, then to whom they belong.
func (c *Client) read() {
	err := c.readPackets()
	_ = c.conn.Close() // unblocks writers; the error that matters is err
	c.mu.Lock()
	switch {
	case c.closing:
		err = ErrClosed
	case c.last != nil && c.last.Exited:
		err = fmt.Errorf("qemu exited with status %d: %w", c.last.ExitCode, ErrClosed)
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("qemu hung up: %w", ErrClosed)
	}
	c.err = err
	if c.run != nil {
		c.run.end(Stop{}, infra(err, "run"))
	}
	c.mu.Unlock()
	close(c.done)
	close(c.stops)
}

func (c *Client) readPackets() error {
	var f framer
	buf := make([]byte, 16<<10)
	bad := 0
	for {
		n, err := c.conn.Read(buf)
		for _, b := range buf[:n] {
			var fail error
			switch f.feed(b) {
			case framePacket:
				bad = 0
				// The ack goes out before anyone hears of the packet: QEMU throws away every byte but + - $ while a
				// reply of its own is not acknowledged, an 0x03 too (gdb_read_byte).
				fail = c.write([]byte{'+'})
				c.dispatch(bytes.Clone(f.payload))
			case frameAck:
				c.onAck()
			case frameNak:
				fail = c.onNak()
			case frameBad:
				if bad++; bad > maxRetransmits {
					fail = fmt.Errorf("%d packets with a wrong checksum in a row: %w", bad, ErrProtocol)
				} else {
					fail = c.write([]byte{'-'})
				}
			case frameTooLong:
				fail = fmt.Errorf("packet longer than %d bytes: %w", maxPayload, ErrProtocol)
			}
			// Where the stub has gone and an ack cannot be written, its last words (W00) may still stand in the buffer.
			if fail != nil && errors.Is(fail, ErrProtocol) {
				return fail
			}
			if fail != nil && err == nil {
				err = fail
			}
		}
		if err != nil {
			return err
		}
	}
}

func (c *Client) onAck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil {
		c.pending.ack()
	}
}

func (r *request) ack() { r.ackOnce.Do(func() { close(r.acked) }) }

func (r *request) answer(res result) {
	r.ack()
	select {
	case r.reply <- res:
	default: // a second answer to one request
	}
}

func (c *Client) onNak() error {
	c.mu.Lock()
	r := c.pending
	if r == nil {
		c.mu.Unlock()
		return nil
	}
	if r.naks++; r.naks > maxRetransmits {
		r.answer(result{err: infra(ErrProtocol, "stub: packet %s: refused %d times", short(r.packet), r.naks)})
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	return c.write(r.frame)
}

// dispatch gives a packet to whom it belongs: the pending request, the current run, or nobody.
func (c *Client) dispatch(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.pending
	if looksLikeStop(payload) && (r == nil || !r.wantsStop) {
		c.onStop(string(payload))
		return
	}
	if len(payload) > 0 && payload[0] == 'O' && string(payload) != "OK" {
		c.onConsole(r, payload[1:])
		return
	}
	if r != nil {
		r.answer(result{payload: payload})
		return
	}
	// A resume that was acknowledged and then refused.
	if c.run != nil && !c.run.ended && (len(payload) == 0 || payload[0] == 'E') {
		c.run.end(Stop{}, fmt.Errorf("%s: refused by the stub: reply %s", c.run.op, short(string(payload))))
	}
}

// onConsole collects a monitor command's output. QEMU ends each piece with a NUL.
func (c *Client) onConsole(r *request, hex []byte) {
	if r == nil || r.console == nil {
		return
	}
	text, err := decodeHex(hex)
	if err != nil {
		r.answer(result{err: fmt.Errorf("stub: console packet: %w", err)})
		return
	}
	if r.console.Len()+len(text) > maxConsoleBytes {
		r.answer(result{err: fmt.Errorf("stub: packet %s: output over %d bytes: %w", short(r.packet), maxConsoleBytes, ErrProtocol)})
		return
	}
	r.console.Write(bytes.ReplaceAll(text, []byte{0}, nil))
}

// decodeHex decodes pairs of digits of either case.
func decodeHex(hex []byte) ([]byte, error) {
	if len(hex)%2 != 0 {
		return nil, fmt.Errorf("odd number of hex digits (%d): %w", len(hex), ErrProtocol)
	}
	out := make([]byte, len(hex)/2)
	for i := range out {
		hi, ok1 := unhex(hex[2*i])
		lo, ok2 := unhex(hex[2*i+1])
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("hex digits %q at %d: %w", hex[2*i:2*i+2], 2*i, ErrProtocol)
		}
		out[i] = hi<<4 | lo
	}
	return out, nil
}

// expectOK turns a reply that must be OK into an error when it is not.
func expectOK(packet string, reply []byte, err error) error {
	if err != nil {
		return err
	}
	if string(reply) != "OK" {
		return fmt.Errorf("stub: packet %s: reply %s instead of OK: %w", short(packet), short(string(reply)), ErrProtocol)
	}
	return nil
}
