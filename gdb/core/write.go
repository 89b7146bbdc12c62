package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"kcatch/gdb/amd64"
)

// Range is a piece of RAM: guest-physical [Start, Start+Size), which lies at Offset in the RAM file; in bytes. Virt is where
// the kernel has it in its direct map, zero when that is not known.
type Range struct{ Start, Size, Offset, Virt uint64 }

// Machine is what goes into a core.
type Machine struct {
	// RAM is the file that is the guest's memory. Holes in it are never read: they would become memory.
	RAM    *os.File
	Ranges []Range
	// Image is the kernel's own mapping, as a segment of its own like kdump's: readers need it to find the page tables.
	// Its Offset is not used. Zero Size: none.
	Image Range
	CPUs  []amd64.Registers // in the order of their numbers
	Info  []byte            // VMCOREINFO, by [Info]; nil: no such note
	State []byte            // a note of our own, what registers and memory do not tell: [File.State] gives it back but for spaces at its end; nil: none
	// StateRoom is how many bytes the state may grow by later, with [SetState].
	StateRoom int
}

// Write writes the core into a new file at path. A file that could not be written whole is removed.
func Write(path string, m Machine) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(path) // a partial core misleads
		}
	}()
	return m.write(f)
}

const (
	pageSize  = 4096
	headSize  = 64 // Elf64_Ehdr
	progSize  = 56 // Elf64_Phdr
	chunkSize = 1 << 20
)

func (m Machine) write(f *os.File) error {
	if err := m.check(); err != nil {
		return err
	}
	notes := m.notes()
	segments := 1 + len(m.Ranges)
	if m.Image.Size > 0 {
		segments++
	}
	head := uint64(headSize + progSize*segments)
	progs := []elf.Prog64{{Type: uint32(elf.PT_NOTE), Off: head, Filesz: uint64(len(notes)), Memsz: uint64(len(notes))}}
	off := (head + uint64(len(notes)) + pageSize - 1) &^ (pageSize - 1)
	var image elf.Prog64 // PT_NULL unless the image lies in RAM
	for _, r := range m.Ranges {
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X), Off: off,
			Vaddr: r.Virt, Paddr: r.Start, Filesz: r.Size, Memsz: r.Size})
		if i := m.Image; i.Size > 0 && i.Start >= r.Start && i.Size <= r.Size && i.Start-r.Start <= r.Size-i.Size {
			image = elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X), Off: off + i.Start - r.Start,
				Vaddr: i.Virt, Paddr: i.Start, Filesz: i.Size, Memsz: i.Size}
		}
		off += r.Size
	}
	if m.Image.Size > 0 {
		progs = append(progs, image)
	}
	var b bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	for _, part := range []any{elf.Header64{Ident: ident, Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: headSize, Ehsize: headSize, Phentsize: progSize, Phnum: uint16(len(progs))}, progs} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			return fmt.Errorf("core: %w", err)
		}
	}
	b.Write(notes)
	if _, err := f.WriteAt(b.Bytes(), 0); err != nil {
		return err
	}
	for i, r := range m.Ranges {
		if err := m.copyRange(f, r, int64(progs[1+i].Off)); err != nil {
			return err
		}
	}
	if err := f.Truncate(int64(off)); err != nil {
		return err
	}
	return m.check() // what was cut off meanwhile was taken for a hole
}

// check refuses a machine that its RAM file does not hold: what lies past the end of a file looks like a hole, and a core
// of zeros would be a lie. It bounds the sums that follow, too.
func (m Machine) check() error {
	st, err := m.RAM.Stat()
	if err != nil {
		return fmt.Errorf("core: %w", err)
	}
	if len(m.Ranges) > maxRanges {
		return fmt.Errorf("core: %d ranges of RAM: at most %d", len(m.Ranges), maxRanges)
	}
	have := uint64(st.Size())
	for _, r := range m.Ranges {
		if r.Offset > have || r.Size > have-r.Offset {
			return fmt.Errorf("core: RAM file of 0x%x bytes: range of 0x%x at 0x%x is not in it", have, r.Size, r.Offset)
		}
		if r.Start+r.Size < r.Start {
			return fmt.Errorf("core: range of 0x%x bytes at 0x%x is past the end of memory", r.Size, r.Start)
		}
	}
	return nil
}

