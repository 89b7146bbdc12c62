package vmlinux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/frame"
)

// This file is the adapter of delve's pkg/dwarf/frame. What it guards against, seen in v1.27.2: Parse does not sort and
// knows neither 64-bit records nor CIE version 4; a cut number or an unbalanced restore_state panics; DW_CFA_restore of
// a register without an initial rule gives "undefined" for "same value"; val_offset forgets the alignment factor.
// So the record is found by our own index, checked, and given to delve alone.

// CFIRuleKind is how a register of the caller is found.
type CFIRuleKind uint8

// The rules of DWARF 5 section 6.4.1, each with its formula.
const (
	CFISame          CFIRuleKind = iota // the caller's value is the current one
	CFIUndefined                        // lost
	CFIOffset                           // *(cfa + Offset)
	CFIValOffset                        // cfa + Offset
	CFIRegister                         // the current value of Reg
	CFIExpression                       // *(Expression), evaluated with the CFA pushed
	CFIValExpression                    // Expression, evaluated with the CFA pushed
)

// CFIRule is the rule of one register. Offset is in bytes.
type CFIRule struct {
	Kind       CFIRuleKind
	Reg        uint64 // DWARF number
	Offset     int64
	Expression []byte
}

// CFIRow is the unwind row of one address.
// The canonical frame address is Register(CFAReg) + CFAOffset, or the value of CFAExpression where that is not nil.
type CFIRow struct {
	CFAReg        uint64 // DWARF number: 7 is rsp, 6 is rbp
	CFAOffset     int64
	CFAExpression []byte
	// Regs has the rules by DWARF number, the return address (16) included. A register that is not in it has no rule; by the
	// ABI the callee-saved ones (3 rbx, 6 rbp, 12..15) are then unchanged and the others lost.
	Regs map[uint64]CFIRule
	// Function is the range [Low, High) of the record.
	Low, High Addr
}

// ErrNoCFI says that no record of .debug_frame covers an address: assembly has none on x86.
var ErrNoCFI = errors.New("no .debug_frame record")

// FrameRow returns the .debug_frame row for a: exact for an interrupted frame, one less than a return address for a call.
// The first call indexes the section (about 5 ms for 46,000 records); only the record that covers a is decoded.
// Errors: [ErrNoCFI], [*FormatError] with section and offset.
func (f *File) FrameRow(a Addr) (CFIRow, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.indexFrames(); err != nil {
		return CFIRow{}, err
	}
	fde, ok := f.frames.find(uint64(a))
	if !ok {
		return CFIRow{}, fmt.Errorf("unwind 0x%x: %w", uint64(a), ErrNoCFI)
	}
	return frameRow(f.frames.data, fde, uint64(a))
}

// frameRow decodes one record and runs it up to a.
func frameRow(section []byte, at fdeRange, a uint64) (CFIRow, error) {
	fde, err := parseFDE(section, uint64(at.off))
	if err != nil {
		return CFIRow{}, err
	}
	cie, err := parseCIE(section, fde.cieOff)
	if err != nil {
		return CFIRow{}, err
	}
	initial, err := checkCFA(cie.program, cie.programOff, nil)
	if err != nil {
		return CFIRow{}, err
	}
	seen, err := checkCFA(fde.program, fde.programOff, initial)
	if err != nil {
		return CFIRow{}, err
	}
	var ctx *frame.FrameContext
	err = guard(".debug_frame", func() error {
		fdes, err := frame.Parse(recompose(cie, fde), binary.LittleEndian, 0, 8, 0)
		if err != nil {
			return err
		}
		if len(fdes) != 1 {
			return fmt.Errorf("%d records for one", len(fdes))
		}
		ctx, err = fdes[0].EstablishFrame(a)
		return err
	})
	if err != nil {
		return CFIRow{}, &FormatError{Section: ".debug_frame", Offset: uint64(at.off), Cause: err.Error()}
	}
	return neutralRow(ctx, seen, fde)
}

// recompose writes a section of just this CIE and this FDE in the form that delve reads: 32-bit records, CIE version 3.
func recompose(cie cieRecord, fde fdeRecord) []byte {
	record := func(id uint32, body []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(4+len(body)))
		return append(binary.LittleEndian.AppendUint32(b, id), body...)
	}
	head := []byte{3, 0} // version, empty augmentation
	head = binary.AppendUvarint(head, cie.codeAlign)
	head = appendSleb(head, cie.dataAlign)
	head = binary.AppendUvarint(head, cie.returnReg)
	section := record(0xffffffff, append(head, cie.program...))
	span := binary.LittleEndian.AppendUint64(nil, fde.low)
	span = binary.LittleEndian.AppendUint64(span, fde.high-fde.low)
	return append(section, record(0, append(span, fde.program...))...)
}

func appendSleb(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func neutralRow(ctx *frame.FrameContext, seen *cfaUse, fde fdeRecord) (CFIRow, error) {
	row := CFIRow{Low: Addr(fde.low), High: Addr(fde.high), Regs: make(map[uint64]CFIRule, len(ctx.Regs))}
	bad := func(cause string) (CFIRow, error) {
		return CFIRow{}, &FormatError{Section: ".debug_frame", Offset: fde.off, Cause: cause}
	}
	switch ctx.CFA.Rule {
	case frame.RuleCFA:
		row.CFAReg, row.CFAOffset = ctx.CFA.Reg, ctx.CFA.Offset
	case frame.RuleExpression:
		row.CFAExpression = slices.Clone(ctx.CFA.Expression)
		if row.CFAExpression == nil {
			row.CFAExpression = []byte{}
		}
	default:
		return bad("no rule for the frame address")
	}
	for reg, r := range ctx.Regs {
		rule := CFIRule{Reg: r.Reg, Offset: r.Offset}
		switch r.Rule {
		case frame.RuleUndefined:
			if !seen.undefined[reg] {
				continue // restored to having no rule
			}
			rule.Kind = CFIUndefined
		case frame.RuleSameVal:
			rule.Kind = CFISame
		case frame.RuleOffset:
			rule.Kind = CFIOffset
		case frame.RuleValOffset:
			rule.Kind = CFIValOffset
		case frame.RuleRegister:
			rule.Kind = CFIRegister
		case frame.RuleExpression, frame.RuleValExpression:
			rule.Kind = CFIExpression
			if r.Rule == frame.RuleValExpression {
				rule.Kind = CFIValExpression
			}
			rule.Expression = slices.Clone(r.Expression)
		default:
			return bad(fmt.Sprintf("unknown rule %d for register %d", r.Rule, reg))
		}
		row.Regs[reg] = rule
	}
	return row, nil
}
