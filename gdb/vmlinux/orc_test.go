package vmlinux

import (
	"encoding/binary"
	"errors"
	"testing"

	"kcatch/internal/fixtures"
)

func TestDecodeORC(t *testing.T) {
	row := func(sp, bp int16, bits uint16) []byte {
		b := binary.LittleEndian.AppendUint16(nil, uint16(sp))
		b = binary.LittleEndian.AppendUint16(b, uint16(bp))
		return binary.LittleEndian.AppendUint16(b, bits)
	}
	// Versions 2 and 4 are synthesized from orc_types.h of v6.3 and v7.1; no such kernel was at hand.
	for _, tt := range []struct {
		name    string
		version int
		row     []byte
		want    ORCEntry
	}{
		{"v1 call", 1, row(16, -16, 5|1<<4), ORCEntry{ORCCall, ORCSP, 16, ORCPrevSP, -16, false}},
		{"v1 regs", 1, row(0, 0, 5|1<<8), ORCEntry{ORCRegs, ORCSP, 0, ORCUndefined, 0, false}},
		{"v1 partial", 1, row(8, 0, 5|2<<8), ORCEntry{ORCRegsPartial, ORCSP, 8, ORCUndefined, 0, false}},
		{"v1 indirect", 1, row(-8, 0, 9), ORCEntry{ORCCall, ORCSPIndirect, -8, ORCUndefined, 0, false}},
		{"v1 end", 1, row(0, 0, 1<<10), ORCEntry{Type: ORCEndOfStack}},
		{"v1 nothing", 1, row(0, 0, 0), ORCEntry{}},
		{"v1 bad register", 1, row(0, 0, 11), ORCEntry{}},
		{"v1 bad type", 1, row(0, 0, 5|3<<8), ORCEntry{}},
		{"v2 signal", 2, row(0, 0, 5|1<<8|1<<10), ORCEntry{ORCRegs, ORCSP, 0, ORCUndefined, 0, true}},
		{"v2 end", 2, row(0, 0, 1<<11), ORCEntry{Type: ORCEndOfStack}},
		{"v3 undefined", 3, row(0, 0, 0), ORCEntry{}},
		{"v3 end", 3, row(0, 0, 1<<8), ORCEntry{Type: ORCEndOfStack}},
		{"v3 call", 3, row(24, -16, 5|1<<4|2<<8), ORCEntry{ORCCall, ORCSP, 24, ORCPrevSP, -16, false}},
		{"v3 regs signal", 3, row(0, 0, 5|3<<8|1<<11), ORCEntry{ORCRegs, ORCSP, 0, ORCUndefined, 0, true}},
		{"v3 bad type", 3, row(0, 0, 5|5<<8), ORCEntry{}},
		{"v4 call", 4, row(24, -16, 3|8<<4|2<<8), ORCEntry{ORCCall, ORCSP, 24, ORCPrevSP, -16, false}},
		{"v4 bp indirect", 4, row(8, 0, 10|2<<8), ORCEntry{ORCCall, ORCBPIndirect, 8, ORCUndefined, 0, false}},
	} {
		if got := decodeORC(tt.version, tt.row); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestORCVersionByRelease(t *testing.T) {
	for release, want := range map[string]int{
		"6.1.192-kcatch": 1, "5.10.0-28-amd64": 1, "6.3.4": 2, "6.4.0": 3, "6.12.117": 3, "7.0.1": 3, "": 1,
		"5.14.0-427.el9.x86_64": 1, "5.14.0-570.12.1.el9_6.x86_64": 3,
	} {
		if got := orcVersionByRelease(release); got != want {
			t.Errorf("%q: version %d, want %d", release, got, want)
		}
	}
}

// TestORCOfKernel: what decides whether the early exception's frame is crossed.
func TestORCOfKernel(t *testing.T) {
	for name, version := range map[string]int{fixtures.Seed61: 1, fixtures.Seed612: 3, fixtures.Cloud61: 1, fixtures.Cloud612: 3} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t, name)
			o, err := f.ORC()
			if err != nil {
				t.Fatal(err)
			}
			if o.Version != version || o.Len() < 50000 || o.order != nil {
				t.Errorf("version %d, %d entries, sorted anew: %v", o.Version, o.Len(), o.order != nil)
			}
			syms := f.Lookup("start_kernel", "early_idt_handler_common", "secondary_startup_64", "_text")
			if e, ok := o.Entry(syms["start_kernel"].Addr); !ok || e.Type != ORCCall || e.SPReg != ORCSP || e.SPOffset != 8 {
				t.Errorf("start_kernel: %+v %v", e, ok)
			}
			early := syms["early_idt_handler_common"]
			regs := false
			for a := early.Addr; a < early.Addr+Addr(early.Size); a++ {
				e, ok := o.Entry(a)
				regs = regs || ok && e.Type == ORCRegs && e.SPReg == ORCSP && e.SPOffset == 0
			}
			if !regs {
				t.Error("early_idt_handler_common has no entry with pt_regs at the stack pointer")
			}
			second := syms["secondary_startup_64"]
			if e, ok := o.Entry(second.Addr + Addr(second.Size) - 8); !ok || e.Type != ORCEndOfStack {
				t.Errorf("secondary_startup_64: %+v %v", e, ok)
			}
			for _, a := range []Addr{0, syms["_text"].Addr - 1, ^Addr(0)} {
				if e, ok := o.Entry(a); ok {
					t.Errorf("0x%x: %+v", uint64(a), e)
				}
			}
		})
	}
}

