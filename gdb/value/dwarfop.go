package value

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"kcatch/gdb/amd64"
)

// This file is the operations of DWARF 5 section 7.7.1, and the GNU extensions that gcc wrote before it had them.
// delve's pkg/dwarf/op evaluates expressions too. It is not used, because it knows no entry values, no typed operands and no
// register that is unknown: in the kernel every third argument of an outer frame needs one of them.
const (
	dwAddr            = 0x03
	dwDeref           = 0x06
	dwConst1u         = 0x08
	dwConst1s         = 0x09
	dwConst2u         = 0x0a
	dwConst2s         = 0x0b
	dwConst4u         = 0x0c
	dwConst4s         = 0x0d
	dwConst8u         = 0x0e
	dwConst8s         = 0x0f
	dwConstu          = 0x10
	dwConsts          = 0x11
	dwDup             = 0x12
	dwDrop            = 0x13
	dwOver            = 0x14
	dwPick            = 0x15
	dwSwap            = 0x16
	dwRot             = 0x17
	dwAbs             = 0x19
	dwAnd             = 0x1a
	dwDiv             = 0x1b
	dwMinus           = 0x1c
	dwMod             = 0x1d
	dwMul             = 0x1e
	dwNeg             = 0x1f
	dwNot             = 0x20
	dwOr              = 0x21
	dwPlus            = 0x22
	dwPlusUconst      = 0x23
	dwShl             = 0x24
	dwShr             = 0x25
	dwShra            = 0x26
	dwXor             = 0x27
	dwBra             = 0x28
	dwEq              = 0x29
	dwGe              = 0x2a
	dwGt              = 0x2b
	dwLe              = 0x2c
	dwLt              = 0x2d
	dwNe              = 0x2e
	dwSkip            = 0x2f
	dwLit0            = 0x30
	dwReg0            = 0x50
	dwBreg0           = 0x70
	dwRegx            = 0x90
	dwFbreg           = 0x91
	dwBregx           = 0x92
	dwPiece           = 0x93
	dwDerefSize       = 0x94
	dwNop             = 0x96
	dwCallFrameCFA    = 0x9c
	dwBitPiece        = 0x9d
	dwImplicitValue   = 0x9e
	dwStackValue      = 0x9f
	dwImplicitPointer = 0xa0
	dwAddrx           = 0xa1
	dwConstx          = 0xa2
	dwEntryValue      = 0xa3
	dwConstType       = 0xa4
	dwRegvalType      = 0xa5
	dwDerefType       = 0xa6
	dwConvert         = 0xa8
	dwReinterpret     = 0xa9

	dwGNUUninit          = 0xf0
	dwGNUImplicitPointer = 0xf2
	dwGNUEntryValue      = 0xf3
	dwGNUConstType       = 0xf4
	dwGNURegvalType      = 0xf5
	dwGNUDerefType       = 0xf6
	dwGNUConvert         = 0xf7
	dwGNUReinterpret     = 0xf9
	dwGNUAddrIndex       = 0xfb
	dwGNUConstIndex      = 0xfc
)

// SyntheticPointer is the error of a pointer that the compiler has optimized away, but not the variable that it points to (gdb:
// "synthetic pointer"): DW_OP_implicit_pointer, DWARF 5 section 2.6.1.1.4.
type SyntheticPointer struct {
	Target Value
	Offset int64 // into the target, in bytes
}

func (e *SyntheticPointer) Error() string {
	return "cannot read: the pointer is optimized out, not what it points to"
}

// pointed reads the operands of DW_OP_implicit_pointer: an entry's offset in .debug_info, and one into the object.
func (m *machine) pointed() error {
	ref, err := m.fixed(4, false) // 32-bit DWARF, as kernels have it
	if err != nil {
		return err
	}
	off, err := m.sleb()
	if err != nil {
		return err
	}
	e := &SyntheticPointer{Offset: int64(off)}
	switch {
	case m.frame.Pointed == nil || m.depth >= maxEntries:
		e.Target.Err = ErrOptimizedOut
	default:
		t, expr, constant, err := m.frame.Pointed(ref)
		switch {
		case err != nil:
			e.Target.Err = err
		case constant != nil:
			e.Target = Constant(t, constant)
		default:
			e.Target = m.frame.evaluate(t, expr, machine{frame: m.frame, steps: m.steps, depth: m.depth + 1})
		}
	}
	return e
}

// baseKind is the type of a typed operand: an integer of size bytes.
type baseKind struct {
	size   int
	signed bool
}

// slot is an operand. A base of nil is DWARF's generic type: 64 bits, signed where it matters but for mod and shr.
type slot struct {
	v    uint64
	base *baseKind
}

