package vmlinux

import (
	"bytes"
	"debug/elf"
	"fmt"
	"sync"
)

// section is one ELF section with its contents on demand.
type section struct {
	elf  *elf.Section
	file []byte // the mapping

	once     sync.Once
	inflated []byte
	err      error
}

// raw returns the section's bytes in the file, not copied and not decompressed; nil for NOBITS.
func (s *section) raw() []byte {
	if s == nil || s.elf.Type == elf.SHT_NOBITS || s.elf.Type == elf.SHT_NULL {
		return nil
	}
	return s.file[s.elf.Offset : s.elf.Offset+s.elf.FileSize]
}

// contents is raw, decompressed once where the section is SHF_COMPRESSED (zlib or zstd: CONFIG_DEBUG_INFO_COMPRESSED_*).
func (s *section) contents() ([]byte, error) {
	if s == nil || s.elf.Flags&elf.SHF_COMPRESSED == 0 {
		return s.raw(), nil
	}
	s.once.Do(func() {
		s.err = guard(s.elf.Name, func() (err error) {
			s.inflated, err = inflate(s.raw())
			return err
		})
	})
	if s.err != nil {
		return nil, &FormatError{Section: s.elf.Name, Cause: s.err.Error()}
	}
	return s.inflated, nil
}

// guard turns a panic of a library that reads the file into an error that names the section.
func guard(section string, read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &FormatError{Section: section, Cause: fmt.Sprint(p)}
		}
	}()
	return read()
}

// section returns the contents of a section by name; nil without an error where there is none.
func (f *File) section(name string) ([]byte, error) { return f.sections[name].contents() }

// hasSection reports whether the file has contents for a section.
func (f *File) hasSection(name string) bool {
	s := f.sections[name]
	return s != nil && s.elf.Type != elf.SHT_NOBITS && s.elf.FileSize > 0
}

// Section is one section's place: [Addr, Addr+Size) in the image; Addr is 0 for sections that are not loaded.
type Section struct {
	Name       string
	Addr       Addr
	Size       uint64 // bytes in memory
	Executable bool
}

// Section returns the place of a section by name.
func (f *File) Section(name string) (Section, bool) {
	s := f.sections[name]
	if s == nil {
		return Section{}, false
	}
	return Section{Name: name, Addr: Addr(s.elf.Addr), Size: s.elf.Size, Executable: executable(s.elf)}, true
}

func executable(s *elf.Section) bool {
	return s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_EXECINSTR != 0
}

func covers(s *elf.Section, a Addr) bool {
	return s.Flags&elf.SHF_ALLOC != 0 && uint64(a) >= s.Addr && uint64(a)-s.Addr < s.Size
}

// Text is the range of the main kernel text, [_text, _etext), or of the .text section where those symbols are missing.
// ok is false when there is neither. Code outside of it exists: see [File.IsText].
func (f *File) Text() (start, end Addr, ok bool) {
	syms := f.Lookup("_text", "_etext")
	lo, loOK := syms["_text"]
	hi, hiOK := syms["_etext"]
	if loOK && hiOK && lo.Addr < hi.Addr {
		return lo.Addr, hi.Addr, true
	}
	if s, ok := f.Section(".text"); ok {
		return s.Addr, s.Addr + Addr(s.Size), true
	}
	return 0, 0, false
}

// IsText reports whether a lies in a section of code: .text, .init.text, .exit.text, .altinstr_replacement and their like.
// Per-CPU data, linked at 0 on x86-64 before v6.15, is not code, so small numbers are not text.
func (f *File) IsText(a Addr) bool {
	for _, s := range f.elf.Sections {
		if executable(s) && covers(s, a) {
			return true
		}
	}
	return false
}

// Bytes returns the n bytes that the file has for link address a, not copied. The running kernel may differ: alternatives,
// static calls and ftrace patch code, and data changes. It is an error when part of the range is not in the file.
func (f *File) Bytes(a Addr, n int) ([]byte, error) {
	if n < 0 {
		return nil, fmt.Errorf("read vmlinux: 0x%x: negative length %d", uint64(a), n)
	}
	for _, s := range f.elf.Sections {
		if !covers(s, a) || s.Flags&elf.SHF_TLS != 0 {
			continue
		}
		if s.Type == elf.SHT_NOBITS {
			return nil, fmt.Errorf("read vmlinux: 0x%x: section %s has no contents in the file", uint64(a), s.Name)
		}
		off := uint64(a) - s.Addr
		if body := f.sectionBytes(s); off < uint64(len(body)) && uint64(n) <= uint64(len(body))-off {
			return body[off : off+uint64(n)], nil
		}
		break // it reaches into the next section: ask the segments
	}
	for _, p := range f.elf.Progs {
		if p.Type != elf.PT_LOAD || uint64(a) < p.Vaddr || uint64(a)-p.Vaddr >= p.Filesz {
			continue
		}
		off := uint64(a) - p.Vaddr
		if uint64(n) > p.Filesz-off || p.Off > uint64(len(f.data)) || p.Filesz > uint64(len(f.data))-p.Off {
			continue
		}
		return f.data[p.Off+off : p.Off+off+uint64(n)], nil
	}
	return nil, fmt.Errorf("read vmlinux: %d bytes at 0x%x: not in the file", n, uint64(a))
}

func (f *File) sectionBytes(s *elf.Section) []byte {
	if s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil
	}
	return (&section{elf: s, file: f.data}).raw()
}

// CString returns the bytes at a up to a NUL, without it, and at most max of them.
func (f *File) CString(a Addr, max int) ([]byte, error) {
	for _, s := range f.elf.Sections {
		if !covers(s, a) {
			continue
		}
		body := f.sectionBytes(s)
		off := uint64(a) - s.Addr
		if off >= uint64(len(body)) {
			break
		}
		text := body[off:min(uint64(len(body)), off+uint64(max))]
		if n := bytes.IndexByte(text, 0); n >= 0 {
			text = text[:n]
		}
		return text, nil
	}
	return nil, fmt.Errorf("read vmlinux: string at 0x%x: not in the file", uint64(a))
}

// Segment is one PT_LOAD: the loader puts FileSize bytes from Offset of the file at physical address Phys, where
// MemorySize-FileSize zeros follow. Virt is the link address. All in bytes.
type Segment struct {
	Virt       Addr
	Phys       uint64
	Offset     uint64
	FileSize   uint64
	MemorySize uint64
	Executable bool
}

// LoadSegments returns the PT_LOAD segments in the file's order. The per-CPU segment of kernels before v6.15 has Virt 0.
func (f *File) LoadSegments() []Segment {
	var segs []Segment
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD {
			segs = append(segs, Segment{
				Virt: Addr(p.Vaddr), Phys: p.Paddr, Offset: p.Off, FileSize: p.Filesz, MemorySize: p.Memsz,
				Executable: p.Flags&elf.PF_X != 0,
			})
		}
	}
	return segs
}

// Entry is the ELF entry point. For a kernel it is a physical address: that of startup_64, or of the PVH entry's note.
func (f *File) Entry() uint64 { return f.elf.Entry }
