package kernels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// lzoPayload reads what "lzop -9" writes (CONFIG_KERNEL_LZO, scripts/Makefile.lib): a header, then blocks of
// {u32 unpacked size; u32 packed size; u32 checksum; bytes}, big-endian, ended by a size of zero. A block that did not shrink is
// stored as it is. Checksums are not verified: the kernel does not, either (lib/decompress_unlzo.c).
type lzoPayload struct {
	src []byte // the rest of the file
	dst []byte // what is decoded and not yet read
	buf []byte
}

const (
	lzoMagic  = "\x89LZO\x00\r\n\x1a\n"
	lzoBlock  = 256 << 10 // lzop's block size; the kernel takes no larger one
	lzoFilter = 0x800     // in the header's flags: 4 bytes more follow
)

var errLZO = errors.New("lzo: damaged data")

// newLZOPayload reads the header: magic, version u16, library u16, [needed u16], method u8, [level u8], flags u32, [filter u32],
// mode u32, mtime u32, [mtime high u32], name, checksum u32. What is in brackets is there since 0.940.
func newLZOPayload(data []byte) (io.Reader, error) {
	if len(data) < 40 || string(data[:len(lzoMagic)]) != lzoMagic {
		return nil, errors.New("bad header")
	}
	at := len(lzoMagic)
	version := binary.BigEndian.Uint16(data[at:])
	at += 2 + 2 + 2 + 1
	if version >= 0x940 {
		at++
	}
	if binary.BigEndian.Uint32(data[at:])&lzoFilter != 0 {
		at += 4
	}
	at += 4 + 8
	if version >= 0x940 {
		at += 4
	}
	if at >= len(data) || int(data[at])+5 > len(data)-at {
		return nil, errors.New("bad header")
	}
	at += 1 + int(data[at]) + 4
	return &lzoPayload{src: data[at:]}, nil
}

func (l *lzoPayload) Read(p []byte) (int, error) {
	for len(l.dst) == 0 {
		if len(l.src) < 12 || binary.BigEndian.Uint32(l.src) == 0 {
			return 0, io.EOF // a cut file, too: the ELF reader says when something is missing
		}
		size, packed := binary.BigEndian.Uint32(l.src), binary.BigEndian.Uint32(l.src[4:])
		if size > lzoBlock || packed > size || packed == 0 || int(packed) > len(l.src)-12 {
			return 0, fmt.Errorf("lzo block of %d bytes, %d packed: %w", size, packed, errLZO)
		}
		block := l.src[12 : 12+packed]
		l.src = l.src[12+packed:]
		if packed == size {
			l.dst = block
			break
		}
		out, err := unpackLZO1X(l.buf[:0], block, int(size))
		if err != nil {
			return 0, err
		}
		l.buf, l.dst = out, out
	}
	n := copy(p, l.dst)
	l.dst = l.dst[n:]
	return n, nil
}

// unpackLZO1X appends one block to dst, which may grow to size bytes.
//
// Format: Documentation/staging/lzo.rst. An instruction is a match of earlier bytes, followed by up to three literal ones, or a
// run of literals; what a small first byte means depends on how many literals the last instruction copied (state):
//
//	1LLDDDSS, 01LDDDSS  D     length 5..8, 3..4    distance DDDDDDDD DDD + 1
//	001LLLLL DDDDDDDD DDDDDDSS   length 2 + L      distance D + 1
//	0001HLLL DDDDDDDD DDDDDDSS   length 2 + L      distance H<<14 + D + 16384; 16384 is the end
//	0000DDSS D    after 1 to 3:  length 2          distance D + 1
//	              after a run:   length 3          distance D + 2049
//	0000LLLL      after none:    a run of 3 + L literals
//
// A length field of zeros goes on in the following bytes: 255 for each zero, and the first other one.
func unpackLZO1X(dst, src []byte, size int) ([]byte, error) {
	l := lzoBlockReader{src: src, dst: dst, size: size}
	state := 0
	if len(src) > 0 && src[0] > 17 { // only as the first byte
		n := int(l.byte()) - 17
		l.literals(n)
		state = min(n, 4)
	}
	for !l.bad {
		op := int(l.byte())
		length, distance, next := 0, 0, op&3
		switch {
		case op >= 64:
			length, distance = op>>5+1, op>>2&7+int(l.byte())<<3+1
		case op >= 32:
			length = l.length(op&31, 31) + 2
			v := l.word()
			distance, next = v>>2+1, v&3
		case op >= 16:
			length = l.length(op&7, 7) + 2
			v := l.word()
			distance, next = op&8<<11+v>>2, v&3
			if distance == 0 {
				if l.bad || length != 3 || len(l.dst) != size {
					return nil, errLZO
				}
				return l.dst, nil
			}
			distance += 16384
		case state == 0:
			l.literals(l.length(op, 15) + 3)
			state = 4
			continue
		case state == 4:
			length, distance = 3, op>>2+int(l.byte())<<2+2049
		default:
			length, distance = 2, op>>2+int(l.byte())<<2+1
		}
		l.match(distance, length)
		l.literals(next)
		state = next
	}
	return nil, errLZO
}

// lzoBlockReader has the two ends of a block. Whatever goes over one of them sets bad and does nothing.
type lzoBlockReader struct {
	src, dst []byte
	size     int
	bad      bool
}

func (l *lzoBlockReader) byte() byte {
	if len(l.src) == 0 {
		l.bad = true
		return 0
	}
	b := l.src[0]
	l.src = l.src[1:]
	return b
}

func (l *lzoBlockReader) word() int {
	low := int(l.byte())
	return low | int(l.byte())<<8
}

// length is a length field that goes on in the following bytes when it is zero; all is its largest value.
func (l *lzoBlockReader) length(field, all int) int {
	if field != 0 {
		return field
	}
	n := all
	for {
		b := l.byte()
		if b != 0 || l.bad {
			return n + int(b)
		}
		n += 255
	}
}

func (l *lzoBlockReader) literals(n int) {
	if n > len(l.src) || n > l.size-len(l.dst) {
		l.bad = true
		return
	}
	l.dst, l.src = append(l.dst, l.src[:n]...), l.src[n:]
}

func (l *lzoBlockReader) match(distance, n int) {
	from := len(l.dst) - distance
	if from < 0 || n > l.size-len(l.dst) {
		l.bad = true
		return
	}
	for i := range n { // the match may overlap what it makes
		l.dst = append(l.dst, l.dst[from+i])
	}
}
