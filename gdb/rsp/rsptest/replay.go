package rsptest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// patience bounds the stub's wait for the client. It decides no test: one that hangs fails here and not after ten minutes.
const patience = 20 * time.Second

// Replay returns the client's end of a connection to a stub that plays the transcript at path. The test fails with
// path:line at the first packet that is not the recorded one or comes after the last, at a packet without its
// acknowledgement, and at the end when packets are left. After a last W or X packet the stub hangs up, as QEMU does.
// Close the connection, or let the test's end do it.
func Replay(t testing.TB, path string) net.Conn {
	t.Helper()
	return serve(t, path, false, (*stub).play)
}

// ReplayRaw is [Replay] for a raw transcript: bytes, without framing, checksums or acknowledgements being added.
func ReplayRaw(t testing.TB, path string) net.Conn {
	t.Helper()
	return serve(t, path, true, (*stub).playRaw)
}

type stub struct {
	conn net.Conn
	path string
	last bool // the last line to the stub was ^C: more of them may come
}

func serve(t testing.TB, path string, raw bool, play func(*stub, []line) error) net.Conn {
	t.Helper()
	lines, err := load(path, raw)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		s := &stub{conn: server, path: path}
		err := server.SetDeadline(time.Now().Add(patience))
		if err == nil {
			err = play(s, lines)
		}
		_ = server.Close()
		done <- err
	}()
	t.Cleanup(func() {
		_ = client.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client
}

func (s *stub) errorf(l line, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", s.path, l.number, fmt.Sprintf(format, args...))
}

func (s *stub) play(lines []line) error {
	for _, l := range lines {
		if !l.toStub {
			if err := s.send(l); err != nil {
				return err
			}
			continue
		}
		got, err := s.receive()
		if err != nil {
			return s.errorf(l, "want > %s: %v", escape(l.payload), err)
		}
		if got != l.payload {
			return s.errorf(l, "got > %s, want > %s", escape(got), escape(l.payload))
		}
		s.last = l.interrupt
		if !l.interrupt {
			if _, err := s.conn.Write([]byte{'+'}); err != nil {
				return s.errorf(l, "ack: %v", err)
			}
		}
	}
	return s.end(lines)
}

// end hangs up after a last W or X, as QEMU does, and else waits for the client to, which must have nothing more to say.
func (s *stub) end(lines []line) error {
	if len(lines) == 0 {
		return nil
	}
	last := lines[len(lines)-1]
	if p := last.payload; !last.toStub && p != "" && (p[0] == 'W' || p[0] == 'X') {
		return nil
	}
	got, err := s.receive()
	switch {
	case errors.Is(err, errHungUp):
		return nil
	case err != nil:
		return s.errorf(last, "after the end of the transcript: %v", err)
	}
	return s.errorf(last, "got > %s after the end of the transcript", escape(got))
}

var errHungUp = errors.New("the client hung up")

// send writes one packet and waits for its acknowledgement.
func (s *stub) send(l line) error {
	if _, err := s.conn.Write(frame(l.payload)); err != nil {
		return s.errorf(l, "send: %v", err)
	}
	for {
		b, err := s.byte()
		switch {
		case err != nil:
			return s.errorf(l, "no acknowledgement: %v", err)
		case b == '+':
			return nil
		case b == 0x03 && s.last:
		default:
			return s.errorf(l, "%q instead of an acknowledgement", b)
		}
	}
}

// receive reads one packet, or an interrupt, from the client. It is strict: the client's bytes are ours.
func (s *stub) receive() (string, error) {
	b, err := s.byte()
	for err == nil && b == 0x03 && s.last {
		b, err = s.byte()
	}
	switch {
	case err != nil:
		return "", err
	case b == 0x03:
		return "\x03", nil
	case b != '$':
		return "", fmt.Errorf("packet starts with %q", b)
	}
	var payload []byte
	var sum byte
	for {
		if b, err = s.byte(); err != nil {
			return "", err
		}
		if b == '#' {
			break
		}
		sum += b
		if b == '}' {
			if b, err = s.byte(); err != nil {
				return "", err
			}
			sum += b
			b ^= 0x20
		}
		payload = append(payload, b)
	}
	var digits [2]byte
	if _, err := io.ReadFull(s.conn, digits[:]); err != nil {
		return "", err
	}
	if want := fmt.Sprintf("%02x", sum); string(digits[:]) != want {
		return "", fmt.Errorf("packet %q has checksum %s, want %s", payload, digits[:], want)
	}
	return string(payload), nil
}

func (s *stub) byte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(s.conn, b[:])
	if errors.Is(err, io.EOF) {
		err = errHungUp
	}
	return b[0], err
}

func (s *stub) playRaw(lines []line) error {
	for _, l := range lines {
		if !l.toStub {
			if _, err := io.WriteString(s.conn, l.payload); err != nil {
				return s.errorf(l, "send: %v", err)
			}
			continue
		}
		got := make([]byte, len(l.payload))
		n, err := io.ReadFull(s.conn, got)
		if err != nil {
			return s.errorf(l, "got > %q, want > %q: %v", got[:n], l.payload, err)
		}
		if string(got) != l.payload {
			return s.errorf(l, "got > %q, want > %q", got, l.payload)
		}
	}
	return nil
}

// frame is the framing once more, on purpose not the client's: a mistake there must not be made here too.
func frame(payload string) []byte {
	out := []byte{'$'}
	sum := 0
	for _, b := range []byte(payload) {
		if b == '$' || b == '#' || b == '}' || b == '*' {
			out = append(out, '}')
			sum += '}'
			b ^= 0x20
		}
		out = append(out, b)
		sum += int(b)
	}
	return fmt.Appendf(out, "#%02x", sum%256)
}
