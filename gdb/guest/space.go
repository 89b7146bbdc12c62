package guest

import (
	"encoding/binary"
	"errors"

	"kcatch/gdb/amd64"
)

// Space is the virtual address space of one vCPU: physical memory seen through its control registers.
// Permissions are not checked; this is a debugger's view. The zero values of the registers mean paging off.
type Space struct {
	Physical            Physical
	CR0, CR3, CR4, EFER uint64
}

// NewSpace is the space that regs select.
func NewSpace(physical Physical, regs amd64.Registers) Space {
	return Space{Physical: physical, CR0: regs.CR0, CR3: regs.CR3, CR4: regs.CR4, EFER: regs.EFER}
}

// Page-table bits. SDM vol. 3A, 4.3 to 4.5.
const (
	present   = 1 << 0
	pageSize  = 1 << 7
	cr4PSE    = 1 << 4
	addrMask  = 1<<52 - 1 // the architectural limit of a physical address
	pageBytes = 4096
)

// mode is one paging mode: how a virtual address is cut into indices, root first.
type mode struct {
	levels    int
	indexBits uint   // of all levels but the root of PAE
	rootBits  uint   // of the root
	entrySize uint64 // bytes
	rootMask  uint64 // of CR3
	largest   int    // highest level whose entry may map a page
}

var (
	mode32   = mode{levels: 2, indexBits: 10, rootBits: 10, entrySize: 4, rootMask: 0xfffff000, largest: 2}
	modePAE  = mode{levels: 3, indexBits: 9, rootBits: 2, entrySize: 8, rootMask: 0xffffffe0, largest: 2}
	modeLong = mode{levels: 4, indexBits: 9, rootBits: 9, entrySize: 8, rootMask: addrMask &^ 0xfff, largest: 3}
)

func (s Space) mode() (mode, bool) {
	switch {
	case s.CR0&amd64.CR0PG == 0 || s.CR0&amd64.CR0PE == 0:
		return mode{}, false
	case s.EFER&amd64.EFERLMA != 0:
		m := modeLong
		if s.CR4&amd64.CR4LA57 != 0 {
			m.levels = 5
		}
		return m, true
	case s.CR4&amd64.CR4PAE != 0:
		return modePAE, true
	}
	m := mode32
	if s.CR4&cr4PSE == 0 {
		m.largest = 1
	}
	return m, true
}

// Translate gives the guest-physical address of va and how many bytes of the same page follow from there.
// The walk reads one entry a level, so that no table can make it loop. Errors: [*FaultError].
func (s Space) Translate(va uint64) (pa, n uint64, err error) {
	m, paging := s.mode()
	if !paging {
		return va, pageBytes - va%pageBytes, nil
	}
	if m.entrySize == 8 && m.levels >= 4 {
		shift := 64 - (12 + 9*uint(m.levels))
		if uint64(int64(va<<shift)>>shift) != va {
			return 0, 0, &FaultError{Addr: va, Reason: NotCanonical}
		}
	} else if va > 0xffffffff {
		return 0, 0, &FaultError{Addr: va, Reason: NotCanonical}
	}
	table := s.CR3 & m.rootMask
	for level := m.levels; level >= 1; level-- {
		shift := 12 + m.indexBits*uint(level-1)
		bits := m.indexBits
		if level == m.levels {
			bits = m.rootBits
		}
		entry, err := s.entry(table+(va>>shift&(1<<bits-1))*m.entrySize, m.entrySize)
		switch {
		case err != nil:
			return 0, 0, &FaultError{Addr: va, Level: level, Reason: BadTable}
		case entry&present == 0:
			return 0, 0, &FaultError{Addr: va, Level: level, Reason: NotPresent}
		}
		// Bit 7 is PS only above the last level (there it is PAT), and in a 32-bit root only with CR4.PSE.
		large := level > 1 && entry&pageSize != 0
		if large && level > m.largest {
			if m.entrySize == 4 {
				large = false
			} else {
				return 0, 0, &FaultError{Addr: va, Level: level, Reason: BadTable}
			}
		}
		if level == 1 || large {
			size := uint64(1) << shift
			return pageBase(entry, size, m) + va%size, size - va%size, nil
		}
		table = entry & addrMask &^ 0xfff
	}
	return 0, 0, &FaultError{Addr: va, Reason: BadTable} // not reached: level 1 returns
}

// pageBase is the physical address in an entry that maps a page. A 4 MiB page of 32-bit paging has its address
// bits 32..39 in entry bits 13..20 (PSE-36, SDM vol. 3A, table 4-4).
func pageBase(entry, size uint64, m mode) uint64 {
	if m.entrySize == 4 && size == 4<<20 {
		return entry&0xffc00000 | entry>>13&0xff<<32
	}
	return entry & addrMask &^ (size - 1)
}

func (s Space) entry(pa, size uint64) (uint64, error) {
	var b [8]byte
	_, err := s.Physical.ReadPhysical(b[:size], pa)
	return binary.LittleEndian.Uint64(b[:]), err
}

// ReadMemory fills p from virtual address va. n is the number of bytes read before the first address that is not
// mapped or is no RAM; the error then is a [*FaultError] with that virtual address.
func (s Space) ReadMemory(p []byte, va uint64) (int, error) {
	return readPaged(p, va, s.Physical, s.Translate)
}

// readPaged reads p in pieces that translate maps as a whole.
func readPaged(p []byte, va uint64, ram Physical, translate func(uint64) (pa, n uint64, err error)) (int, error) {
	done := 0
	for done < len(p) {
		at := va + uint64(done)
		pa, n, err := translate(at)
		if err != nil {
			return done, err
		}
		if rest := uint64(len(p) - done); n > rest {
			n = rest
		}
		got, err := ram.ReadPhysical(p[done:done+int(n)], pa)
		done += got
		if err != nil {
			if _, ok := errors.AsType[*FaultError](err); ok {
				return done, &FaultError{Addr: va + uint64(done), Reason: NoRAM}
			}
			return done, err
		}
	}
	return done, nil
}
