package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"path"
	"strings"
)

// OpenModule opens the ELF bytes of a module (x.ko, unpacked) as it lies in memory, so that the methods of a [File] answer
// for its run-time addresses. The bytes become the file's own and are written to.
//
// A .ko is a relocatable object: its sections have no addresses, and its debug information refers to them by relocations.
// Where a section of code lies is told by its functions: loaded gives the run-time addresses of all functions of a name.
// They must agree with each other, so a .ko of another build is an error. Code that is not in memory (.init.text, once
// it is freed) gets an address that nothing has. tree is the kernel that the module was built with, for file names; it
// may be nil.
//
// Only the addresses of code are told, so there are no data symbols.
func OpenModule(path string, data []byte, loaded func(function string) []uint64, tree *File) (*File, error) {
	return openModule(path, data, func(ef *elf.File) ([]uint64, error) { return placeModule(ef, loaded) }, tree)
}

// OpenUnloadedModule is [OpenModule] for a module whose addresses nobody knows: a trace has "f+0x1/0x2 [x]", which
// [File.Functions] finds. It is laid out as the kernel does it, at an address where nothing is: the sections of code after each
// other, those that are freed after init in pages of their own (layout_sections(), kernel/module/main.c).
func OpenUnloadedModule(path string, data []byte, tree *File) (*File, error) {
	return openModule(path, data, layOutModule, tree)
}

// unloadedBase is below the kernel's code, where modules never are.
const unloadedBase = 0xffffffff00000000

func layOutModule(ef *elf.File) ([]uint64, error) {
	places := make([]uint64, len(ef.Sections))
	next := uint64(unloadedBase)
	for _, init := range [...]bool{false, true} {
		for i, s := range ef.Sections {
			if !executable(s) || strings.HasPrefix(s.Name, ".init") != init {
				continue
			}
			if a := s.Addralign; a > 1 && a <= 4096 && a&(a-1) == 0 {
				next = (next + a - 1) &^ (a - 1)
			}
			if used := next - unloadedBase; used > unloadedLimit || s.Size > unloadedLimit-used {
				return nil, fmt.Errorf("more code than fits into the kernel's memory: section %s has 0x%x bytes", s.Name, s.Size)
			}
			places[i] = next
			next += s.Size
		}
		next = (next+4095)&^4095 + 4096
	}
	return places, nil
}

// unloadedLimit bounds a module's code: the whole area for modules has less than 2 GiB.
const unloadedLimit = 1 << 31

func openModule(path string, data []byte, place func(*elf.File) ([]uint64, error), tree *File) (*File, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, refuse(path, "not an ELF file", "")
	}
	var ef *elf.File
	err := guard("the section headers", func() (err error) {
		ef, err = elf.NewFile(bytes.NewReader(data))
		return err
	})
	if err != nil {
		return nil, refuse(path, fmt.Sprintf("broken or truncated ELF file: %v", err), "")
	}
	if ef.Class != elf.ELFCLASS64 || ef.Data != elf.ELFDATA2LSB || ef.Machine != elf.EM_X86_64 || ef.Type != elf.ET_REL {
		return nil, refuse(path, fmt.Sprintf("not a module (%s %s)", ef.Type, ef.Machine), "")
	}
	table, err := sectionTable(data, len(ef.Sections))
	if err != nil {
		return nil, refuse(path, err.Error(), "")
	}
	places, err := place(ef)
	if err != nil {
		return nil, refuse(path, err.Error(), "")
	}
	for i := range ef.Sections {
		binary.LittleEndian.PutUint64(table[i*shdrSize+16:], places[i]) // sh_addr
	}
	binary.LittleEndian.PutUint16(data[16:], uint16(elf.ET_DYN))
	f, err := newFile(path, data)
	if err != nil {
		return nil, err
	}
	f.heap = true
	f.source.built = true
	if tree != nil {
		f.source.prefix, f.source.compDir = tree.TreePrefix(), tree.CompDir()
	}
	if err := f.relocate(places); err != nil {
		return nil, err
	}
	f.source.module = f.moduleDir()
	return f, nil
}

