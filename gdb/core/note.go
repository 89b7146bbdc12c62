package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"

	"kcatch/gdb/amd64"
)

// readNotes takes the notes apart. Names that it does not know are passed over; a note that is cut off ends the list, as
// kdump's ends in zeros (fs/proc/vmcore.c, merge_note_headers_elf64).
func (c *File) readNotes(b []byte) error {
	qemu, process := 0, false
	for n, ok := nextNote(&b); ok; n, ok = nextNote(&b) {
		switch {
		case n.name == "CORE" && n.kind == uint32(elf.NT_PRSTATUS) && len(c.CPUs) < maxCPUs:
			if r, ok := parsePrstatus(n.desc); ok {
				c.CPUs = append(c.CPUs, CPU{Registers: r})
			}
		case n.name == "CORE" && n.kind == ntAuxv:
			process = true
		case n.name == "QEMU":
			if qemu < len(c.CPUs) { // they follow all of the others, in the same order
				c.CPUs[qemu].qemu(n.desc)
			}
			qemu++
		case n.name == "VMCOREINFO" && c.Info == nil:
			c.Info = bytes.TrimRight(n.desc, "\x00")
		case n.name == stateName && n.kind == stateType && c.State == nil:
			c.State = bytes.TrimRight(n.desc, " ")
		}
	}
	if process {
		return c.refuse("a core of a process, not of a machine", "gdb PROGRAM "+c.path+" reads it")
	}
	if len(c.CPUs) == 0 {
		return c.refuse("a core without the registers of a vCPU", "kdump saves them at a panic; a core of /proc/kcore has none")
	}
	return nil
}

// elfNote is one of a core's notes.
type elfNote struct {
	name string
	kind uint32
	desc []byte
}

// nextNote takes the first note off b; not ok at the end, and at a note that is cut off or has no name.
func nextNote(b *[]byte) (n elfNote, ok bool) {
	if len(*b) < 12 {
		return n, false
	}
	le, rest := binary.LittleEndian, (*b)[12:]
	nameSize, descSize := uint64(le.Uint32(*b)), uint64(le.Uint32((*b)[4:]))
	nameEnd, descEnd := pad4(nameSize), pad4(nameSize)+pad4(descSize)
	if nameSize == 0 || nameEnd+descSize > uint64(len(rest)) {
		return n, false
	}
	n = elfNote{name: string(bytes.TrimRight(rest[:nameSize], "\x00")), kind: le.Uint32((*b)[8:]), desc: rest[nameEnd : nameEnd+descSize]}
	*b = rest[min(descEnd, uint64(len(rest))):]
	return n, true
}

// ntAuxv is the note of a process' auxiliary vector (include/uapi/linux/elf.h), which no kernel of a machine has.
const ntAuxv = 6

func pad4(n uint64) uint64 { return (n + 3) &^ 3 }

// parsePrstatus is the inverse of prstatus.
func parsePrstatus(b []byte) (r amd64.Registers, ok bool) {
	if len(b) < prReg+27*8 {
		return r, false
	}
	reg := func(i int) uint64 { return binary.LittleEndian.Uint64(b[prReg+8*i:]) }
	for i, p := range []*uint64{&r.R15, &r.R14, &r.R13, &r.R12, &r.RBP, &r.RBX, &r.R11, &r.R10, &r.R9, &r.R8, &r.RAX, &r.RCX, &r.RDX, &r.RSI, &r.RDI} {
		*p = reg(i)
	}
	r.RIP, r.CS, r.EFLAGS, r.RSP, r.SS = reg(16), uint16(reg(17)), reg(18), reg(19), uint16(reg(20))
	r.FSBase, r.GSBase, r.DS, r.ES, r.FS, r.GS = reg(21), reg(22), uint16(reg(23)), uint16(reg(24)), uint16(reg(25)), uint16(reg(26))
	return r, true
}

// QEMUCPUState, version 1 (QEMU target/i386/arch_dump.c). Offsets in bytes; a QEMUCPUSegment is selector, limit, flags, pad
// of 4 bytes each and the base of 8. kernel_gs_base came later and is there when the size says so.
//
//	  0 version, size    8 rax rbx rcx rdx rsi rdi rsp rbp r8…r15 rip rflags
//	152 cs ds es fs gs ss ldt tr gdt idt, 24 each
//	392 cr0…cr4
//	432 kernel_gs_base
const (
	qemuSegments = 152
	qemuSegment  = 24
	qemuCR       = 392
	qemuGSBase   = 432
	segCS        = 0
	segFS        = 3
	segGS        = 4
	segIDT       = 9
	flagsLong    = 1 << 21 // DESC_L_MASK: the code segment is of 64 bits
)

// qemu fills in what QEMU's own note says of a vCPU. EFER is not in it: a vCPU with paging and PAE is in long mode when its
// code segment is, and the kernel's always is.
func (c *CPU) qemu(b []byte) {
	le := binary.LittleEndian
	if len(b) < qemuGSBase || le.Uint32(b) != 1 {
		return
	}
	cr := func(i int) uint64 { return le.Uint64(b[qemuCR+8*i:]) }
	base := func(seg int) uint64 { return le.Uint64(b[qemuSegments+qemuSegment*seg+16:]) }
	c.CR0, c.CR2, c.CR3, c.CR4 = cr(0), cr(2), cr(3), cr(4)
	c.FSBase, c.GSBase = base(segFS), base(segGS)
	c.IDTBase, c.IDTLimit = base(segIDT), le.Uint32(b[qemuSegments+qemuSegment*segIDT+4:])
	if len(b) >= qemuGSBase+8 {
		c.KernelGSBase = le.Uint64(b[qemuGSBase:])
	}
	long := le.Uint32(b[qemuSegments+qemuSegment*segCS+8:])&flagsLong != 0 || c.RIP>>32 != 0
	if c.CR0&amd64.CR0PG != 0 && c.CR4&amd64.CR4PAE != 0 && long {
		c.EFER = amd64.EFERLME | amd64.EFERLMA
	}
	c.Control = true
}

// InfoValue is the value of a key of VMCOREINFO, "OSRELEASE" or "NUMBER(phys_base)"; empty when it is not there.
func (c *File) InfoValue(key string) string {
	for line := range strings.Lines(string(c.Info)) {
		if name, value, ok := strings.Cut(line, "="); ok && name == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
