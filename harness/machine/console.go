package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Bounds on what a console keeps, whatever the guest prints.
const (
	// consoleTail is how many of the last bytes are kept in memory.
	consoleTail = 1 << 20
	// ConsoleLog is how many of the first bytes go to the log file.
	ConsoleLog = 64 << 20
	// consoleStamps is how many times are kept; when there are more, every other one goes.
	consoleStamps = 1 << 14
	// gather is how long what comes may wait before it is read. QEMU's UART writes byte by byte, and to be woken for each costs
	// both sides more than all else that is done with it.
	gather = 2 * time.Millisecond
	// trickle is how little must have come for that, in bytes: a flood is read as it comes, or the guest waits for us.
	trickle = 4 << 10
	// maxNeedle is how long a text may be that is looked for.
	maxNeedle = 4096
)

// Console is a serial line, as it was received: raw bytes of a hostile guest, not cleaned for any terminal. It keeps
// the last 1 MiB, writes the first 64 MiB to a log, and remembers when things came. All methods may be called at any time,
// also after the machine has ended.
type Console struct {
	now func() time.Time

	mu      sync.Mutex
	log     io.WriteCloser // nil: no log, or full, or failed
	logged  int64
	logErr  error
	total   int64
	ring    []byte // the last bytes, at ring[position % consoleTail]
	stamps  []Stamp
	spacing time.Duration // least time between two stamps
	first   time.Time
	last    time.Time
	needles map[string]*needle
	ended   bool
	endErr  error
	changed chan struct{} // closed and replaced when something comes
	closed  chan struct{} // closed when reading has ended
}

// Stamp says that the bytes from Offset on came at Time or later, up to the next stamp's.
type Stamp struct {
	Offset int64
	Time   time.Time
}

// needle is a text that is looked for from its first mention on.
type needle struct {
	text  []byte
	found bool
	carry []byte // the last len(text)-1 bytes seen, for an occurrence across two chunks
}

// NewConsole returns a console that nothing has come from yet. Raw bytes go to log, unless it is nil; the console closes
// it. now is the clock.
func NewConsole(log io.WriteCloser, now func() time.Time) *Console {
	return &Console{now: now, log: log, needles: map[string]*needle{}, changed: make(chan struct{}),
		closed: make(chan struct{}), spacing: time.Millisecond}
}

// read takes all that comes from r, until its end.
func (c *Console) read(r io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			c.receive(buf[:n])
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil
			}
			c.end(err)
			return
		}
		if n < trickle {
			time.Sleep(gather) // the pipe takes 64 KiB meanwhile
		}
	}
}

// receive takes one chunk.
func (c *Console) receive(chunk []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.now()
	if c.total == 0 {
		c.first = at
	}
	c.last = at
	c.stamp(at)
	c.write(chunk)
	for _, n := range c.needles {
		n.look(chunk)
	}
	c.keep(chunk)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Console) stamp(at time.Time) {
	if n := len(c.stamps); n > 0 && at.Sub(c.stamps[n-1].Time) < c.spacing {
		return
	}
	if len(c.stamps) == consoleStamps {
		half := c.stamps[:0]
		for i := 0; i < consoleStamps; i += 2 {
			half = append(half, c.stamps[i])
		}
		c.stamps = half
		c.spacing *= 2
	}
	c.stamps = append(c.stamps, Stamp{Offset: c.total, Time: at})
}

func (c *Console) write(chunk []byte) {
	if c.log == nil || c.logErr != nil {
		return
	}
	if room := ConsoleLog - c.logged; int64(len(chunk)) > room {
		chunk = chunk[:room]
	}
	n, err := c.log.Write(chunk)
	c.logged += int64(n)
	c.logErr = err
}

