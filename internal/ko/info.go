package ko

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// Info is what a module says of itself.
type Info struct {
	// Name is the module's own name, empty before 4.12 (Linux 3e2e857f9c3a, "module: Add module name to modinfo").
	Name string
	// Release is the kernel's that it is for, as uname -r says it: the first word of vermagic.
	Release string
	// Depends are the names of the modules whose symbols it uses, directly.
	Depends []string
	// Aliases are patterns that modprobe knows it by: "fs-ext4", "pci:v00001AF4d*".
	Aliases []string
}

// InfoOf reads .modinfo of a module's ELF bytes. It is an error when they are no relocatable x86-64 object with one.
func InfoOf(data []byte) (Info, error) {
	f, err := open(data)
	if err != nil {
		return Info{}, err
	}
	s := f.Section(".modinfo")
	if s == nil || s.Type != elf.SHT_PROGBITS {
		return Info{}, errors.New("not a module: no .modinfo")
	}
	body, err := s.Data()
	if err != nil {
		return Info{}, fmt.Errorf("read .modinfo: %w", err)
	}
	var info Info
	for field := range bytes.SplitSeq(body, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		switch key {
		case "name":
			info.Name = value
		case "vermagic":
			info.Release, _, _ = strings.Cut(value, " ")
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					info.Depends = append(info.Depends, Name(name))
				}
			}
		case "alias":
			info.Aliases = append(info.Aliases, value)
		}
	}
	return info, nil
}

func open(data []byte) (*elf.File, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not a module: %w", err)
	}
	if f.Type != elf.ET_REL || f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("not a module of an x86-64 kernel: %s %s", f.Type, f.Machine)
	}
	return f, nil
}
