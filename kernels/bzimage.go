package kernels

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"kcatch/internal/blame"
)

// maxBzImage bounds the file that [ReadBzImage] takes into memory, in bytes. A distribution's allyesconfig stays below 300 MB.
const maxBzImage = 1 << 30

// BzImage is an x86 boot image: the setup header of the boot protocol and the compressed kernel behind it.
// Documentation/arch/x86/boot.rst names the fields; arch/x86/boot/header.S has the layout.
type BzImage struct {
	Path string
	// Protocol is the boot protocol's version, 0x020f for 2.15. The payload fields exist from 2.08 on, init_size from 2.10.
	Protocol uint16
	// Version is the text that kernel_version points at: "6.1.192-kcatch (root@host) #1 SMP ...".
	Version string
	// Alignment is kernel_alignment: the physical load address is a multiple of it (bytes).
	Alignment uint32
	// PrefAddress is where the kernel prefers to run (physical).
	PrefAddress uint64
	// InitSize is the memory the kernel needs from its load address until it can read the memory map, in bytes.
	InitSize uint32
	// XLoadFlags: bit 0 is a 64-bit entry at 0x200.
	XLoadFlags uint16
	// PayloadOffset and PayloadLength place the compressed kernel in the file (bytes; the offset counts from the file's start).
	PayloadOffset, PayloadLength int64
	// Format is the payload's compression.
	Format Format

	image []byte
}

// Header fields of the setup header, as offsets in the file. FACTS: arch/x86/boot/header.S; version 2.08 at least.
const (
	offSetupSects    = 0x1f1
	offBootFlag      = 0x1fe
	offMagic         = 0x202
	offProtocol      = 0x206
	offKernelVersion = 0x20e
	offAlignment     = 0x230
	offXLoadFlags    = 0x236
	offPayloadOffset = 0x248
	offPayloadLength = 0x24c
	offPrefAddress   = 0x258
	offInitSize      = 0x260
	headerEnd        = 0x264
)

// ReadBzImage reads the boot image at path. A file that is none is a usage error which says what it is instead.
func ReadBzImage(path string) (*BzImage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &blame.Error{Kind: blame.Usage, Msg: "kernel: " + path + ": " + cause(err), Err: err}
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "kernel: " + path + ": " + cause(err), Err: err}
	case !st.Mode().IsRegular():
		return nil, blame.New(blame.Usage, "kernel: "+path+": not a regular file", hintBzImage)
	case st.Size() > maxBzImage:
		return nil, blame.New(blame.Usage, fmt.Sprintf("kernel: %s: not a boot image: %d MB is too big for one", path, st.Size()>>20), hintBzImage)
	}
	image, err := io.ReadAll(io.LimitReader(f, maxBzImage))
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "kernel: " + path + ": " + cause(err), Err: err}
	}
	b, err := ParseBzImage(image)
	if err != nil {
		return nil, &blame.Error{Kind: blame.Usage, Msg: "kernel: " + path + ": " + err.Error(), Hint: hintBzImage, Err: err}
	}
	b.Path = path
	return b, nil
}

const hintBzImage = "a kernel is an x86 bzImage (arch/x86/boot/bzImage, /boot/vmlinuz-*); give an ELF vmlinux as --vmlinux"

// ParseBzImage reads the header of a boot image; image is kept, not copied.
func ParseBzImage(image []byte) (*BzImage, error) {
	if len(image) < headerEnd || string(image[offMagic:offMagic+4]) != "HdrS" || le16(image, offBootFlag) != 0xaa55 {
		return nil, fmt.Errorf("not a boot image: %s", looksLike(image))
	}
	b := &BzImage{
		Protocol:    le16(image, offProtocol),
		Alignment:   le32(image, offAlignment),
		XLoadFlags:  le16(image, offXLoadFlags),
		PrefAddress: binary.LittleEndian.Uint64(image[offPrefAddress:]),
		InitSize:    le32(image, offInitSize),
		image:       image,
	}
	if b.Protocol < 0x0208 {
		return nil, fmt.Errorf("boot protocol %d.%02d is too old: 2.08 (Linux 2.6.26) is the first that says where its payload is",
			b.Protocol>>8, b.Protocol&0xff)
	}
	sects := int64(image[offSetupSects])
	if sects == 0 { // boot.rst: "for backwards compatibility, if the setup_sects field contains 0, the real value is 4"
		sects = 4
	}
	b.PayloadOffset = (sects+1)*512 + int64(le32(image, offPayloadOffset))
	b.PayloadLength = int64(le32(image, offPayloadLength))
	if b.PayloadOffset+b.PayloadLength > int64(len(image)) || b.PayloadLength == 0 {
		return nil, fmt.Errorf("cut off: its header places the kernel at bytes %d to %d, the file has %d",
			b.PayloadOffset, b.PayloadOffset+b.PayloadLength, len(image))
	}
	b.Format = formatOf(image[b.PayloadOffset : b.PayloadOffset+b.PayloadLength])
	if p := int(le16(image, offKernelVersion)); p != 0 && p+0x200 < len(image) {
		v := image[p+0x200:]
		v = v[:min(len(v), 256)]
		if n := bytes.IndexByte(v, 0); n >= 0 {
			b.Version = printable(v[:n])
		}
	}
	return b, nil
}

// KernelVersion is the release, the first word of [BzImage.Version]; empty where the image has none.
func (b *BzImage) KernelVersion() string {
	release, _, _ := strings.Cut(b.Version, " ")
	return release
}

// looksLike names what a file is that is not a boot image.
func looksLike(image []byte) string {
	switch {
	case len(image) == 0:
		return "the file is empty"
	case bytes.HasPrefix(image, []byte("\x7fELF")):
		return "it is an ELF file, perhaps a vmlinux"
	case bytes.HasPrefix(image, []byte("070701")):
		return "it is a cpio archive, perhaps an initrd"
	case formatOf(image) != Unknown:
		return "it is " + formatOf(image).String() + " data, perhaps an initrd"
	case bytes.HasPrefix(image, []byte("#!")):
		return "it is a script"
	case len(image) < headerEnd:
		return fmt.Sprintf("it has %d bytes", len(image))
	}
	return "it has no setup header (HdrS)"
}

// printable keeps what a terminal can be shown: a boot image is a file from somewhere.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f {
			return '?'
		}
		return r
	}, string(b))
}

func le16(b []byte, off int) uint16 { return binary.LittleEndian.Uint16(b[off:]) }
func le32(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
