package rsptest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
)

// Record wraps a live connection and writes what passes through it to path when the test ends without a failure. header says
// what was recorded, without a leading #: emulator, arguments, date. The client must not see checksum errors: only good
// packets are recorded, in the order in which they were sent and received.
func Record(t testing.TB, conn net.Conn, path, header string) net.Conn {
	t.Helper()
	r := &recorder{Conn: conn}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		var out strings.Builder
		for l := range strings.Lines(header) {
			fmt.Fprintf(&out, "# %s\n", strings.TrimSuffix(l, "\n"))
		}
		out.WriteString(r.out.String())
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Error(err)
		}
	})
	return r
}

type recorder struct {
	net.Conn
	mu       sync.Mutex
	out      strings.Builder
	to, from splitter
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock() // before the write: the reply must not be recorded first
	for _, payload := range r.to.feed(p) {
		r.note('>', payload)
	}
	r.mu.Unlock()
	return r.Conn.Write(p)
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	for _, payload := range r.from.feed(p[:n]) {
		r.note('<', payload)
	}
	r.mu.Unlock()
	return n, err
}

func (r *recorder) note(direction byte, payload string) {
	text := escape(payload)
	if payload == "\x03" {
		text = "^C"
	}
	fmt.Fprintf(&r.out, "%c %s\n", direction, text)
}

// splitter finds packets and interrupts in a stream of good bytes.
type splitter struct {
	in      bool
	escaped bool
	sum     int // checksum digits still to come
	payload []byte
}

func (s *splitter) feed(p []byte) (packets []string) {
	for _, b := range p {
		switch {
		case s.sum > 0:
			if s.sum--; s.sum == 0 {
				packets = append(packets, string(s.payload))
			}
		case !s.in:
			switch b {
			case '$':
				s.in, s.payload = true, s.payload[:0]
			case 0x03:
				packets = append(packets, "\x03")
			}
		case b == '#':
			s.in, s.sum = false, 2
		case s.escaped:
			s.payload, s.escaped = append(s.payload, b^0x20), false
		case b == '}':
			s.escaped = true
		default:
			s.payload = append(s.payload, b)
		}
	}
	return packets
}
