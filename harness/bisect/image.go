package bisect

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"
	"sort"
	"strings"
)

// ImageHash is one hash over everything that is loaded of a kernel, so that two builds with the same one are the same to boot:
// the sections of vmlinux that have memory, and the code of the two programs in front of it, arch/x86/boot and
// arch/x86/boot/compressed. Left out is what differs in every commit and decides nothing: notes (the build-id covers debug
// information), the version's text, and the compressed kernel, which holds both. obj is the object tree, release the version's text or empty.
func ImageHash(vmlinux, obj, release string) (string, error) {
	h := sha256.New()
	if err := hashELF(h, vmlinux, release); err != nil {
		return "", err
	}
	for _, dir := range []string{"arch/x86/boot", "arch/x86/boot/compressed"} {
		list, err := filepath.Glob(filepath.Join(obj, dir, "*.o"))
		if err != nil || len(list) == 0 {
			return "", fmt.Errorf("%s: no objects", filepath.Join(obj, dir))
		}
		sort.Strings(list)
		for _, name := range list {
			switch filepath.Base(name) {
			case "piggy.o", "version.o":
				continue
			}
			if err := hashELF(h, name, release); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// hashELF adds the sections of a file that are loaded, and the relocations of an object.
func hashELF(h hash.Hash, name, release string) error {
	f, err := elf.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	fmt.Fprintf(h, "%s %x\n", filepath.Base(name), f.Entry)
	for _, s := range f.Sections {
		loaded := s.Flags&elf.SHF_ALLOC != 0
		if s.Type == elf.SHT_RELA && int(s.Info) < len(f.Sections) {
			loaded = f.Sections[s.Info].Flags&elf.SHF_ALLOC != 0
		}
		if !loaded || s.Type == elf.SHT_NOTE || strings.HasPrefix(s.Name, ".note") {
			continue
		}
		fmt.Fprintf(h, "%s %d %x %x\n", s.Name, s.Type, s.Addr, s.Size)
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, s.Name, err)
		}
		if release != "" {
			data = bytes.ReplaceAll(data, []byte(release), make([]byte, len(release)))
		}
		if err := binary.Write(h, binary.LittleEndian, uint64(len(data))); err != nil {
			return err
		}
		h.Write(data)
	}
	return nil
}