// maxRanges bounds the pieces of RAM; QEMU's PCs have two.
const maxRanges = 1 << 10

// Whence values of lseek(2) that find data and holes; Linux 3.1.
const (
	seekData = 3
	seekHole = 4
)

// copyRange writes the pages of a range that are there and not zero.
func (m Machine) copyRange(f *os.File, r Range, at int64) error {
	end := int64(r.Offset + r.Size)
	buf := make([]byte, chunkSize) // once: a search through 32 GiB leaves 16,000 pages of data, each for itself
	for pos := int64(r.Offset); pos < end; {
		data, err := m.RAM.Seek(pos, seekData)
		if errors.Is(err, syscall.ENXIO) || err == nil && data >= end {
			return nil // nothing but a hole
		}
		if err != nil {
			return fmt.Errorf("core: %w", err)
		}
		hole, err := m.RAM.Seek(data, seekHole)
		if err != nil {
			return fmt.Errorf("core: %w", err)
		}
		if hole = min(hole, end); hole <= pos {
			return fmt.Errorf("core: the RAM file has neither data nor a hole at 0x%x", pos)
		}
		if err := m.copyData(f, buf, data, hole, at-int64(r.Offset)); err != nil {
			return err
		}
		pos = hole
	}
	return nil
}

// copyData copies [from, to) of the RAM file through buf to the same place plus shift, but for pages of zeros.
func (m Machine) copyData(f *os.File, buf []byte, from, to, shift int64) error {
	for from < to {
		chunk := buf[:min(int64(len(buf)), to-from)]
		if _, err := m.RAM.ReadAt(chunk, from); err != nil {
			return fmt.Errorf("core: read RAM: %w", err)
		}
		for i := 0; i < len(chunk); {
			j := i
			for j < len(chunk) && !zero(chunk[j:min(j+pageSize, len(chunk))]) {
				j = min(j+pageSize, len(chunk))
			}
			if j > i {
				if _, err := f.WriteAt(chunk[i:j], from+int64(i)+shift); err != nil {
					return err
				}
			}
			i = j + pageSize
		}
		from += int64(len(chunk))
	}
	return nil
}

var zeros [pageSize]byte

func zero(p []byte) bool { return bytes.Equal(p, zeros[:len(p)]) }

// notes are the NT_PRSTATUS of each vCPU, the VMCOREINFO, and what we say ourselves.
func (m Machine) notes() []byte {
	var out []byte
	for i, r := range m.CPUs {
		out = note(out, "CORE", uint32(elf.NT_PRSTATUS), prstatus(i+1, r))
	}
	if m.Info != nil {
		out = note(out, "VMCOREINFO", 0, m.Info)
	}
	if m.State != nil {
		out = note(out, stateName, stateType, room(m.State, m.StateRoom))
	}
	return out
}

// The name and type of our own note. Readers pass over names that they do not know (gabi, "Note Section").
const (
	stateName = "KCATCH"
	stateType = 1
)

func note(out []byte, name string, kind uint32, desc []byte) []byte {
	pad := func(b []byte) []byte { return append(b, zeros[:-len(b)&3]...) }
	out = binary.LittleEndian.AppendUint32(out, uint32(len(name)+1))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(desc)))
	out = binary.LittleEndian.AppendUint32(out, kind)
	out = pad(append(append(out, name...), 0))
	return pad(append(out, desc...))
}

// Struct elf_prstatus, x86_64 (include/linux/elfcore.h): pr_pid at 32, pr_reg (struct user_regs_struct) at 112, 336 bytes.
const (
	prstatusSize = 336
	prPid        = 32
	prReg        = 112
)

func prstatus(pid int, r amd64.Registers) []byte {
	b := make([]byte, prstatusSize)
	binary.LittleEndian.PutUint32(b[prPid:], uint32(pid))
	for i, v := range []uint64{r.R15, r.R14, r.R13, r.R12, r.RBP, r.RBX, r.R11, r.R10, r.R9, r.R8, r.RAX, r.RCX, r.RDX, r.RSI, r.RDI,
		^uint64(0), r.RIP, uint64(r.CS), r.EFLAGS, r.RSP, uint64(r.SS), r.FSBase, r.GSBase, uint64(r.DS), uint64(r.ES), uint64(r.FS), uint64(r.GS)} {
		binary.LittleEndian.PutUint64(b[prReg+8*i:], v)
	}
	return b
}
