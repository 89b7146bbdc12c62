package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// logFile is a log in memory.
type logFile struct {
	bytes.Buffer
	closed int
	err    error
}

func (l *logFile) Write(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	return l.Buffer.Write(p)
}

func (l *logFile) Close() error { l.closed++; return nil }

func TestConsoleSeesTextAcrossChunks(t *testing.T) {
	const text = "kcatch: init reached 0123"
	for size := 1; size <= len(text)+3; size++ {
		for _, early := range []bool{false, true} {
			c := NewConsole(nil, time.Now)
			if early && c.Contains(text) {
				t.Fatal("found before anything came")
			}
			stream := "[    0.1] kcatch: init kcatch: init reached 0" + "kcatch: init reached " + text + "\n"
			for rest := stream; rest != ""; {
				n := min(size, len(rest))
				c.receive([]byte(rest[:n]))
				rest = rest[n:]
			}
			if !c.Contains(text) || c.Contains(text+"4") || c.Contains("") {
				t.Errorf("chunks of %d, asked early %v: text not found, or another was", size, early)
			}
			if got := string(c.Tail(1000)); got != stream {
				t.Errorf("tail %q, want %q", got, stream)
			}
		}
	}
}

func TestConsoleIsBounded(t *testing.T) {
	log := &logFile{}
	now := time.Unix(1, 0)
	c := NewConsole(log, func() time.Time { now = now.Add(time.Millisecond); return now })
	c.receive([]byte("first words\n"))
	if !c.Contains("first words") {
		t.Fatal("not found")
	}
	c.Contains("last words")
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 4096) // 64 KiB
	const chunks = 1600                                      // 100 MiB
	for range chunks {
		c.receive(chunk)
	}
	c.receive([]byte("last words"))
	total := int64(len("first words\n") + chunks*len(chunk) + len("last words"))
	if c.Bytes() != total || log.Len() != ConsoleLog || !c.LogTruncated() {
		t.Errorf("%d bytes, %d in the log; want %d, %d", c.Bytes(), log.Len(), total, ConsoleLog)
	}
	if !c.Contains("first words") || !c.Contains("last words") {
		t.Error("text lost")
	}
	if tail := c.Tail(1 << 30); len(tail) != consoleTail || !bytes.HasSuffix(tail, []byte("bcde\nlast words")) {
		t.Errorf("tail of %d bytes ends in %q", len(tail), tail[max(0, len(tail)-20):])
	}
	if len(c.ring) > consoleTail || len(c.Stamps()) > consoleStamps {
		t.Errorf("keeps %d bytes and %d stamps", len(c.ring), len(c.Stamps()))
	}
	if c.FirstByte() != time.Unix(1, 1e6) || !c.LastByte().Equal(now) {
		t.Errorf("first byte at %v, last at %v", c.FirstByte(), c.LastByte())
	}
}

func TestConsoleStampsThinOut(t *testing.T) {
	now := time.Unix(1, 0)
	c := NewConsole(nil, func() time.Time { now = now.Add(time.Millisecond); return now })
	for range 3 * consoleStamps {
		c.receive([]byte("x"))
	}
	s := c.Stamps()
	if len(s) > consoleStamps || len(s) < consoleStamps/4 || s[0].Offset != 0 {
		t.Fatalf("%d stamps, the first %+v", len(s), s[0])
	}
	for i := 1; i < len(s); i++ {
		if s[i].Offset <= s[i-1].Offset || !s[i].Time.After(s[i-1].Time) {
			t.Fatalf("stamps out of order: %+v, %+v", s[i-1], s[i])
		}
	}
}

func TestConsoleOutlivesItsLog(t *testing.T) {
	full := errors.New("no space left on device")
	c := NewConsole(&logFile{err: full}, time.Now)
	c.read(strings.NewReader("some words"))
	if !c.Contains("words") || !errors.Is(c.LogError(), full) {
		t.Errorf("log error %v", c.LogError())
	}
}

