package ko

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// signatureMark ends a signed module (MODULE_SIG_STRING, include/linux/module_signature.h).
const signatureMark = "~Module signature appended~\n"

// Elf64_Ehdr and Elf64_Shdr: offsets of the fields used here.
const (
	ehdrSize    = 64
	ehdrShoff   = 40
	ehdrShnum   = 60
	shdrSize    = 64
	shdrType    = 4
	shdrOffset  = 24
	shdrFileLen = 32
	shdrAlign   = 48
)

// Strip leaves the debug information out of a module's ELF bytes, which the kernel does not read and which is most of a
// module that was built with it. Its sections stay in the section table as SHT_NULL, so that no index changes; the kernel
// passes over such (elf_validity_check(), kernel/module/main.c). A signed module comes back as it is, because its signature
// covers every byte, and so does one that has none or is not understood.
func Strip(data []byte) []byte {
	f, err := open(data)
	if err != nil || bytes.HasSuffix(data, []byte(signatureMark)) {
		return data
	}
	shoff, n := binary.LittleEndian.Uint64(data[ehdrShoff:]), len(f.Sections)
	if shoff > uint64(len(data)) || uint64(len(data))-shoff < uint64(n)*shdrSize || int(binary.LittleEndian.Uint16(data[ehdrShnum:])) != n {
		return data
	}
	table := bytes.Clone(data[shoff : shoff+uint64(n)*shdrSize])
	out := bytes.Clone(data[:ehdrSize])
	found := false
	for i, s := range f.Sections {
		h := table[i*shdrSize : (i+1)*shdrSize]
		if debugging(s) {
			found = true
			clear(h[shdrType:])
			continue
		}
		if s.Type == elf.SHT_NULL || s.Type == elf.SHT_NOBITS {
			continue
		}
		off, size := binary.LittleEndian.Uint64(h[shdrOffset:]), binary.LittleEndian.Uint64(h[shdrFileLen:])
		if off > uint64(len(data)) || uint64(len(data))-off < size {
			return data
		}
		out = align(out, binary.LittleEndian.Uint64(h[shdrAlign:]))
		binary.LittleEndian.PutUint64(h[shdrOffset:], uint64(len(out)))
		out = append(out, data[off:off+size]...)
	}
	if !found {
		return data
	}
	out = align(out, 8)
	binary.LittleEndian.PutUint64(out[ehdrShoff:], uint64(len(out)))
	return append(out, table...)
}

// debugging: a section of DWARF, or the relocations of one.
func debugging(s *elf.Section) bool {
	return s.Flags&elf.SHF_ALLOC == 0 && (strings.HasPrefix(s.Name, ".debug_") || strings.HasPrefix(s.Name, ".rela.debug_"))
}

// align pads b to a multiple of n bytes, as far as n is a sane alignment.
func align(b []byte, n uint64) []byte {
	if n == 0 || n > 4096 {
		n = 8
	}
	for uint64(len(b))%n != 0 {
		b = append(b, 0)
	}
	return b
}
