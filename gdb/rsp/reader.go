package rsp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

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
		c.run.end(Stop{}, infra(ErrProtocol, "%s: refused by the stub: reply %s", c.run.op, short(string(payload))))
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