// fit makes v a number of its type: cut, then extended by its sign.
func (s slot) fit() slot {
	if s.base == nil || s.base.size >= 8 {
		return s
	}
	shift := uint(64 - 8*s.base.size)
	if s.base.signed {
		s.v = uint64(int64(s.v<<shift) >> shift)
	} else {
		s.v = s.v << shift >> shift
	}
	return s
}

func (s slot) signed() bool { return s.base == nil || s.base.signed }

var errCut = errors.New("cannot read: the expression is cut off")

func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(m.code)-m.at) {
		return nil, errCut
	}
	b := m.code[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// fixed reads a little-endian number of n bytes.
func (m *machine) fixed(n int, signed bool) (uint64, error) {
	b, err := m.bytes(uint64(n))
	if err != nil {
		return 0, err
	}
	var word [8]byte
	copy(word[:], b)
	return slot{binary.LittleEndian.Uint64(word[:]), &baseKind{n, signed}}.fit().v, nil
}

func (m *machine) uleb() (uint64, error) {
	v, n := binary.Uvarint(m.code[m.at:])
	if n <= 0 {
		return 0, errCut
	}
	m.at += n
	return v, nil
}

func (m *machine) sleb() (uint64, error) {
	from := m.at
	v, err := m.uleb()
	if err != nil {
		return 0, err
	}
	if shift := 7 * (m.at - from); shift < 64 && m.code[m.at-1]&0x40 != 0 {
		v |= ^uint64(0) << shift
	}
	return v, nil
}

func (m *machine) push(s slot) error {
	if len(m.stack) >= maxOperands {
		return errors.New("cannot read: the expression's stack is too deep")
	}
	m.stack = append(m.stack, s.fit())
	return nil
}

var errStack = errors.New("cannot read: the expression's stack is empty")

func (m *machine) pop() (slot, error) {
	if len(m.stack) == 0 {
		return slot{}, errStack
	}
	s := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return s, nil
}

// step does one operation.
func (m *machine) step(code byte) error {
	switch {
	case m.result.kind != nowhere && code != dwStackValue && code != dwNop && code != dwGNUUninit:
		return errors.New("cannot read: an expression that goes on after a location")
	case code >= dwLit0 && code < dwLit0+32:
		return m.push(slot{v: uint64(code - dwLit0)})
	case code >= dwReg0 && code < dwReg0+32:
		m.result = where{kind: inRegister, v: uint64(code - dwReg0)}
		return nil
	case code >= dwBreg0 && code < dwBreg0+32:
		return m.breg(uint64(code - dwBreg0))
	case code >= dwConst1u && code <= dwConst8s:
		v, err := m.fixed(1<<((code-dwConst1u)/2), (code-dwConst1u)%2 == 1)
		if err != nil {
			return err
		}
		return m.push(slot{v: v})
	case code >= dwAnd && code <= dwXor && code != dwNeg && code != dwNot && code != dwPlusUconst, code >= dwEq && code <= dwNe:
		return m.binary(code)
	case code >= dwDup && code <= dwRot:
		return m.shuffle(code)
	case code == dwAbs || code == dwNeg || code == dwNot || code == dwPlusUconst:
		return m.unary(code)
	case code == dwBra || code == dwSkip:
		return m.branch(code)
	}
	switch code {
	case dwNop, dwGNUUninit:
		return nil
	case dwConstType, dwGNUConstType, dwRegvalType, dwGNURegvalType, dwDerefType, dwGNUDerefType, dwConvert, dwGNUConvert,
		dwReinterpret, dwGNUReinterpret:
		return m.typed(code)
	case dwDeref:
		return m.deref(8, nil)
	case dwDerefSize:
		n, err := m.fixed(1, false)
		if err != nil {
			return err
		}
		return m.deref(int(n), nil)
	case dwStackValue:
		s, err := m.pop()
		m.result = where{kind: isValue, v: s.v, base: s.base}
		return err
	case dwCallFrameCFA:
		if m.frame.CFA == 0 {
			return errors.New("cannot read: the frame's address is not known")
		}
		return m.push(slot{v: m.frame.CFA})
	case dwFbreg:
		off, err := m.sleb()
		if err != nil {
			return err
		}
		base, err := m.frameBase()
		if err != nil {
			return err
		}
		return m.push(slot{v: base + off})
	case dwImplicitPointer, dwGNUImplicitPointer:
		return m.pointed()
	}
	return m.operand(code)
}

// operand does the operations that have a number behind them.
func (m *machine) operand(code byte) error {
	switch code {
	case dwAddr:
		link, err := m.fixed(8, false)
		if err != nil {
			return err
		}
		return m.address(link)
	case dwConsts:
		v, err := m.sleb()
		if err != nil {
			return err
		}
		return m.push(slot{v: v})
	case dwConstu, dwRegx, dwBregx, dwAddrx, dwGNUAddrIndex, dwConstx, dwGNUConstIndex, dwImplicitValue, dwEntryValue, dwGNUEntryValue:
	default:
		return fmt.Errorf("cannot read: unknown DWARF operation 0x%x", code)
	}
	n, err := m.uleb()
	if err != nil {
		return err
	}
	switch code {
	case dwConstu:
		return m.push(slot{v: n})
	case dwRegx:
		m.result = where{kind: inRegister, v: n}
		return nil
	case dwBregx:
		return m.breg(n)
	case dwImplicitValue:
		b, err := m.bytes(n)
		m.result = where{kind: isBytes, bytes: b}
		return err
	case dwEntryValue, dwGNUEntryValue:
		b, err := m.bytes(n)
		if err != nil {
			return err
		}
		s, err := m.entry(b)
		if err != nil {
			return err
		}
		return m.push(s)
	}
	if m.frame.Address == nil {
		return errors.New("cannot read: an address by its index")
	}
	link, err := m.frame.Address(n)
	if err != nil {
		return err
	}
	if code == dwConstx || code == dwGNUConstIndex {
		return m.push(slot{v: link})
	}
	return m.address(link)
}

// address pushes the run-time address of a link-time one.
func (m *machine) address(link uint64) error {
	if m.frame.Run == nil {
		return m.push(slot{v: link})
	}
	run, err := m.frame.Run(link)
	if err != nil {
		return err
	}
	return m.push(slot{v: run})
}

func (m *machine) breg(n uint64) error {
	off, err := m.sleb()
	if err != nil {
		return err
	}
	v, err := m.register(n)
	if err != nil {
		return err
	}
	return m.push(slot{v: v + off})
}

// deref replaces an address by the size bytes there.
func (m *machine) deref(size int, base *baseKind) error {
	s, err := m.pop()
	if err != nil {
		return err
	}
	if size < 1 || size > 8 {
		return fmt.Errorf("cannot read: a number of %d bytes", size)
	}
	b, err := m.contents(where{kind: inMemory, v: s.v}, size)
	if err != nil {
		return err
	}
	var word [8]byte
	copy(word[:], b)
	return m.push(slot{binary.LittleEndian.Uint64(word[:]), base})
}

// typed does the operations of DWARF 5 section 2.5.1.6, whose operands have a base type of the unit.
func (m *machine) typed(code byte) error {
	reg, size := uint64(0), uint64(0)
	var err error
	switch code {
	case dwRegvalType, dwGNURegvalType:
		reg, err = m.uleb()
	case dwDerefType, dwGNUDerefType:
		size, err = m.fixed(1, false)
	}
	if err != nil {
		return err
	}
	off, err := m.uleb()
	if err != nil {
		return err
	}
	base, err := m.baseType(off)
	if err != nil {
		return err
	}
	switch code {
	case dwConstType, dwGNUConstType:
		n, err := m.fixed(1, false)
		if err != nil {
			return err
		}
		if n > 8 {
			return fmt.Errorf("cannot read: a number of %d bytes", n)
		}
		v, err := m.fixed(int(n), false)
		if err != nil {
			return err
		}
		return m.push(slot{v, base})
	case dwRegvalType, dwGNURegvalType:
		v, err := m.register(reg)
		if err != nil {
			return err
		}
		return m.push(slot{v, base})
	case dwDerefType, dwGNUDerefType:
		return m.deref(int(size), base)
	}
	s, err := m.pop()
	if err != nil {
		return err
	}
	return m.push(slot{s.v, base})
}

// baseType is the base type at an offset of the unit; 0 is the generic type.
func (m *machine) baseType(off uint64) (*baseKind, error) {
	if off == 0 {
		return nil, nil
	}
	if m.frame.BaseType == nil {
		return nil, errors.New("cannot read: a value of a type that is not known")
	}
	t, err := m.frame.BaseType(off)
	if err != nil {
		return nil, err
	}
	base := &baseKind{size: int(t.Size())}
	switch t.(type) {
	case *dwarf.IntType, *dwarf.CharType:
		base.signed = true
	case *dwarf.UintType, *dwarf.UcharType, *dwarf.BoolType, *dwarf.AddrType:
	default:
		return nil, fmt.Errorf("cannot read: a value of type %s", clean(t.String()))
	}
	if base.size < 1 || base.size > 8 {
		return nil, fmt.Errorf("cannot read: a number of %d bytes", base.size)
	}
	return base, nil
}

func (m *machine) shuffle(code byte) error {
	n := len(m.stack)
	need := map[byte]int{dwDup: 1, dwDrop: 1, dwOver: 2, dwSwap: 2, dwRot: 3}[code]
	if code == dwPick {
		i, err := m.fixed(1, false)
		if err != nil {
			return err
		}
		if i >= uint64(n) {
			return errStack
		}
		return m.push(m.stack[n-1-int(i)])
	}
	if n < need {
		return errStack
	}
	switch code {
	case dwDup:
		return m.push(m.stack[n-1])
	case dwDrop:
		m.stack = m.stack[:n-1]
	case dwOver:
		return m.push(m.stack[n-2])
	case dwSwap:
		m.stack[n-1], m.stack[n-2] = m.stack[n-2], m.stack[n-1]
	case dwRot: // the top becomes the third
		m.stack[n-1], m.stack[n-2], m.stack[n-3] = m.stack[n-2], m.stack[n-3], m.stack[n-1]
	}
	return nil
}

func (m *machine) unary(code byte) error {
	add := uint64(0)
	if code == dwPlusUconst {
		var err error
		if add, err = m.uleb(); err != nil {
			return err
		}
	}
	s, err := m.pop()
	if err != nil {
		return err
	}
	switch code {
	case dwPlusUconst:
		s.v += add
	case dwNeg:
		s.v = -s.v
	case dwNot:
		s.v = ^s.v
	case dwAbs:
		if int64(s.v) < 0 && s.signed() {
			s.v = -s.v
		}
	}
	return m.push(s)
}

func (m *machine) binary(code byte) error {
	b, err := m.pop()
	if err != nil {
		return err
	}
	a, err := m.pop()
	if err != nil {
		return err
	}
	if code >= dwEq {
		v := uint64(0)
		if compareSlots(code, a.v, b.v, a.signed()) {
			v = 1
		}
		return m.push(slot{v: v})
	}
	v, err := arithmetic(code, a, b)
	if err != nil {
		return err
	}
	return m.push(slot{v, a.base})
}

func compareSlots(code byte, a, b uint64, signed bool) bool {
	less := a < b
	if signed {
		less = int64(a) < int64(b)
	}
	switch code {
	case dwEq:
		return a == b
	case dwNe:
		return a != b
	case dwLt:
		return less
	case dwLe:
		return less || a == b
	case dwGt:
		return !less && a != b
	}
	return !less // dwGe
}

func arithmetic(code byte, a, b slot) (uint64, error) {
	switch code {
	case dwAnd:
		return a.v & b.v, nil
	case dwOr:
		return a.v | b.v, nil
	case dwXor:
		return a.v ^ b.v, nil
	case dwPlus:
		return a.v + b.v, nil
	case dwMinus:
		return a.v - b.v, nil
	case dwMul:
		return a.v * b.v, nil
	case dwShl:
		return a.v << min(b.v, 64), nil
	case dwShr:
		if a.base != nil { // as an unsigned number of its size
			a = slot{a.v, &baseKind{size: a.base.size}}.fit()
		}
		return a.v >> min(b.v, 64), nil
	case dwShra:
		if a.base != nil {
			a = slot{a.v, &baseKind{size: a.base.size, signed: true}}.fit()
		}
		return uint64(int64(a.v) >> min(b.v, 63)), nil
	}
	switch { // dwDiv, dwMod
	case b.v == 0:
		return 0, errors.New("cannot read: the expression divides by zero")
	case code == dwMod && (a.base == nil || !a.base.signed):
		return a.v % b.v, nil
	case !a.signed():
		return a.v / b.v, nil
	case int64(b.v) == -1: // the least number overflows
		if code == dwMod {
			return 0, nil
		}
		return -a.v, nil
	case code == dwMod:
		return uint64(int64(a.v) % int64(b.v)), nil
	}
	return uint64(int64(a.v) / int64(b.v)), nil
}

func (m *machine) branch(code byte) error {
	off, err := m.fixed(2, true)
	if err != nil {
		return err
	}
	if code == dwBra {
		s, err := m.pop()
		if err != nil {
			return err
		}
		if s.v == 0 {
			return nil
		}
	}
	to := m.at + int(int64(off))
	if to < 0 || to > len(m.code) {
		return errCut
	}
	m.at = to
	return nil
}

// IsRegister reads an expression that is nothing but a general register: DW_OP_reg<n> or DW_OP_regx.
func IsRegister(expr []byte) (amd64.Reg, bool) {
	switch {
	case len(expr) == 1 && expr[0] >= dwReg0 && expr[0] < dwReg0+byte(amd64.NumReg):
		return amd64.Reg(expr[0] - dwReg0), true
	case len(expr) == 2 && expr[0] == dwRegx && expr[1] < byte(amd64.NumReg):
		return amd64.Reg(expr[1]), true
	}
	return 0, false
}
