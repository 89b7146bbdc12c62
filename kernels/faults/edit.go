package faults

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"kcatch/kernels"
)

// An Edit writes bytes over a bzImage. Its text is "PLACE HEX [xTIMES]":
//
//	setup-entry fa f4 eb fd        where the real-mode setup code begins to run
//	setup-signature 00000000       the word by which setup knows that all of itself was loaded
//	payload-middle ff x4096        half way through the compressed kernel
//	payload-start 00 x64           its first bytes
type Edit struct {
	Place string
	Bytes []byte
}

// maxEdit bounds how much an edit writes, in bytes.
const maxEdit = 1 << 20

// ParseEdit reads the text of an edit.
func ParseEdit(text string) (Edit, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Edit{}, fmt.Errorf("%q: want a place and bytes in hex", text)
	}
	e := Edit{Place: words[0]}
	if _, ok := places[e.Place]; !ok {
		return Edit{}, fmt.Errorf("%q: no such place in a bzImage", e.Place)
	}
	times := 1
	if n, found := strings.CutPrefix(words[len(words)-1], "x"); found {
		var err error
		if times, err = strconv.Atoi(n); err != nil || times < 1 || times > maxEdit {
			return Edit{}, fmt.Errorf("%q: want x and how many times", words[len(words)-1])
		}
		words = words[:len(words)-1]
	}
	b, err := hex.DecodeString(strings.Join(words[1:], ""))
	if err != nil || len(b) == 0 || len(b)*times > maxEdit {
		return Edit{}, fmt.Errorf("%q: want bytes in hex, 1 MiB at most", text)
	}
	e.Bytes = bytes.Repeat(b, times)
	return e, nil
}

// places are functions that find a place, as an offset in the file.
var places = map[string]func(image []byte, b *kernels.BzImage) (int64, error){
	"setup-entry":     setupEntry,
	"setup-signature": setupSignature,
	"payload-start":   func(_ []byte, b *kernels.BzImage) (int64, error) { return b.PayloadOffset, nil },
	"payload-middle":  func(_ []byte, b *kernels.BzImage) (int64, error) { return b.PayloadOffset + b.PayloadLength/2, nil },
}

// setupEntry follows the short jump at 0x200, over the header (Documentation/arch/x86/boot.rst, field "jump").
func setupEntry(image []byte, _ *kernels.BzImage) (int64, error) {
	if image[0x200] != 0xeb {
		return 0, fmt.Errorf("no short jump at 0x200")
	}
	return 0x202 + int64(image[0x201]), nil
}

// setupSignature is setup_sig, 0x5a5aaa55, which start_of_setup compares (arch/x86/boot/header.S). It is the last word of the
// setup's data; the same bytes stand in the instruction that compares them, before it.
func setupSignature(image []byte, b *kernels.BzImage) (int64, error) {
	sects := int64(image[0x1f1])
	if sects == 0 {
		sects = 4
	}
	at := bytes.LastIndex(image[:min(int64(len(image)), (sects+1)*512)], []byte{0x55, 0xaa, 0x5a, 0x5a})
	if at < 0 {
		return 0, fmt.Errorf("the setup has no signature")
	}
	return int64(at), nil
}

// Apply returns a bzImage with the edit on it; image itself stays as it is.
func (e Edit) Apply(image []byte) ([]byte, error) {
	b, err := kernels.ParseBzImage(image)
	if err != nil {
		return nil, err
	}
	at, err := places[e.Place](image, b)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", e.Place, err)
	}
	if at+int64(len(e.Bytes)) > int64(len(image)) {
		return nil, fmt.Errorf("edit %s: %d bytes at 0x%x, and the image ends at 0x%x", e.Place, len(e.Bytes), at, len(image))
	}
	out := bytes.Clone(image)
	copy(out[at:], e.Bytes)
	return out, nil
}
