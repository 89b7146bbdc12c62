package ko

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxModule bounds an unpacked module. The largest of a distribution, with debug information, is amdgpu: about 300 MB.
const maxModule = 1 << 30

// Read returns the ELF bytes of a module's file, unpacked; how it is packed is told by its first bytes, not by its name.
func Read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	data, err = unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// unpack undoes what CONFIG_MODULE_COMPRESS_* did.
func unpack(data []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\xfd7zXZ\x00")):
		r, err = xz.NewReader(bytes.NewReader(data))
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		r, err = gzip.NewReader(bytes.NewReader(data))
	case bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")):
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule)); err == nil {
			defer d.Close()
			r = d
		}
	default:
		return data, nil
	}
	if err != nil {
		return nil, fmt.Errorf("unpack module: %w", err)
	}
	var out bytes.Buffer
	out.Grow(4 * len(data))
	n, err := io.Copy(&out, io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("unpack module: %w", err)
	}
	if n > maxModule {
		return nil, fmt.Errorf("unpack module: larger than %d MiB", maxModule>>20)
	}
	return out.Bytes(), nil
}
