package kernels

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"
)

// Format is how a boot image's payload is compressed.
type Format uint8

// The formats that the kernel can be built with (KERNEL_GZIP and so on).
const (
	Unknown Format = iota
	Gzip
	XZ
	Zstd
	LZ4 // the legacy frame, which is what "lz4 -l" writes
	Bzip2
	LZMA
	LZO
	Plain // CONFIG_KERNEL_UNCOMPRESSED: the ELF itself
)

// magics: the first bytes of a payload. lib/decompress.c has the kernel's own list.
var magics = []struct {
	format Format
	name   string
	magic  string
}{
	{Gzip, "gzip", "\x1f\x8b"},
	{XZ, "xz", "\xfd7zXZ\x00"},
	{Zstd, "zstd", "\x28\xb5\x2f\xfd"},
	{LZ4, "lz4", "\x02\x21\x4c\x18"},
	{Bzip2, "bzip2", "BZh"},
	{LZMA, "lzma", "\x5d\x00\x00"},
	{LZO, "lzo", "\x89LZO"},
	{Plain, "uncompressed", "\x7fELF"},
}

func (f Format) String() string {
	for _, m := range magics {
		if m.format == f {
			return m.name
		}
	}
	return "unknown"
}

func formatOf(payload []byte) Format {
	for _, m := range magics {
		if bytes.HasPrefix(payload, []byte(m.magic)) {
			return m.format
		}
	}
	return Unknown
}

const (
	maxPayload    = 2 << 30   // bytes of a decompressed kernel
	maxDictionary = 128 << 20 // bytes of a decoder's window; zstd -22 and xz in scripts/xz_wrap.sh use as much
	lz4Block      = 8 << 20   // a legacy frame's block holds at most this much (LZ4 frame format, "Legacy frame")
)

// Payload is the decompressed kernel as a stream: the stripped ELF vmlinux followed by its relocations. Reading it to
// the end costs 0.1 to 2 seconds by the format; a reader may stop anywhere. It never yields more than 2 GiB.
func (b *BzImage) Payload() (io.Reader, error) {
	data := b.image[b.PayloadOffset : b.PayloadOffset+b.PayloadLength]
	r, err := decompress(data, b.Format)
	if err != nil {
		return nil, fmt.Errorf("payload: %s at byte %d: %w", b.Format, b.PayloadOffset, err)
	}
	return io.LimitReader(r, maxPayload), nil
}

// Unpack is [BzImage.Payload] to its end, in memory: an ELF vmlinux without .symtab and debug information. Each call unpacks
// anew.
func (b *BzImage) Unpack() ([]byte, error) {
	r, err := b.Payload()
	if err != nil {
		return nil, err
	}
	// The build appends the unpacked size to the payload; gzip's trailer is the same. It is a hint: the relocations and
	// what a hostile image says are not bounded by it.
	hint := le32(b.image, int(b.PayloadOffset+b.PayloadLength-4))
	out := bytes.NewBuffer(make([]byte, 0, min(int64(hint), 16*b.PayloadLength)+bytes.MinRead))
	if _, err := out.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("payload: %s at byte %d: %w", b.Format, b.PayloadOffset, err)
	}
	return out.Bytes(), nil
}

func decompress(data []byte, format Format) (io.Reader, error) {
	// The kernel's build appends the uncompressed size as 4 bytes to every format but gzip, whose own trailer is that
	// (scripts/Makefile.lib, size_append). Decoders that would take them for another stream do not see them.
	src := bytes.NewReader(data)
	if format == Zstd || format == Bzip2 {
		src = bytes.NewReader(data[:max(0, len(data)-4)])
	}
	switch format {
	case Gzip:
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return z, nil
	case XZ:
		return newXzPayload(data)
	case Zstd:
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case LZ4:
		return &lz4Legacy{src: data[4:]}, nil
	case Bzip2:
		return bzip2.NewReader(bufio.NewReader(src)), nil
	case LZMA:
		// Bytes 1 to 4 of the header are the dictionary's size; a hostile one would be allocated before a byte is decoded.
		if len(data) < lzma.HeaderLen || le32(data, 1) > maxDictionary {
			return nil, errors.New("bad header")
		}
		return lzma.NewReader(bufio.NewReader(src))
	case LZO:
		return newLZOPayload(data)
	case Plain:
		return src, nil
	}
	return nil, errors.New("cannot be decompressed here")
}

// lz4Legacy reads the legacy frame: magic, then blocks of {u32 length; bytes}, 8 MiB each when decompressed but the last.
// pierrec's own reader refuses a frame that is followed by the kernel's 4 size bytes.
type lz4Legacy struct {
	src  []byte
	dst  []byte // what is decoded and not yet read
	buf  []byte
	last bool
}