func TestORCMissing(t *testing.T) {
	if _, err := openTiny(t, "tiny").ORC(); !errors.Is(err, ErrNoORC) {
		t.Error(err)
	}
}

// syntheticORC is a table over tiny.elf's text.
func syntheticORC(f *File, version int, ips, rows []byte) *ORC {
	n := min(len(ips)/4, len(rows)/orcRowSize)
	o := &ORC{Version: version, file: f, base: 0xffffffff81000000, ips: ips[:4*n], rows: rows[:orcRowSize*n]}
	o.sortIfNeeded()
	return o
}

// TestORCUnsorted: tables of kernels before v5.6 are sorted only at boot.
func TestORCUnsorted(t *testing.T) {
	f := openTiny(t, "tiny")
	var ips, rows []byte
	for i, ip := range []int32{0x20, 0, 0x50, 0x10} { // relative to the base; the slot's own address is subtracted
		ips = binary.LittleEndian.AppendUint32(ips, uint32(ip-int32(4*i)))
		rows = append(rows, byte(ip), 0, 0, 0, 5, 2)
	}
	o := syntheticORC(f, 3, ips, rows)
	for a, want := range map[Addr]int16{0: 0, 0xf: 0, 0x10: 0x10, 0x1f: 0x10, 0x20: 0x20, 0x4f: 0x20, 0xe0: 0x50} {
		if e, ok := o.Entry(0xffffffff81000000 + a); !ok || e.SPOffset != want {
			t.Errorf("%#x: %+v %v, want offset %#x", uint64(a), e, ok, want)
		}
	}
}

// FuzzORC: no table makes a lookup panic, and only defined values come out.
func FuzzORC(f *testing.F) {
	tiny := openTiny(f, "tiny")
	f.Add(uint8(1), []byte{0, 0, 0, 0, 12, 0, 0, 0}, []byte{8, 0, 0, 0, 5, 0, 8, 0, 0, 0, 5, 1}, uint64(0x10))
	f.Add(uint8(4), []byte{40, 0, 0, 0, 0, 0, 0, 0}, []byte{8, 0, 0, 0, 5, 2, 8, 0, 0, 0, 255, 255}, uint64(0x30))
	f.Fuzz(func(t *testing.T, version uint8, ips, rows []byte, off uint64) {
		o := syntheticORC(tiny, int(version%4)+1, ips, rows)
		e, ok := o.Entry(Addr(0xffffffff81000000 + off))
		if !ok && e != (ORCEntry{}) || e.Type > ORCRegsPartial || e.SPReg > ORCAX || e.BPReg > ORCAX {
			t.Fatalf("%+v %v", e, ok)
		}
	})
}
