package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"

	"kcatch/gdb/amd64"
	"kcatch/gdb/vmlinux"
)

// File is a vmlinux as [Code]; it is the only place that knows the type. Make one with [NewFile].
type File struct {
	*vmlinux.File
	orc *vmlinux.ORC // nil: the file has none
}

// NewFile opens the unwind tables of f. A file without ORC is not an error; a broken table is.
func NewFile(f *vmlinux.File) (File, error) {
	orc, err := f.ORC()
	if err != nil && !errors.Is(err, vmlinux.ErrNoORC) {
		return File{}, fmt.Errorf("unwind: %w", err)
	}
	return File{File: f, orc: orc}, nil
}

// NewKernel is the [Kernel] of f that runs with a slide and lies at physical address phys. A file without symbols is an
// error, because nothing then bounds its text.
func NewKernel(f *vmlinux.File, slide, phys uint64) (*Kernel, error) {
	file, err := NewFile(f)
	if err != nil {
		return nil, err
	}
	at := f.Lookup("_text", "_end", "panic", "start_kernel", "do_early_exception")
	if at["_text"].Addr == 0 || at["_end"].Addr <= at["_text"].Addr {
		return nil, fmt.Errorf("unwind: %s: no symbols _text and _end", f.Path())
	}
	k := &Kernel{Code: file, Slide: slide, Phys: phys, Text: uint64(at["_text"].Addr), End: uint64(at["_end"].Addr)}
	if file.orc == nil {
		var starts []uint64
		for _, name := range [...]string{"panic", "start_kernel", "do_early_exception"} {
			if s, ok := at[name]; ok {
				starts = append(starts, uint64(s.Addr))
			}
		}
		k.FramePointers = KeepsFramePointers(file, starts)
	}
	return k, nil
}

// IsText implements [Code].
func (f File) IsText(link uint64) bool { return f.File.IsText(vmlinux.Addr(link)) }

// HasORC implements [Code].
func (f File) HasORC() bool { return f.orc != nil }

var orcRegs = map[vmlinux.ORCReg]ORCReg{
	vmlinux.ORCUndefined: ORCUndefined, vmlinux.ORCPrevSP: ORCPrevSP, vmlinux.ORCDX: ORCDX, vmlinux.ORCDI: ORCDI,
	vmlinux.ORCBP: ORCBP, vmlinux.ORCSP: ORCSP, vmlinux.ORCR10: ORCR10, vmlinux.ORCR13: ORCR13,
	vmlinux.ORCBPIndirect: ORCBPIndirect, vmlinux.ORCSPIndirect: ORCSPIndirect, vmlinux.ORCAX: ORCAX,
}

var orcTypes = map[vmlinux.ORCType]ORCType{
	vmlinux.ORCUndefinedFrame: ORCTypeUndefined, vmlinux.ORCEndOfStack: ORCTypeEnd, vmlinux.ORCCall: ORCTypeCall,
	vmlinux.ORCRegs: ORCTypeRegs, vmlinux.ORCRegsPartial: ORCTypeRegsPartial,
}

// ORC implements [Code].
func (f File) ORC(link uint64) (ORC, bool) {
	return ORCAt(f.orc, link)
}

// ORCAt is the entry of a table for an address.
func ORCAt(table *vmlinux.ORC, addr uint64) (ORC, bool) {
	e, ok := table.Entry(vmlinux.Addr(addr))
	if !ok {
		return ORC{}, false
	}
	sp, ok1 := orcRegs[e.SPReg]
	bp, ok2 := orcRegs[e.BPReg]
	return ORC{
		SPReg: sp, SPOffset: e.SPOffset, BPReg: bp, BPOffset: e.BPOffset, Type: orcTypes[e.Type], Signal: e.Signal,
	}, ok1 && ok2
}

// Function implements [Code].
func (f File) Function(link uint64) (string, uint64, bool) {
	s, ok := f.SymbolAt(vmlinux.Addr(link))
	return s.Name, uint64(s.Addr), ok
}