func (l *lz4Legacy) Read(p []byte) (int, error) {
	for len(l.dst) == 0 {
		if l.last || len(l.src) < 4 {
			return 0, io.EOF
		}
		n := binary.LittleEndian.Uint32(l.src)
		if uint64(n) > uint64(len(l.src)-4) || n == 0 {
			// The 4 bytes of the uncompressed size that the kernel's build appends, or a cut file: both end here, and the ELF
			// reader says when something is missing.
			return 0, io.EOF
		}
		if l.buf == nil {
			l.buf = make([]byte, lz4Block)
		}
		out, err := lz4.UncompressBlock(l.src[4:4+n], l.buf)
		if err != nil {
			return 0, fmt.Errorf("lz4 block: %w", err)
		}
		l.src, l.dst, l.last = l.src[4+n:], l.buf[:out], out < lz4Block
	}
	n := copy(p, l.dst)
	l.dst = l.dst[n:]
	return n, nil
}

// BuildID is the kernel's NT_GNU_BUILD_ID as lower-case hex. It decompresses the payload as far as the note segment, which
// for x86 stands behind the read-only data. A kernel linked without one gives an error.
func (b *BzImage) BuildID() (string, error) {
	r, err := b.Payload()
	if err != nil {
		return "", err
	}
	id, err := streamBuildID(r)
	if err != nil {
		return "", fmt.Errorf("build-id: %w", err)
	}
	return id, nil
}

// streamBuildID reads an ELF64 from a stream, only forward, up to the end of its first PT_NOTE that holds a build-id.
func streamBuildID(r io.Reader) (string, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	var h elf.Header64
	if err := binary.Read(br, binary.LittleEndian, &h); err != nil {
		return "", fmt.Errorf("elf header: %w", err)
	}
	if !bytes.HasPrefix(h.Ident[:], []byte(elf.ELFMAG)) || h.Ident[elf.EI_CLASS] != byte(elf.ELFCLASS64) || h.Ident[elf.EI_DATA] != byte(elf.ELFDATA2LSB) {
		return "", errors.New("elf header: not a 64-bit little-endian elf")
	}
	const headers = 64
	if h.Phoff < 64 || h.Phoff > 1<<20 || h.Phnum > headers || h.Phentsize != 56 {
		return "", errors.New("elf header: program headers out of range")
	}
	pos := int64(64)
	skip := func(to int64) error {
		n, err := io.CopyN(io.Discard, br, to-pos)
		pos += n
		return err
	}
	if err := skip(int64(h.Phoff)); err != nil {
		return "", fmt.Errorf("program headers: %w", err)
	}
	progs := make([]elf.Prog64, h.Phnum)
	if err := binary.Read(br, binary.LittleEndian, progs); err != nil {
		return "", fmt.Errorf("program headers: %w", err)
	}
	pos += int64(h.Phnum) * 56
	for _, p := range progs {
		if elf.ProgType(p.Type) != elf.PT_NOTE {
			continue
		}
		if p.Off < uint64(pos) || p.Off > maxPayload || p.Filesz > 1<<20 {
			return "", errors.New("note segment: out of range")
		}
		if err := skip(int64(p.Off)); err != nil {
			return "", fmt.Errorf("note segment: %w", err)
		}
		notes := make([]byte, p.Filesz)
		n, err := io.ReadFull(br, notes)
		pos += int64(n)
		if err != nil {
			return "", fmt.Errorf("note segment: %w", err)
		}
		if id, ok := gnuBuildID(notes); ok {
			return id, nil
		}
	}
	return "", errors.New("the kernel has no NT_GNU_BUILD_ID")
}

// gnuBuildID walks notes {namesz, descsz, type, name, desc}, name and desc padded to 4 bytes (elf(5), "Notes").
func gnuBuildID(notes []byte) (string, bool) {
	const typeBuildID = 3
	for len(notes) >= 12 {
		namesz, descsz, typ := uint64(le32(notes, 0)), uint64(le32(notes, 4)), le32(notes, 8)
		desc := 12 + (namesz+3)&^3
		end := desc + (descsz+3)&^3
		if end > uint64(len(notes)) {
			return "", false
		}
		if typ == typeBuildID && namesz == 4 && string(notes[12:16]) == "GNU\x00" && descsz > 0 {
			return hex.EncodeToString(notes[desc : desc+descsz]), true
		}
		notes = notes[end:]
	}
	return "", false
}