// moduleDir is the directory that a module was built in, ending in "/", when that is outside of the kernel's tree; else empty.
// Kbuild links NAME.mod.c, which it makes there, behind the module's own files (cmd_ld_ko_o, scripts/Makefile.modfinal); since
// v6.12 .module-common.c follows.
func (f *File) moduleDir() string {
	const last = 4 // units to look at
	info, err := f.section(".debug_info")
	if err != nil {
		return ""
	}
	var units []uint64
	for off := uint64(0); off < uint64(len(info)); {
		h, _ := parseUnitHeader(info, off) // one that is broken still has its length
		if h.length == 0 {
			break
		}
		units = append(units, off)
		off += h.length
	}
	for _, off := range units[max(0, len(units)-last):] {
		u, err := f.loadUnit(off)
		if err != nil || !strings.HasSuffix(u.name(), ".mod.c") || !path.IsAbs(u.name()) {
			continue
		}
		if rest, _ := f.source.relative(u, u.name()); path.IsAbs(rest) {
			return strings.TrimSuffix(path.Dir(rest), "/") + "/"
		}
	}
	return ""
}

// shdrSize is sizeof(Elf64_Shdr).
const shdrSize = 64

// sectionTable is the n section headers in a file's bytes.
func sectionTable(data []byte, n int) ([]byte, error) {
	off := binary.LittleEndian.Uint64(data[40:]) // e_shoff
	if off > uint64(len(data)) || uint64(len(data))-off < uint64(n)*shdrSize {
		return nil, &FormatError{Section: "the section headers", Offset: off, Cause: "outside the file"}
	}
	return data[off:][:n*shdrSize], nil
}

// apart is how far from a module's code the code is put that is not in memory.
const apart = 1 << 28

// placeModule finds the address of each section of code, by section index.
func placeModule(ef *elf.File, loaded func(string) []uint64) ([]uint64, error) {
	symbols, err := ef.Symbols()
	if err != nil {
		return nil, fmt.Errorf("no symbols: %w", err)
	}
	function := func(s elf.Symbol) bool {
		n := int(s.Section)
		return elf.ST_TYPE(s.Info) == elf.STT_FUNC && n < len(ef.Sections) && executable(ef.Sections[n])
	}
	count := map[string]int{} // a name that several static functions have tells nothing
	for _, s := range symbols {
		if function(s) {
			count[s.Name]++
		}
	}
	places := make([]uint64, len(ef.Sections))
	lowest := ^uint64(0)
	for _, s := range symbols {
		if !function(s) || count[s.Name] != 1 {
			continue
		}
		at := loaded(s.Name)
		if len(at) != 1 {
			continue
		}
		n := int(s.Section)
		place := at[0] - s.Value
		if places[n] != 0 && places[n] != place {
			return nil, fmt.Errorf("of another build than the module that is loaded: %s is elsewhere", s.Name)
		}
		places[n] = place
		lowest = min(lowest, place)
	}
	if lowest == ^uint64(0) {
		return nil, fmt.Errorf("of another build than the module that is loaded: no function of the same name")
	}
	next := lowest - apart
	for i, s := range ef.Sections {
		if executable(s) && places[i] == 0 {
			places[i] = next
			next += (s.Size + 4095) &^ 4095
		}
	}
	return places, nil
}

// Relocations of x86-64 that debug information has (psABI, table 4.9).
const (
	relocation64  = 1
	relocation32  = 10
	relocation32S = 11
)

// relocate gives the symbols their addresses, and writes them where the debug information refers to them:
//
//	64        u64 at offset = symbol + addend
//	32, 32S   u32 at offset = symbol + addend: offsets into other debug sections
func (f *File) relocate(places []uint64) error {
	t := f.symtab()
	for i := range t.len() {
		if n := int(t.section(i)); n > 0 && n < len(places) {
			at := t.entries[i*symSize+8:]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+places[n])
		}
	}
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_RELA || int(s.Info) >= len(f.elf.Sections) {
			continue
		}
		to := f.elf.Sections[s.Info]
		if to.Flags&elf.SHF_ALLOC != 0 || !strings.HasPrefix(to.Name, ".debug_") || f.sections[to.Name].elf != to {
			continue
		}
		body, err := f.section(to.Name)
		if err != nil {
			return err
		}
		rela := f.sectionBytes(s)
		const size = 24 // Elf64_Rela: offset u64, info u64 (symbol << 32 | type), addend s64
		for ; len(rela) >= size; rela = rela[size:] {
			off, info := binary.LittleEndian.Uint64(rela), binary.LittleEndian.Uint64(rela[8:])
			value := binary.LittleEndian.Uint64(rela[16:])
			if n := info >> 32; n < uint64(t.len()) {
				value += t.value(int(n))
			}
			switch uint32(info) {
			case relocation64:
				if off+8 <= uint64(len(body)) && off < off+8 {
					binary.LittleEndian.PutUint64(body[off:], value)
				}
			case relocation32, relocation32S:
				if off+4 <= uint64(len(body)) && off < off+4 {
					binary.LittleEndian.PutUint32(body[off:], uint32(value))
				}
			}
		}
	}
	return nil
}