// keep puts chunk into the ring, which grows to its full size only when a guest prints that much.
func (c *Console) keep(chunk []byte) {
	c.total += int64(len(chunk))
	if len(chunk) >= consoleTail {
		// The ring is then exactly the chunk's end, turned so that positions still fit.
		chunk = chunk[len(chunk)-consoleTail:]
		c.ring = make([]byte, consoleTail)
		at := int((c.total) % consoleTail)
		copy(c.ring[at:], chunk)
		copy(c.ring, chunk[consoleTail-at:])
		return
	}
	if room := consoleTail - len(c.ring); room > 0 {
		n := min(room, len(chunk))
		c.ring = append(c.ring, chunk[:n]...)
		chunk = chunk[n:]
	}
	if len(chunk) == 0 {
		return
	}
	at := int((c.total - int64(len(chunk))) % consoleTail)
	n := copy(c.ring[at:], chunk)
	copy(c.ring, chunk[n:])
}

// look searches one chunk and the end of the one before.
func (n *needle) look(chunk []byte) {
	if n.found {
		return
	}
	keep := len(n.text) - 1
	seam := append(n.carry, chunk[:min(keep, len(chunk))]...)
	if bytes.Contains(seam, n.text) || bytes.Contains(chunk, n.text) {
		n.found, n.carry = true, nil
		return
	}
	if len(chunk) >= keep {
		n.carry = append(n.carry[:0], chunk[len(chunk)-keep:]...)
		return
	}
	n.carry = append(n.carry[:0], seam[max(0, len(seam)-keep):]...)
}

func (c *Console) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.endErr = true, err
	if c.log != nil {
		if err := c.log.Close(); c.logErr == nil {
			c.logErr = err
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	close(c.closed)
}

// Bytes is how many bytes have come.
func (c *Console) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// Tail returns a copy of the last bytes, at most n and at most 1 MiB.
func (c *Console) Tail(n int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tail(n)
}

func (c *Console) tail(n int) []byte {
	n = max(0, min(n, len(c.ring)))
	out := make([]byte, n)
	if len(c.ring) < consoleTail {
		copy(out, c.ring[len(c.ring)-n:])
		return out
	}
	at := int((c.total - int64(n)) % consoleTail)
	m := copy(out, c.ring[at:])
	copy(out[m:], c.ring)
	return out
}

// LastByte is when the last byte came; zero if none has.
func (c *Console) LastByte() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// FirstByte is when the first byte came; zero if none has.
func (c *Console) FirstByte() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Stamps returns when which bytes came, oldest first: at most 16384 stamps, at least a millisecond apart.
func (c *Console) Stamps() []Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Stamp(nil), c.stamps...)
}

// Contains reports whether text has appeared, in whatever pieces it came. The first question about a text looks through
// the last 1 MiB, and from then on the console watches for it. text has 1 to 4096 bytes; of any other length it is never
// there.
func (c *Console) Contains(text string) bool {
	if len(text) == 0 || len(text) > maxNeedle {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contains(text)
}

func (c *Console) contains(text string) bool {
	n, known := c.needles[text]
	if !known {
		n = &needle{text: []byte(text)}
		n.look(c.tail(consoleTail))
		if len(c.needles) < 1024 || n.found {
			c.needles[text] = n
		}
	}
	return n.found
}

// Wait waits until text has appeared (see [Console.Contains]), ctx is done, or the line has ended.
func (c *Console) Wait(ctx context.Context, text string) error {
	if len(text) == 0 || len(text) > maxNeedle {
		return fmt.Errorf("wait for console text: %d bytes: want 1 to %d", len(text), maxNeedle)
	}
	for {
		c.mu.Lock()
		found, ended, changed := c.contains(text), c.ended, c.changed
		c.mu.Unlock()
		switch {
		case found:
			return nil
		case ended:
			return fmt.Errorf("wait for console text %q: the line has ended: %w", text, io.EOF)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for console text %q: %w", text, context.Cause(ctx))
		}
	}
}

// LogError is what went wrong with the log file, such as a full disk; the rest works on without it.
func (c *Console) LogError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logErr
}

// LogTruncated reports whether more came than the log takes.
func (c *Console) LogTruncated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log != nil && c.logErr == nil && c.logged < c.total
}