// CodeAt implements [Code].
func (f File) CodeAt(link uint64, n int) []byte {
	for ; n > 0; n-- {
		if b, err := f.Bytes(vmlinux.Addr(link), n); err == nil {
			return b
		}
	}
	return nil
}

// CFI implements [Code].
func (f File) CFI(link uint64) (Row, error) {
	r, err := f.FrameRow(vmlinux.Addr(link))
	if err != nil {
		return Row{}, err
	}
	return cfiRow(r)
}

// cfiRow translates a .debug_frame row. Rules that are expressions are left out, but for the one that gcc writes for
// realigned stacks, where the CFA is saved in a slot: DW_OP_breg<n> offset; DW_OP_deref, cfa = *(reg + offset).
func cfiRow(r vmlinux.CFIRow) (Row, error) {
	var row Row
	switch {
	case r.CFAExpression != nil:
		reg, off, ok := derefExpression(r.CFAExpression)
		if !ok {
			return Row{}, fmt.Errorf("cfi: frame address by expression % x", r.CFAExpression)
		}
		row.CFA = CFARule{Kind: CFAIndirect, Reg: reg, Offset: off}
	case r.CFAReg >= amd64.NumReg:
		return Row{}, fmt.Errorf("cfi: frame address by register %d", r.CFAReg)
	default:
		row.CFA = CFARule{Kind: CFARegister, Reg: amd64.Reg(r.CFAReg), Offset: r.CFAOffset}
	}
	row.Regs[amd64.RSP] = Rule{Kind: ValCFA}
	for _, reg := range calleeSaved {
		row.Regs[reg] = Rule{Kind: Same}
	}
	for reg := amd64.Reg(0); reg < amd64.NumReg; reg++ {
		rule, ok := r.Regs[uint64(reg)]
		if !ok || reg == amd64.RSP {
			continue
		}
		row.Regs[reg] = cfiRule(rule)
	}
	return row, nil
}

func cfiRule(r vmlinux.CFIRule) Rule {
	switch r.Kind {
	case vmlinux.CFISame:
		return Rule{Kind: Same}
	case vmlinux.CFIOffset:
		return Rule{Kind: AtCFA, Offset: r.Offset}
	case vmlinux.CFIValOffset:
		return Rule{Kind: ValCFA, Offset: r.Offset}
	case vmlinux.CFIRegister:
		if r.Reg < amd64.NumReg {
			return Rule{Kind: ValReg, Reg: amd64.Reg(r.Reg)}
		}
	case vmlinux.CFIExpression:
		// DW_OP_breg<n> offset: the register's slot by another base, *(reg + offset).
		if reg, off, rest, ok := baseExpression(r.Expression); ok && len(rest) == 0 {
			return Rule{Kind: AtReg, Reg: reg, Offset: off}
		}
	}
	return Rule{}
}

// DWARF 5, 7.7.1.
const (
	opDeref = 0x06
	opBreg0 = 0x70
)

// derefExpression reads DW_OP_breg<n> offset; DW_OP_deref.
func derefExpression(e []byte) (reg amd64.Reg, off int64, ok bool) {
	reg, off, rest, ok := baseExpression(e)
	return reg, off, ok && len(rest) == 1 && rest[0] == opDeref
}

// baseExpression reads DW_OP_breg<n> offset and returns what follows.
func baseExpression(e []byte) (reg amd64.Reg, off int64, rest []byte, ok bool) {
	if len(e) < 2 || e[0] < opBreg0 || e[0] >= opBreg0+16 {
		return 0, 0, nil, false
	}
	// Sleb128 is what binary.Varint is not: two's complement in groups of seven bits.
	var v uint64
	for i, b := range e[1:] {
		if i == binary.MaxVarintLen64 {
			break
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			if shift := 7 * (i + 1); b&0x40 != 0 && shift < 64 {
				v |= ^uint64(0) << shift
			}
			return amd64.Reg(e[0] - opBreg0), int64(v), e[i+2:], true
		}
	}
	return 0, 0, nil, false
}
