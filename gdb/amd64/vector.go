package amd64

import (
	"fmt"
	"strings"
)

// Vector is an x86 exception vector, 0..31. Intel SDM vol. 3A, table 6-1.
type Vector uint8

// The vectors that early boot can raise.
const (
	DivideError       Vector = 0
	Debug             Vector = 1
	NMI               Vector = 2
	Breakpoint        Vector = 3
	InvalidOpcode     Vector = 6
	DoubleFault       Vector = 8
	StackFault        Vector = 12
	GeneralProtection Vector = 13
	PageFault         Vector = 14
)

var vectorNames = [32]string{
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "vector 9", "#TS", "#NP", "#SS", "#GP", "#PF", "",
	"#MF", "#AC", "#MC", "#XM", "#VE", "#CP", "", "", "", "", "", "", "#HV", "#VC", "#SX", "",
}

// String is the mnemonic of the SDM ("#UD"), or the number where there is none.
func (v Vector) String() string {
	if int(v) < len(vectorNames) && vectorNames[v] != "" {
		return vectorNames[v]
	}
	return fmt.Sprintf("vector %d", uint8(v))
}

// HasErrorCode reports whether the CPU pushes an error code for v. The early handlers use the same set,
// EXCEPTION_ERRCODE_MASK 0x20027d00 in arch/x86/include/asm/segment.h, which lacks vector 21 (#CP).
func (v Vector) HasErrorCode() bool { return v < 32 && 0x20027d00>>v&1 != 0 }

// ErrorCodeText explains the error code of v in words; it is empty when there is nothing to say.
// Page-fault bits: SDM vol. 3A, 4.7. Selector bits: 6.13.
func (v Vector) ErrorCodeText(code uint64) string {
	if v == PageFault {
		return pageFaultText(code)
	}
	if v == DoubleFault || !v.HasErrorCode() || code == 0 {
		return ""
	}
	table := [...]string{"GDT", "IDT", "LDT", "IDT"}[code>>1&3]
	return fmt.Sprintf("selector 0x%x in the %s", code&^7, table)
}

func pageFaultText(code uint64) string {
	var b strings.Builder
	switch {
	case code&16 != 0:
		b.WriteString("instruction fetch")
	case code&2 != 0:
		b.WriteString("write")
	default:
		b.WriteString("read")
	}
	if code&4 != 0 {
		b.WriteString(" by user mode")
	}
	switch {
	case code&8 != 0:
		b.WriteString(", reserved bit set in a page table")
	case code&1 != 0:
		b.WriteString(", page is protected")
	default:
		b.WriteString(", page is not present")
	}
	return b.String()
}
