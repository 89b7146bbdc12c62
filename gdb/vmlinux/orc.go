package vmlinux

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// ORCReg is the base register of an ORC rule, by one numbering for all versions of the format.
type ORCReg uint8

// The registers of arch/x86/include/asm/orc_types.h.
const (
	ORCUndefined  ORCReg = iota
	ORCPrevSP            // the SP value that this entry computes (bp rules only)
	ORCDX                // the register's value, and so on
	ORCDI                //
	ORCBP                //
	ORCSP                //
	ORCR10               //
	ORCR13               //
	ORCBPIndirect        // *(bp + offset)
	ORCSPIndirect        // *(sp) + offset
	ORCAX
)

// ORCType is what stands where the stack pointer rule leads.
type ORCType uint8

// The types of version 3 and later; older entries are translated.
const (
	ORCUndefinedFrame ORCType = iota // no rule here: the stack cannot be walked from this address
	ORCEndOfStack                    // the outermost frame
	ORCCall                          // S is the caller's SP: return address at S-8
	ORCRegs                          // S is the address of a struct pt_regs (168 bytes)
	ORCRegsPartial                   // S is the address of an interrupt frame: ip, cs, flags, sp, ss
)

func (t ORCType) String() string {
	switch t {
	case ORCEndOfStack:
		return "end"
	case ORCCall:
		return "call"
	case ORCRegs:
		return "regs"
	case ORCRegsPartial:
		return "regs-partial"
	}
	return "undefined"
}

// ORCEntry is the rule for one range of addresses. With S the value of the SP rule:
//
//	SPReg SP, BP, R10, R13, DI, DX, AX:  S = register + SPOffset
//	SPReg SPIndirect:                    S = *(sp) + SPOffset
//	SPReg BPIndirect:                    S = *(bp + SPOffset)
//	BPReg PrevSP:                        bp = *(S + BPOffset)
//	BPReg BP:                            bp = *(bp + BPOffset)
//	BPReg Undefined:                     bp is unchanged
//
// Offsets are in bytes. Reference: arch/x86/kernel/unwind_orc.c, unwind_next_frame.
type ORCEntry struct {
	Type     ORCType
	SPReg    ORCReg
	SPOffset int16
	BPReg    ORCReg
	BPOffset int16
	Signal   bool // the frame below was interrupted here: its address is exact (versions 2 and later)
}

// ORC is the kernel's own unwind table. It reads the mapped sections in place.
type ORC struct {
	Version int // 1..4, see below

	file  *File  // nil: see NewORC
	base  uint64 // link address of .orc_unwind_ip
	ips   []byte // s32 each, relative to its own address
	rows  []byte // 6 bytes each
	order []uint32
}

// Versions of the entry: s16 sp_offset, s16 bp_offset, u16 bits.
//
//	1  v4.14  bits 0-3 sp_reg, 4-7 bp_reg, 8-9 type (CALL, REGS, REGS_PARTIAL), 10 end
//	2  v6.3   ... 10 signal, 11 end.           Linux ffb1b4a41016 ("x86/unwind/orc: Add 'signal' field to ORC metadata")
//	3  v6.4   8-10 type (UNDEFINED, END_OF_STACK, CALL, REGS, REGS_PARTIAL), 11 signal.
//	          Linux fb799447ae29 ("x86,objtool: Split UNWIND_HINT_EMPTY in two")
//	4  v7.1   as 3 with the registers renumbered
//
// Since v6.4 (and 6.3.10) .orc_header holds a hash of the layout: Linux b9f174c811e3 ("x86/unwind/orc: Add ELF section
// with ORC version identifier"). The hashes are those of drgn's libdrgn/orc_info.c; no kernel with version 2 or 4 was at
// hand, and both are tested on made-up sections only.
var orcHashes = map[string]int{
	"db84aed4103b31dd51e017f8f79783ca985c2c51": 2,
	"fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24": 3,
	"137c36ad7627c4dd55932176bb0ecdbd5041fc82": 4,
}

var (
	orcRegs1 = [...]ORCReg{ORCUndefined, ORCPrevSP, ORCDX, ORCDI, ORCBP, ORCSP, ORCR10, ORCR13, ORCBPIndirect, ORCSPIndirect, ORCAX}
	orcRegs4 = [...]ORCReg{ORCUndefined, ORCAX, ORCDX, ORCSP, ORCBP, ORCDI, ORCR10, ORCR13, ORCPrevSP, ORCSPIndirect, ORCBPIndirect}
)

const orcRowSize = 6

// ErrNoORC says that the file has no ORC sections: another unwinder is configured, or the distribution stripped them
// from its debug file.
var ErrNoORC = errors.New("vmlinux has no ORC sections")

// ORC returns the unwind table, without reading it. Errors: [ErrNoORC], or an unknown or broken layout.
func (f *File) ORC() (*ORC, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.orc.done {
		f.orc.done = true
		f.orc.table, f.orc.err = f.openORC()
	}
	return f.orc.table, f.orc.err
}

