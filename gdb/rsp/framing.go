package rsp

// frameEvent is what one more byte from the stub completed.
type frameEvent uint8

const (
	frameNone    frameEvent = iota // nothing yet
	framePacket                    // a whole packet with a right checksum; its payload is framer.payload
	frameAck                       // '+'
	frameNak                       // '-'
	frameBad                       // a packet with a wrong checksum or a broken run or escape: ask for it again
	frameTooLong                   // a packet over maxPayload: asking again would not help
)

// maxPayload bounds a decoded payload in bytes. QEMU's own limit is 4096 (MAX_PACKET_LENGTH); run lengths can
// multiply a hostile packet by 97, so the bound is on what comes out.
const maxPayload = 1 << 16

type frameState uint8

const (
	stateIdle frameState = iota
	stateBody
	stateEscape // after '}'
	stateRun    // after '*'
	stateSum1   // first digit of the checksum
	stateSum2
)

// framer takes the stub's bytes one at a time and gives packets. It is pure: no clock, no connection.
//
//	$ payload # hh      hh = sum of the bytes between $ and #, mod 256, two hex digits
//	} x                 the byte x^0x20
//	y * n               y, then n-29 more y, n in 0x20..0x7e
//
// GDB manual, "Overview" of the remote protocol. A '$' inside a packet starts it over, as in gdb's read_frame.
// QEMU never sends runs, and escapes # $ * } in binary replies (memtox).
type framer struct {
	state   frameState
	sum     byte
	want    byte
	broken  bool // the packet cannot be decoded; read on to its end
	tooLong bool
	payload []byte // valid after framePacket until the next feed
}

func (f *framer) feed(b byte) frameEvent {
	switch f.state {
	case stateIdle:
		return f.idle(b)
	case stateSum1:
		return f.checksum(b, true)
	case stateSum2:
		return f.checksum(b, false)
	}
	switch b {
	case '$':
		f.start()
		return frameNone
	case '#':
		if f.state != stateBody {
			f.broken = true // the packet ends inside an escape or a run
		}
		f.state = stateSum1
		return frameNone
	}
	f.sum += b
	switch f.state {
	case stateBody:
		switch b {
		case '}':
			f.state = stateEscape
		case '*':
			f.state = stateRun
		default:
			f.put(b, 1)
		}
	case stateEscape:
		f.put(b^0x20, 1)
		f.state = stateBody
	case stateRun:
		f.run(b)
		f.state = stateBody
	}
	return frameNone
}

func (f *framer) idle(b byte) frameEvent {
	switch b {
	case '$':
		f.start()
	case '+':
		return frameAck
	case '-':
		return frameNak
	}
	return frameNone // noise between packets
}

func (f *framer) start() {
	f.state = stateBody
	f.sum, f.want = 0, 0
	f.broken, f.tooLong = false, false
	f.payload = f.payload[:0]
}

func (f *framer) put(b byte, n int) {
	if len(f.payload)+n > maxPayload {
		f.tooLong = true
		return
	}
	for range n {
		f.payload = append(f.payload, b)
	}
}

func (f *framer) run(count byte) {
	if len(f.payload) == 0 || count < 0x20 || count > 0x7e {
		f.broken = true
		return
	}
	f.put(f.payload[len(f.payload)-1], int(count)-29)
}

func (f *framer) checksum(b byte, first bool) frameEvent {
	if b == '$' {
		f.start()
		return frameNone
	}
	digit, ok := unhex(b)
	if !ok {
		f.broken = true
	}
	f.want = f.want<<4 | digit
	if first {
		f.state = stateSum2
		return frameNone
	}
	f.state = stateIdle
	switch {
	case f.broken || f.want != f.sum:
		return frameBad
	case f.tooLong:
		return frameTooLong
	}
	return framePacket
}

// appendFrame appends payload as a packet. The four bytes that mean something on the wire are escaped.
func appendFrame(dst []byte, payload string) []byte {
	dst = append(dst, '$')
	var sum byte
	for i := range len(payload) {
		b := payload[i]
		switch b {
		case '$', '#', '}', '*':
			dst = append(dst, '}')
			sum += '}'
			b ^= 0x20
		}
		dst = append(dst, b)
		sum += b
	}
	return append(dst, '#', hexDigits[sum>>4], hexDigits[sum&15])
}

const hexDigits = "0123456789abcdef"

func unhex(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}
