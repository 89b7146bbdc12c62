package unwind

import (
	"fmt"

	"kcatch/gdb/amd64"
)

// ORC is one entry of the kernel's unwind table in the terms of all its versions.
type ORC struct {
	SPReg    ORCReg
	SPOffset int16
	BPReg    ORCReg
	BPOffset int16
	Type     ORCType
	Signal   bool
}

// ORCReg is the base that an entry names. The numbers in the file differ between versions; these are ours.
type ORCReg uint8

const (
	ORCUndefined ORCReg = iota
	ORCPrevSP
	ORCDX
	ORCDI
	ORCBP
	ORCSP
	ORCR10
	ORCR13
	ORCBPIndirect
	ORCSPIndirect
	ORCAX
)

// ORCType is what kind of frame an entry describes.
type ORCType uint8

const (
	ORCTypeUndefined ORCType = iota
	ORCTypeEnd
	ORCTypeCall
	ORCTypeRegs
	ORCTypeRegsPartial
)

var orcBase = map[ORCReg]amd64.Reg{
	ORCDX: amd64.RDX, ORCDI: amd64.RDI, ORCBP: amd64.RBP, ORCSP: amd64.RSP,
	ORCR10: amd64.R10, ORCR13: amd64.R13, ORCAX: amd64.RAX,
}

// Row translates the entry. With S for the CFA:
//
//	SP           S = sp + off          CALL          ip = *(S - 8),   sp = S
//	BP           S = bp + off          REGS          ip = *(S + 128), sp = *(S + 152), all others too
//	SP_INDIRECT  S = *(sp) + off       REGS_PARTIAL  ip = *S,         sp = *(S + 24)
//	BP_INDIRECT  S = *(bp + off)       bp:           *(S + bp_off), *(bp + bp_off), or unchanged
//
// Source: unwind_next_frame(), arch/x86/kernel/unwind_orc.c. An undefined entry gives [ErrNoRow].
func (o ORC) Row() (Row, error) {
	if o.Type == ORCTypeEnd {
		return Row{End: true}, nil
	}
	cfa, err := o.cfa()
	if err != nil {
		return Row{}, err
	}
	var row Row
	switch o.Type {
	case ORCTypeCall:
		row = callRow(cfa)
	case ORCTypeRegs:
		return ptRegsAt(cfa), nil
	case ORCTypeRegsPartial:
		row = iretRow(cfa)
	default:
		return Row{}, ErrNoRow
	}
	row.Signal = o.Signal
	switch o.BPReg {
	case ORCUndefined:
		row.Regs[amd64.RBP] = Rule{Kind: Same}
	case ORCPrevSP:
		row.Regs[amd64.RBP] = Rule{Kind: AtCFA, Offset: int64(o.BPOffset)}
	case ORCBP:
		row.Regs[amd64.RBP] = Rule{Kind: AtReg, Reg: amd64.RBP, Offset: int64(o.BPOffset)}
	default:
		return Row{}, fmt.Errorf("orc: unknown bp base %d", o.BPReg)
	}
	return row, nil
}

func (o ORC) cfa() (CFARule, error) {
	switch o.SPReg {
	case ORCUndefined, ORCPrevSP:
		return CFARule{}, ErrNoRow
	case ORCSPIndirect:
		return CFARule{Kind: CFAIndirect, Reg: amd64.RSP, Add: int64(o.SPOffset)}, nil
	case ORCBPIndirect:
		return CFARule{Kind: CFAIndirect, Reg: amd64.RBP, Offset: int64(o.SPOffset)}, nil
	}
	reg, ok := orcBase[o.SPReg]
	if !ok {
		return CFARule{}, fmt.Errorf("orc: unknown sp base %d", o.SPReg)
	}
	return CFARule{Kind: CFARegister, Reg: reg, Offset: int64(o.SPOffset)}, nil
}
