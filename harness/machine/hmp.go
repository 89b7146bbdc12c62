package machine

import (
	"fmt"
	"strconv"
	"strings"
)

// CPUState is a vCPU as "info registers" prints it. It may be asked of a running machine; under TCG the RIP of a vCPU
// that executes may then be stale by some instructions, that of a halted one is exact.
type CPUState struct {
	Index int
	// RIP is the instruction pointer, relative to CSBase: in real mode EIP. See PC.
	RIP    uint64
	RFLAGS uint64
	RSP    uint64
	RBP    uint64
	// CPL is the privilege level, 0 to 3; SMM whether it is in system management mode.
	CPL int
	SMM bool
	// Halted is QEMU's halted flag: it waits in HLT, or for its start-up IPI.
	Halted             bool
	CS                 uint16
	CSBase             uint64
	CS64               bool // executes 64-bit code
	IDTBase, GDTBase   uint64
	IDTLimit, GDTLimit uint32
	CR0, CR2, CR3, CR4 uint64
	EFER               uint64
}

// InterruptsOn reports RFLAGS.IF. A halted vCPU without it can only be woken by an NMI, SMI or INIT.
func (c CPUState) InterruptsOn() bool { return c.RFLAGS&(1<<9) != 0 }

// Paging reports CR0.PG: whether addresses are virtual.
func (c CPUState) Paging() bool { return c.CR0&(1<<31) != 0 }

// PC is the linear address of the next instruction: CSBase + RIP outside 64-bit code, where bases are ignored.
func (c CPUState) PC() uint64 {
	if c.CS64 {
		return c.RIP
	}
	return uint64(uint32(c.CSBase + c.RIP))
}

// maxCPUs bounds what is taken from one answer; QEMU's PCs have at most 1024 (4096 from 8.2 on).
const maxCPUs = 4096

// ParseCPUs takes the answer to the monitor command "info registers -a" apart. Source: QEMU target/i386/cpu-dump.c,
// x86_cpu_dump_state. In 16- and 32-bit mode registers are called EAX, EIP, EFL. Lines it does not know are skipped;
// a vCPU without instruction pointer, flags and HLT is an error, and so is an answer without vCPU. A real one:
//
//	CPU#0
//	RSI=0000000000000000 RDI=ffffffff82a4e6a0 RBP=0000000000000000 RSP=ffffffff82a03db8
//	RIP=ffffffff8192a94d RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
//	CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]
//	IDT=     ffffffff83093000 00000fff
//	CR0=80050033 CR2=0000000000000000 CR3=0000000002a0a000 CR4=000000a0
//	EFER=0000000000000d01
func ParseCPUs(text string) ([]CPUState, error) {
	var cpus []CPUState
	seen := 0 // of the last vCPU: bit 0 RIP, 1 RFLAGS, 2 HLT
	whole := func() error {
		if len(cpus) > 0 && seen != 7 {
			return fmt.Errorf("parse registers: CPU %d: no instruction pointer, flags or halted state", cpus[len(cpus)-1].Index)
		}
		return nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if number, ok := strings.CutPrefix(line, "CPU#"); ok {
			if err := whole(); err != nil {
				return nil, err
			}
			index, err := strconv.ParseUint(strings.TrimSpace(number), 10, 16)
			if err != nil || index >= maxCPUs || len(cpus) >= maxCPUs {
				return nil, fmt.Errorf("parse registers: %q: not a CPU number", clip(line))
			}
			cpus = append(cpus, CPUState{Index: int(index)})
			seen = 0
			continue
		}
		if len(cpus) == 0 {
			continue
		}
		bits, err := cpus[len(cpus)-1].line(line)
		if err != nil {
			return nil, fmt.Errorf("parse registers: CPU %d: %w", cpus[len(cpus)-1].Index, err)
		}
		seen |= bits
	}
	if err := whole(); err != nil {
		return nil, err
	}
	if len(cpus) == 0 {
		return nil, fmt.Errorf("parse registers: %q: no CPU in the answer", clip(text))
	}
	return cpus, nil
}

// line takes one line and says which of the necessary fields were in it.
func (c *CPUState) line(line string) (seen int, err error) {
	hex := func(s string, bits int) uint64 {
		v, e := strconv.ParseUint(s, 16, bits)
		if e != nil && err == nil {
			err = fmt.Errorf("%q: not a hexadecimal number of %d bits", clip(s), bits)
		}
		return v
	}
	name, rest, _ := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	switch name {
	case "CS":
		f := strings.Fields(rest)
		if len(f) < 2 {
			return 0, fmt.Errorf("%q: segment without base", clip(line))
		}
		c.CS, c.CSBase = uint16(hex(f[0], 16)), hex(f[1], 64)
		c.CS64 = strings.Contains(rest, " CS64 ")
		return 0, err
	case "IDT", "GDT":
		f := strings.Fields(rest)
		if len(f) < 2 {
			return 0, fmt.Errorf("%q: table without limit", clip(line))
		}
		if name == "IDT" {
			c.IDTBase, c.IDTLimit = hex(f[0], 64), uint32(hex(f[1], 32))
		} else {
			c.GDTBase, c.GDTLimit = hex(f[0], 64), uint32(hex(f[1], 32))
		}
		return 0, err
	}
	for _, field := range strings.Fields(line) {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			continue
		}
		switch name {
		case "RIP", "EIP":
			c.RIP = hex(value, 64)
			seen |= 1
		case "RFL", "EFL":
			c.RFLAGS = hex(value, 64)
			seen |= 2
		case "HLT":
			c.Halted = hex(value, 1) != 0
			seen |= 4
		case "RSP", "ESP":
			c.RSP = hex(value, 64)
		case "RBP", "EBP":
			c.RBP = hex(value, 64)
		case "CPL":
			c.CPL = int(hex(value, 2))
		case "SMM":
			c.SMM = hex(value, 1) != 0
		case "CR0":
			c.CR0 = hex(value, 64)
		case "CR2":
			c.CR2 = hex(value, 64)
		case "CR3":
			c.CR3 = hex(value, 64)
		case "CR4":
			c.CR4 = hex(value, 64)
		case "EFER":
			c.EFER = hex(value, 64)
		}
	}
	return seen, err
}

// clip shortens hostile text for an error message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