func TestConsoleWait(t *testing.T) {
	log := &logFile{}
	c := NewConsole(log, time.Now)
	r, w := io.Pipe()
	go c.read(r)
	go func() {
		for _, s := range []string{"init rea", "ched", " 1\n"} {
			_, _ = w.Write([]byte(s))
		}
	}()
	if err := c.Wait(t.Context(), "reached 1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, "never"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	w.Close()
	if err := c.Wait(t.Context(), "never"); !errors.Is(err, io.EOF) {
		t.Errorf("ended: %v", err)
	}
	if err := c.Wait(t.Context(), ""); err == nil {
		t.Error("waits for nothing")
	}
	<-c.closed
	if log.closed != 1 || log.String() != "init reached 1\n" {
		t.Errorf("log %q closed %d times", log.String(), log.closed)
	}
}

// The oracle is the whole stream in one piece.
func FuzzConsole(f *testing.F) {
	f.Add("kcatch: init kcatch: init reached 1", "kcatch: init reached 1", uint64(1), true)
	f.Add("aaaaaaaaab", "aaab", uint64(7), false)
	f.Fuzz(func(t *testing.T, stream, text string, seed uint64, early bool) {
		c := NewConsole(nil, time.Now)
		if early {
			c.Contains(text)
		}
		random := rand.New(rand.NewPCG(seed, 1))
		for rest := stream; rest != ""; {
			n := 1 + random.IntN(min(len(rest), 9))
			c.receive([]byte(rest[:n]))
			rest = rest[n:]
		}
		want := text != "" && len(text) <= maxNeedle && strings.Contains(stream, text)
		if got := c.Contains(text); got != want {
			t.Errorf("Contains %v, want %v", got, want)
		}
		if len(stream) <= consoleTail && string(c.Tail(consoleTail)) != stream {
			t.Error("tail is not the stream")
		}
	})
}

// The ring is checked against the stream's own end, at a size that wraps.
func TestConsoleTailWraps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := NewConsole(nil, time.Now)
	var all []byte
	for len(all) < 4*consoleTail {
		chunk := make([]byte, 1+random.IntN(consoleTail/3))
		if random.IntN(8) == 0 {
			chunk = make([]byte, consoleTail+random.IntN(100))
		}
		for i := range chunk {
			chunk[i] = byte(random.Uint32())
		}
		c.receive(chunk)
		all = append(all, chunk...)
		n := random.IntN(consoleTail + 2)
		want := all[len(all)-min(n, len(all), consoleTail):]
		if !bytes.Equal(c.Tail(n), want) {
			t.Fatalf("tail of %d after %d bytes is wrong", n, len(all))
		}
	}
}

// drip is a UART: a byte each 100 µs, a thousand in all.
type drip struct {
	begin        time.Time
	given, reads int
}

func (d *drip) Read(p []byte) (int, error) {
	const all, each = 1000, 100 * time.Microsecond
	if d.given == all {
		return 0, io.EOF
	}
	d.reads++
	time.Sleep(time.Until(d.begin.Add(time.Duration(d.given+1) * each))) // for the next one, if it is not there yet
	n := min(int(time.Since(d.begin)/each), all, d.given+len(p)) - d.given
	for i := range p[:n] {
		p[i] = byte(d.given + i)
	}
	d.given += n
	return n, nil
}

// TestConsoleReadsInGulps: what comes byte by byte is not read byte by byte, and none is lost or late.
func TestConsoleReadsInGulps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &drip{begin: time.Now()}
		c := NewConsole(nil, time.Now)
		c.read(d)
		if d.reads < 40 || d.reads > 60 {
			t.Errorf("%d reads of a thousand bytes in 100 ms, want one each 2 ms", d.reads)
		}
		for i, b := range c.Tail(1000) {
			if b != byte(i) {
				t.Fatalf("byte %d is 0x%x", i, b)
			}
		}
		if late := c.LastByte().Sub(d.begin) - 100*time.Millisecond; c.Bytes() != 1000 || late < 0 || late > gather {
			t.Errorf("%d bytes, the last %s late", c.Bytes(), late)
		}
	})
}