func (f *File) openORC() (*ORC, error) {
	if !f.hasSection(".orc_unwind_ip") || !f.hasSection(".orc_unwind") {
		return nil, ErrNoORC
	}
	ips, err := f.section(".orc_unwind_ip")
	if err != nil {
		return nil, err
	}
	rows, err := f.section(".orc_unwind")
	if err != nil {
		return nil, err
	}
	o := &ORC{file: f, base: f.sections[".orc_unwind_ip"].elf.Addr, ips: ips, rows: rows}
	if len(ips)%4 != 0 || len(rows)%orcRowSize != 0 || len(ips)/4 != len(rows)/orcRowSize {
		return nil, &FormatError{Section: ".orc_unwind", Cause: fmt.Sprintf("%d bytes for %d bytes of .orc_unwind_ip", len(rows), len(ips))}
	}
	if o.Version, err = f.orcVersion(); err != nil {
		return nil, err
	}
	o.sortIfNeeded()
	return o, nil
}

// orcVersion asks the header; without one it is version 1, but for two families of kernels that changed the layout
// before they had the header, for which there is only the release to go by.
func (f *File) orcVersion() (int, error) {
	header, err := f.section(".orc_header")
	if err != nil {
		return 0, err
	}
	if len(header) > 0 {
		hash := hex.EncodeToString(header)
		if v, ok := orcHashes[hash]; ok {
			return v, nil
		}
		return 0, fmt.Errorf("read ORC: %s: unknown layout %s in .orc_header", f.path, hash)
	}
	return orcVersionByRelease(f.Release()), nil
}

func orcVersionByRelease(release string) int {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	var n [4]int
	for i := range min(len(parts), len(n)) {
		n[i], _ = strconv.Atoi(parts[i])
	}
	switch {
	case strings.HasPrefix(release, "5.14.0-") && strings.Contains(release, ".el9") && n[3] >= 517: // RHEL 9.6
		return 3
	case n[0] == 6 && n[1] == 3:
		return 2
	case n[0] > 6 || n[0] == 6 && n[1] > 3:
		return 3
	}
	return 1
}

// NewORC is a table that is not in a file: a module's, in memory. base is the address of ips, which has an s32 for each 6
// bytes of rows; version is the kernel's. Its addresses are run-time ones.
func NewORC(version int, base uint64, ips, rows []byte) *ORC {
	n := min(len(ips)/4, len(rows)/orcRowSize)
	o := &ORC{Version: version, base: base, ips: ips[:n*4], rows: rows[:n*orcRowSize]}
	o.sortIfNeeded()
	return o
}

// Len is the number of entries.
func (o *ORC) Len() int { return len(o.ips) / 4 }

func (o *ORC) rawIP(i int) uint64 {
	return o.base + uint64(i)*4 + uint64(int64(int32(binary.LittleEndian.Uint32(o.ips[i*4:]))))
}

func (o *ORC) row(i int) int {
	if o.order != nil {
		return int(o.order[i])
	}
	return i
}

// sortIfNeeded makes an order for tables of kernels before v5.6, which sort at boot: Linux f14bf6a350df ("x86/unwind/orc:
// Remove boot-time ORC unwind tables sorting"). A sorted table is told from 1,000 samples, so that its pages stay untouched.
func (o *ORC) sortIfNeeded() {
	const samples = 1000
	last := uint64(0)
	sorted := true
	for i := 0; i < o.Len(); i += max(1, o.Len()/samples) {
		ip := o.rawIP(i)
		sorted = sorted && ip >= last
		last = ip
	}
	if sorted {
		return
	}
	o.order = make([]uint32, o.Len())
	for i := range o.order {
		o.order[i] = uint32(i)
	}
	slices.SortStableFunc(o.order, func(a, b uint32) int {
		x, y := o.rawIP(int(a)), o.rawIP(int(b))
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

// Entry returns the rule for a: that of the last entry at or below it. a is exact for an interrupted frame, and one
// less than the return address for a call. ok is false outside of the kernel's code and below the first entry; an
// address without a usable rule has the type ORCUndefinedFrame.
func (o *ORC) Entry(a Addr) (entry ORCEntry, ok bool) {
	if o.file != nil && !o.file.IsText(a) {
		return ORCEntry{}, false
	}
	i := sort.Search(o.Len(), func(i int) bool { return o.rawIP(o.row(i)) > uint64(a) })
	if i == 0 {
		return ORCEntry{}, false
	}
	n := o.row(i - 1)
	return decodeORC(o.Version, o.rows[n*orcRowSize:(n+1)*orcRowSize]), true
}

// decodeORC reads one 6-byte entry. Register numbers and types that the version does not define make it undefined.
func decodeORC(version int, b []byte) ORCEntry {
	bits := binary.LittleEndian.Uint16(b[4:])
	regs := orcRegs1[:]
	if version == 4 {
		regs = orcRegs4[:]
	}
	sp, bp := int(bits&15), int(bits>>4&15)
	if sp >= len(regs) || bp >= len(regs) {
		return ORCEntry{}
	}
	e := ORCEntry{
		SPReg: regs[sp], SPOffset: int16(binary.LittleEndian.Uint16(b)),
		BPReg: regs[bp], BPOffset: int16(binary.LittleEndian.Uint16(b[2:])),
	}
	if version >= 3 {
		e.Type = ORCType(bits >> 8 & 7)
		e.Signal = bits>>11&1 != 0
		if e.Type > ORCRegsPartial {
			return ORCEntry{}
		}
		return e
	}
	end := bits>>10&1 != 0
	if version == 2 {
		e.Signal = end
		end = bits>>11&1 != 0
	}
	kind := bits >> 8 & 3
	switch {
	case e.SPReg == ORCUndefined && end:
		e.Type = ORCEndOfStack
	case e.SPReg == ORCUndefined || kind > 2:
		return ORCEntry{}
	default:
		e.Type = ORCCall + ORCType(kind)
	}
	return e
}
