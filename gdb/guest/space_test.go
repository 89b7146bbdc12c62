package guest

import (
	"encoding/binary"
	"errors"
	"testing"

	"kcatch/gdb/amd64"
)

// memory is guest-physical memory of a few pages that starts at 0.
type memory []byte

func (m memory) ReadPhysical(p []byte, gpa uint64) (int, error) {
	if gpa >= uint64(len(m)) {
		return 0, &FaultError{Addr: gpa, Reason: NoRAM}
	}
	n := copy(p, m[gpa:])
	if n < len(p) {
		return n, &FaultError{Addr: gpa + uint64(n), Reason: NoRAM}
	}
	return n, nil
}

func (m memory) Layout() Layout { return Layout{Low: uint64(len(m))} }

func (m memory) put(at, v uint64) { binary.LittleEndian.PutUint64(m[at:], v) }

const long = amd64.EFERLMA | amd64.EFERLME

func TestTranslate(t *testing.T) {
	m := make(memory, 16*pageBytes)
	const nx = 1 << 63
	// Long mode: root at 0x1000, one 4 KiB page, one 2 MiB, one 1 GiB page; 5 levels from 0x5000.
	m.put(0x1000+8*511, 0x2003|nx)
	m.put(0x2000+8*510, 0x3003)
	m.put(0x2000+8*509, 0x40000083)
	m.put(0x3000+8*8, 0x4003)
	m.put(0x3000+8*9, 0x60000083|1<<12) // PAT of a large page is bit 12, no part of the address
	m.put(0x4000+8*1, 0x7063|nx)
	m.put(0x4000+8*2, 0x7062) // not present
	m.put(0x5000+8*511, 0x1003)
	m.put(0x1000+8*1, 0x83)     // page size in a PML4 entry: reserved
	m.put(0x1000+8*2, 0xff0003) // table outside RAM
	m.put(0x1000+8*256, 0x1003) // a table that points to itself
	m.put(0x6000+8*3, 0x8001)   // PAE directory pointer
	m.put(0x8000+8*1, 0x200083) // PAE 2 MiB
	m.put(0x9000, 0x00800083)   // 32-bit: entry 0: 4 MiB; entry 1 (upper half): see below
	m.put(0x9000+4, 0x0000a003) // entry 1: table
	m.put(0xa000, 0x0000b001)   // its entry 0
	longSpace := Space{Physical: m, CR0: amd64.CR0PE | amd64.CR0PG, CR3: 0x1018, EFER: long, CR4: amd64.CR4PAE}
	five := longSpace
	five.CR3, five.CR4 = 0x5000, amd64.CR4PAE|amd64.CR4LA57
	pae := Space{Physical: m, CR0: amd64.CR0PE | amd64.CR0PG, CR3: 0x6000, CR4: amd64.CR4PAE}
	legacy := Space{Physical: m, CR0: amd64.CR0PE | amd64.CR0PG, CR3: 0x9000, CR4: cr4PSE}
	noPSE := legacy
	noPSE.CR4 = 0
	tests := []struct {
		name   string
		space  Space
		va     uint64
		pa, n  uint64
		level  int
		reason Reason
	}{
		{"4 KiB", longSpace, 0xffffffff81001234, 0x7234, 0xdcc, 0, 0},
		{"2 MiB", longSpace, 0xffffffff81212345, 0x60012345, 0x1edcbb, 0, 0},
		{"1 GiB", longSpace, 0xffffffff40000010, 0x40000010, 0x3ffffff0, 0, 0},
		{"5 levels", five, 0xffffffff81001234, 0x7234, 0xdcc, 0, 0},
		{"not present", longSpace, 0xffffffff81002000, 0, 0, 1, NotPresent},
		{"not present at the root", longSpace, 0x1000, 0, 0, 4, NotPresent},
		{"not canonical", longSpace, 0x0000800000000000, 0, 0, 0, NotCanonical},
		{"canonical with 5 levels", five, 0x0000800000000000, 0, 0, 5, NotPresent},
		{"large bit where reserved", longSpace, 0x8000000000, 0, 0, 4, BadTable},
		{"table outside RAM", longSpace, 0x10000000000, 0, 0, 3, BadTable},
		{"table in a loop", longSpace, 0xffff804020100800, 0x1800, 0x800, 0, 0},
		{"pae 2 MiB", pae, 0xc0212345, 0x212345, 0x1edcbb, 0, 0},
		{"pae above 4 GiB", pae, 0x1c0212345, 0, 0, 0, NotCanonical},
		{"32-bit 4 MiB", legacy, 0x12345, 0x812345, 0x3edcbb, 0, 0},
		{"32-bit without PSE: a table", noPSE, 0x12345, 0, 0, 1, BadTable},
		{"32-bit 4 KiB", legacy, 0x400010, 0xb010, 0xff0, 0, 0},
		{"paging off", Space{Physical: m}, 0x1234, 0x1234, 0xdcc, 0, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			// The address that loops needs its own root: entry 256 of each level is the same table.
			if tc.name == "table in a loop" {
				tc.va = 0xffff800000000000 | 256<<30 | 256<<21 | 256<<12 | 0x800
				tc.pa, tc.n = 0x1800, 0x800
			}
			pa, n, err := tc.space.Translate(tc.va)
			fault, _ := errors.AsType[*FaultError](err)
			switch {
			case tc.reason == 0 && (err != nil || pa != tc.pa || n != tc.n):
				t.Errorf("0x%x: 0x%x and 0x%x bytes, %v; want 0x%x and 0x%x", tc.va, pa, n, err, tc.pa, tc.n)
			case tc.reason != 0 && (fault == nil || fault.Reason != tc.reason || fault.Level != tc.level || fault.Addr != tc.va):
				t.Errorf("0x%x: %v, want %v at level %d", tc.va, err, tc.reason, tc.level)
			}
		})
	}
	var p [0x1000]byte
	n, err := longSpace.ReadMemory(p[:], 0xffffffff81001800)
	if fault, _ := errors.AsType[*FaultError](err); n != 0x800 || fault == nil || fault.Addr != 0xffffffff81002000 {
		t.Errorf("read over the end of a mapping: %d, %v", n, err)
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add([]byte{3, 0x10, 0, 0, 0, 0, 0, 0, 0x83}, uint64(0xffffffff81000000), uint64(0), uint64(long))
	f.Fuzz(func(t *testing.T, raw []byte, va, cr4, efer uint64) {
		m := make(memory, 4*pageBytes)
		for i := range m {
			if len(raw) > 0 {
				m[i] = raw[i%len(raw)]
			}
		}
		for _, cr0 := range []uint64{0, amd64.CR0PE | amd64.CR0PG} {
			s := Space{Physical: m, CR0: cr0, CR4: cr4, EFER: efer}
			pa, n, err := s.Translate(va)
			if (err == nil) != (n > 0) || pa > addrMask && cr0 != 0 {
				t.Errorf("0x%x: 0x%x 0x%x %v", va, pa, n, err)
			}
			var b [100]byte
			if n, err := s.ReadMemory(b[:], va); (n < len(b)) != (err != nil) {
				t.Errorf("read 0x%x: %d %v", va, n, err)
			}
		}
	})
}
