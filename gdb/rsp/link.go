package rsp

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Interrupt is what [Link.Packets] gives for a 0x03 between packets: gdb wants the machine to stop.
const Interrupt = "\x03"

// Link is one end of a connection, gdb's or the stub's: it knows packets, and not what they mean. Who wants to ask a stub something
// takes a [Client].
type Link struct {
	conn    net.Conn
	packets chan string
	gone    chan struct{}

	mu    sync.Mutex // of what is written
	frame []byte     // the last packet, for a peer that asks for it again

	closing sync.Once
	err     error // valid once packets is closed
}

// NewLink owns the connection from now on.
func NewLink(conn net.Conn) *Link {
	l := &Link{conn: conn, packets: make(chan string), gone: make(chan struct{})}
	go l.read()
	return l
}

// Packets gives the payloads that arrive, decoded and acknowledged, and [Interrupt]. It is closed when the connection ends; see Err.
func (l *Link) Packets() <-chan string { return l.packets }

// Err is why the connection ended, once Packets is closed: nil when one of the two sides closed it.
func (l *Link) Err() error { return l.err }

// Send writes a packet. It does not wait for the acknowledgement: the peer's own packet, or its silence, says more.
func (l *Link) Send(payload string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frame = appendFrame(l.frame[:0], payload)
	_, err := l.conn.Write(l.frame)
	return err
}

// SendInterrupt writes a 0x03.
func (l *Link) SendInterrupt() error { return l.raw(0x03) }

func (l *Link) raw(b byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.conn.Write([]byte{b})
	return err
}

func (l *Link) again() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.conn.Write(l.frame)
	return err
}

// Close ends the connection. It may be called again.
func (l *Link) Close() error {
	l.closing.Do(func() { close(l.gone) })
	return l.conn.Close()
}

func (l *Link) read() {
	defer close(l.packets)
	err := l.readPackets()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
		l.err = err
	}
}

func (l *Link) readPackets() error {
	var f framer
	buf := make([]byte, 4<<10)
	bad := 0
	for {
		n, err := l.conn.Read(buf)
		for _, b := range buf[:n] {
			var payload string
			if f.state == stateIdle && b == 0x03 {
				payload = Interrupt
			} else {
				switch f.feed(b) {
				case framePacket:
					bad = 0
					_ = l.raw('+') // a peer that has gone may have left its last words
					payload = string(f.payload)
				case frameNak:
					if bad++; bad > maxRetransmits {
						return ErrProtocol
					}
					_ = l.again()
					continue
				case frameBad:
					if bad++; bad > maxRetransmits {
						return ErrProtocol
					}
					_ = l.raw('-')
					continue
				case frameTooLong:
					return ErrProtocol
				default:
					continue
				}
			}
			select {
			case l.packets <- payload:
			case <-l.gone:
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}
