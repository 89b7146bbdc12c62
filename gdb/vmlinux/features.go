package vmlinux

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
)

// notePVHEntry is XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h. QEMU starts a vmlinux there (hw/i386/x86.c).
const notePVHEntry = 18

// PVHEntry is the physical address at which a vmlinux without a boot image is started; false when the kernel has no such entry
// (CONFIG_PVH).
func (f *File) PVHEntry() (addr uint64, ok bool) {
	for _, s := range f.elf.Sections {
		if s.Name != ".notes" {
			continue
		}
		for _, n := range parseNotes(f.sectionBytes(s)) {
			if n.kind != notePVHEntry || string(n.name) != "Xen" {
				continue
			}
			switch len(n.desc) {
			case 4:
				return uint64(binary.LittleEndian.Uint32(n.desc)), true
			case 8:
				return binary.LittleEndian.Uint64(n.desc), true
			}
		}
	}
	return 0, false
}

// maxConfig bounds the configuration in an image, in bytes; a distribution's has 250 kB.
const maxConfig = 4 << 20

// EmbeddedConfig is the .config in the image (CONFIG_IKCONFIG); false when it has none.
func (f *File) EmbeddedConfig() ([]byte, bool) {
	data, err := f.section(".rodata")
	if err != nil {
		return nil, false
	}
	return embeddedConfig(data)
}

// embeddedConfig finds "IKCFG_ST", a gzip file, "IKCFG_ED" (kernel/configs.c).
func embeddedConfig(data []byte) ([]byte, bool) {
	_, rest, found := bytes.Cut(data, []byte("IKCFG_ST\x1f\x8b"))
	if !found {
		return nil, false
	}
	packed, _, found := bytes.Cut(rest, []byte("IKCFG_ED"))
	if !found {
		return nil, false
	}
	z, err := gzip.NewReader(io.MultiReader(bytes.NewReader([]byte("\x1f\x8b")), bytes.NewReader(packed)))
	if err != nil {
		return nil, false
	}
	text, err := io.ReadAll(io.LimitReader(z, maxConfig+1))
	if err != nil || len(text) > maxConfig {
		return nil, false
	}
	return text, true
}
