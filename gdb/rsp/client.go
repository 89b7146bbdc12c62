package rsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
