package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Layout of Elf64_Chdr, which begins a SHF_COMPRESSED section: type u32, reserved u32, size u64, alignment u64 (System V ABI,
// "Section Compression").
const chdrSize = 24

// maxInflated bounds a decompressed section in bytes: the .debug_info of an allyesconfig kernel has some 3 GB.
const maxInflated = 8 << 30

// inflate decompresses the contents of a SHF_COMPRESSED section. It does what debug/elf does with the library that unpacks
// kernels, in a half (zlib) to a fifth (zstd) of the time: a boot waits for it.
func inflate(raw []byte) ([]byte, error) {
	if len(raw) < chdrSize {
		return nil, errors.New("compressed section is cut off")
	}
	kind, size := elf.CompressionType(binary.LittleEndian.Uint32(raw)), binary.LittleEndian.Uint64(raw[8:])
	if size > maxInflated {
		return nil, fmt.Errorf("%d bytes are too many", size)
	}
	src := bytes.NewReader(raw[chdrSize:])
	var r io.Reader
	switch kind {
	case elf.COMPRESS_ZLIB:
		z, err := zlib.NewReader(src)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case elf.COMPRESS_ZSTD:
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("unknown compression %d", uint32(kind))
	}
	// The size is the file's word: what is set aside at once is bounded by what there is to decompress.
	out := bytes.NewBuffer(make([]byte, 0, min(size, 64*uint64(len(raw)))+bytes.MinRead))
	if _, err := io.CopyN(out, r, int64(size)); err != nil {
		return nil, fmt.Errorf("%d of %d bytes: %w", out.Len(), size, err)
	}
	return out.Bytes(), nil
}
