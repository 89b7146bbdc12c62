package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
)

const (
	noteBuildID = 3 // NT_GNU_BUILD_ID, include/linux/buildid.h
	maxBanner   = 1024
)

// note is one ELF note: header, name and descriptor, the latter two padded to 4 bytes.
type note struct {
	offset int // of the record in its section
	size   int // of header, padded name and descriptor
	kind   uint32
	name   []byte // without the NUL
	desc   []byte
}

// parseNotes reads an SHT_NOTE section up to its end or its first broken record.
// .notes of a kernel holds Xen's, Linux's and GNU's records, each with 4-byte alignment.
func parseNotes(data []byte) []note {
	align := func(n uint64) uint64 { return (n + 3) &^ 3 }
	var notes []note
	for off := uint64(0); off+12 <= uint64(len(data)); {
		b := data[off:]
		nameSize := uint64(binary.LittleEndian.Uint32(b))
		descSize := uint64(binary.LittleEndian.Uint32(b[4:]))
		desc := 12 + align(nameSize)
		if desc+descSize > uint64(len(b)) {
			break
		}
		notes = append(notes, note{
			offset: int(off), size: int(desc + descSize), kind: binary.LittleEndian.Uint32(b[8:]),
			name: bytes.TrimRight(b[12:12+nameSize], "\x00"), desc: b[desc : desc+descSize],
		})
		off += align(desc + descSize)
	}
	return notes
}

func (f *File) buildIDNote() (*elf.Section, note, bool) {
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		for _, n := range parseNotes(f.sectionBytes(s)) {
			if n.kind == noteBuildID && string(n.name) == "GNU" && len(n.desc) > 0 {
				return s, n, true
			}
		}
	}
	return nil, note{}, false
}

// BuildID is the linker's build id in hex, or empty.
func (f *File) BuildID() string {
	_, n, _ := f.buildIDNote()
	return hex.EncodeToString(n.desc)
}

// BuildIDNote is the whole build-id note (header, "GNU\0", id) and its place in the loaded image, so that the memory of a
// running kernel can be compared with the file. ok is false when the file has none or does not load it.
func (f *File) BuildIDNote() (addr Addr, raw []byte, ok bool) {
	s, n, ok := f.buildIDNote()
	if !ok || s.Flags&elf.SHF_ALLOC == 0 {
		return 0, nil, false
	}
	return Addr(s.Addr) + Addr(n.offset), f.sectionBytes(s)[n.offset : n.offset+n.size], true
}

// Banner is linux_banner, init/version.c: "Linux version 6.1.192 (...) ...\n" without the NUL, and its address. The kernel
// never writes to it, so it tells in RAM whether this file is the running kernel.
func (f *File) Banner() (addr Addr, text []byte, ok bool) {
	if sym, found := f.Symbol("linux_banner"); found {
		if b, err := f.CString(sym.Addr, maxBanner); err == nil && len(b) > 0 {
			return sym.Addr, b, true
		}
	}
	s := f.sections[".rodata"]
	if s == nil || s.elf.Flags&elf.SHF_COMPRESSED != 0 {
		return 0, nil, false
	}
	// A file without symbols: linux_proc_banner, "%s version %s", does not match this.
	if i := bytes.Index(s.raw(), []byte("Linux version ")); i >= 0 {
		b, err := f.CString(Addr(s.elf.Addr)+Addr(i), maxBanner)
		return Addr(s.elf.Addr) + Addr(i), b, err == nil
	}
	return 0, nil, false
}

// Release is the kernel release of the banner ("6.1.0-56-cloud-amd64"), or empty.
func (f *File) Release() string {
	_, text, ok := f.Banner()
	if !ok {
		return ""
	}
	fields := bytes.Fields(text)
	if len(fields) < 3 || string(fields[0]) != "Linux" || string(fields[1]) != "version" {
		return ""
	}
	return string(fields[2])
}
