package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// newXzPayload reads the first block of an .xz stream. ulikunitz/xz knows no filter but LZMA2, and the kernel's build puts the x86 one before it
// (scripts/xz_wrap.sh: --x86), so the block's header is read here; a plain LZMA2 stream is left to the library.
//
// Block header (The .xz File Format 1.2.0, 3.1): size/4-1, flags (low 2 bits: filters-1; 0x40, 0x80: sizes follow), sizes, filters as
// {id, length of properties, properties}, padding, CRC32.
func newXzPayload(data []byte) (io.Reader, error) {
	const streamHeader = 12
	if len(data) < streamHeader+8 {
		return nil, errors.New("cut off")
	}
	size := (int(data[streamHeader]) + 1) * 4
	block := data[streamHeader:]
	if size < 8 || size > len(block) || crc32.ChecksumIEEE(block[:size-4]) != le32(block, size-4) {
		return nil, errors.New("block header is damaged")
	}
	h := block[2 : size-4]
	varint := func() uint64 {
		v, n := binary.Uvarint(h)
		if n <= 0 {
			h = nil
			return 0
		}
		h = h[n:]
		return v
	}
	flags := block[1]
	for _, bit := range []byte{0x40, 0x80} {
		if flags&bit != 0 {
			varint()
		}
	}
	x86, dict := false, -1
	for range int(flags&3) + 1 {
		id, n := varint(), varint()
		if n > uint64(len(h)) {
			return nil, errors.New("block header is damaged")
		}
		switch {
		case id == 4 && n == 0:
			x86 = true
		case id == 0x21 && n == 1 && h[0] < 40:
			dict = (2 | int(h[0])&1) << (h[0]/2 + 11)
		default:
			return nil, errors.New("a filter that no x86 kernel is compressed with")
		}
		h = h[n:]
	}
	if dict < 0 || dict > maxDictionary {
		return nil, errors.New("dictionary out of range")
	}
	if !x86 {
		return xz.ReaderConfig{DictCap: dict, SingleStream: true}.NewReader(bytes.NewReader(data))
	}
	r, err := lzma.Reader2Config{DictCap: dict}.NewReader2(bytes.NewReader(block[size:]))
	if err != nil {
		return nil, err
	}
	return &x86Filter{r: r}, nil
}

// An x86Filter turns the absolute targets of CALL and JMP (E8, E9) back into relative ones. It is the decoder of lib/xz/xz_dec_bcj.c,
// bcj_x86(), which is in the public domain.
type x86Filter struct {
	r    io.Reader
	buf  []byte // what was read; the first ready bytes are decoded
	done int
	pos  uint32 // of buf[done] in the stream
	mask uint32
	err  error
}

func (f *x86Filter) Read(p []byte) (int, error) {
	for f.done == 0 {
		if f.err != nil {
			if len(f.buf) == 0 || f.err != io.EOF {
				return 0, f.err
			}
			f.done = len(f.buf) // the last bytes are too few for a target
			break
		}
		have := len(f.buf)
		if cap(f.buf) < 1<<16 {
			f.buf = append(make([]byte, 0, 1<<16), f.buf...)
		}
		var n int
		n, f.err = f.r.Read(f.buf[have:cap(f.buf)])
		f.buf = f.buf[:have+n]
		f.done = f.decode(f.buf)
		f.pos += uint32(f.done)
	}
	n := copy(p, f.buf[:f.done])
	f.done -= n
	if f.buf = f.buf[n:]; f.done == 0 {
		f.buf = append(make([]byte, 0, 1<<16), f.buf...)
	}
	return n, nil
}

func (f *x86Filter) decode(b []byte) int {
	if len(b) <= 4 {
		return 0
	}
	allowed := [8]bool{true, true, true, false, true, false, false, false}
	bits := [8]uint32{0, 1, 2, 2, 3, 3, 3, 3}
	edge := func(b byte) bool { return b == 0 || b == 0xff }
	prev, mask := -1, f.mask
	i := 0
	for ; i < len(b)-4; i++ {
		if b[i]&0xfe != 0xe8 {
			continue
		}
		if gap := i - prev; gap > 3 {
			mask = 0
		} else if mask = mask << (gap - 1) & 7; mask != 0 {
			if !allowed[mask] || edge(b[i+4-int(bits[mask])]) {
				prev, mask = i, mask<<1|1
				continue
			}
		}
		prev = i
		if !edge(b[i+4]) {
			mask = mask<<1 | 1
			continue
		}
		src := binary.LittleEndian.Uint32(b[i+1:])
		var dest uint32
		for {
			dest = src - (f.pos + uint32(i) + 5)
			if mask == 0 {
				break
			}
			j := bits[mask] * 8
			if !edge(byte(dest >> (24 - j))) {
				break
			}
			src = dest ^ (1<<(32-j) - 1)
		}
		dest &= 0x01ffffff
		dest |= -(dest & 0x01000000)
		binary.LittleEndian.PutUint32(b[i+1:], dest)
		i += 4
	}
	if gap := i - prev; gap > 3 {
		f.mask = 0
	} else {
		f.mask = mask << (gap - 1)
	}
	return i
}
