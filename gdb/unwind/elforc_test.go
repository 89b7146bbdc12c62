package unwind

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"sort"
	"testing"
)

// elfCode is a vmlinux read with debug/elf alone, for tests: independent of the vmlinux package, slow, and trusting.
// ORC versions 1 (no .orc_header) and 3 (with it).
type elfCode struct {
	ip    []uint64
	entry []byte
	v3    bool
	text  [][2]uint64
	data  map[uint64][]byte // section contents by address
	name  func(link uint64) (string, uint64, bool)
}

func openELF(t testing.TB, path string) *elfCode {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &elfCode{data: map[uint64][]byte{}}
	ips, entries := f.Section(".orc_unwind_ip"), f.Section(".orc_unwind")
	if ips == nil || entries == nil {
		t.Fatalf("%s: no ORC", path)
	}
	raw, err1 := ips.Data()
	orc, err2 := entries.Data()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		c.ip = append(c.ip, ips.Addr+uint64(i)+uint64(int64(int32(binary.LittleEndian.Uint32(raw[i:])))))
	}
	c.entry, c.v3 = orc, f.Section(".orc_header") != nil
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_EXECINSTR != 0 {
			c.text = append(c.text, [2]uint64{s.Addr, s.Addr + s.Size})
			if c.data[s.Addr], err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

func (c *elfCode) IsText(link uint64) bool {
	for _, r := range c.text {
		if link >= r[0] && link < r[1] {
			return true
		}
	}
	return false
}

func (c *elfCode) HasORC() bool { return true }

var (
	orcRegs    = [...]ORCReg{ORCUndefined, ORCPrevSP, ORCDX, ORCDI, ORCBP, ORCSP, ORCR10, ORCR13, ORCBPIndirect, ORCSPIndirect, ORCAX}
	orcTypesV1 = [...]ORCType{ORCTypeCall, ORCTypeRegs, ORCTypeRegsPartial, ORCTypeUndefined}
	orcTypesV3 = [...]ORCType{ORCTypeUndefined, ORCTypeEnd, ORCTypeCall, ORCTypeRegs, ORCTypeRegsPartial}
)

func (c *elfCode) ORC(link uint64) (ORC, bool) {
	i := sort.Search(len(c.ip), func(i int) bool { return c.ip[i] > link }) - 1
	if i < 0 || 6*i+6 > len(c.entry) {
		return ORC{}, false
	}
	e := c.entry[6*i:]
	bits := binary.LittleEndian.Uint16(e[4:])
	o := ORC{
		SPOffset: int16(binary.LittleEndian.Uint16(e)), BPOffset: int16(binary.LittleEndian.Uint16(e[2:])),
		SPReg: orcRegs[bits&15], BPReg: orcRegs[bits>>4&15],
	}
	if c.v3 {
		o.Type, o.Signal = orcTypesV3[bits>>8&7], bits>>11&1 != 0
		return o, true
	}
	o.Type = orcTypesV1[bits>>8&3]
	if bits>>10&1 != 0 {
		o.Type = ORCTypeEnd
	}
	return o, true
}

func (c *elfCode) CFI(uint64) (Row, error) { return Row{}, ErrNoRow }

func (c *elfCode) Function(link uint64) (string, uint64, bool) { return c.name(link) }

func (c *elfCode) Code(link uint64, n int) []byte {
	for addr, data := range c.data {
		if off := link - addr; off < uint64(len(data)) {
			return data[off:min(off+uint64(n), uint64(len(data)))]
		}
	}
	return nil
}
