package unwind

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"sort"
	"testing"
)

// elfCode is a vmlinux's ORC table read with debug/elf alone: independent of the vmlinux package, and trusting.
// Versions 1 (no .orc_header) and 3 (with it).
type elfCode struct {
	ip    []uint64
	entry []byte
	v3    bool
}

func openELF(t testing.TB, path string) *elfCode {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &elfCode{}
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
	return c
}

var (
	elfORCRegs = [...]ORCReg{ORCUndefined, ORCPrevSP, ORCDX, ORCDI, ORCBP, ORCSP, ORCR10, ORCR13, ORCBPIndirect, ORCSPIndirect, ORCAX}
	elfTypesV1 = [...]ORCType{ORCTypeCall, ORCTypeRegs, ORCTypeRegsPartial, ORCTypeUndefined}
	elfTypesV3 = [...]ORCType{ORCTypeUndefined, ORCTypeEnd, ORCTypeCall, ORCTypeRegs, ORCTypeRegsPartial}
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
		SPReg: elfORCRegs[bits&15], BPReg: elfORCRegs[bits>>4&15],
	}
	if c.v3 {
		o.Type, o.Signal = elfTypesV3[bits>>8&7], bits>>11&1 != 0
		return o, true
	}
	o.Type = elfTypesV1[bits>>8&3]
	if bits>>10&1 != 0 {
		o.Type = ORCTypeEnd
	}
	return o, true
}
