package value

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"kcatch/gdb/amd64"
)

// Frame is one function's activation as DWARF's location expressions see it: DWARF 5 sections 2.5 and 2.6.
type Frame struct {
	// Registers are those of this frame, some of them unknown.
	Registers interface {
		Get(r amd64.Reg) (v uint64, ok bool)
	}
	// CFA is the canonical frame address: rsp before the call that made this frame. 0 is unknown.
	CFA uint64
	// Base is the expression of DW_AT_frame_base.
	Base   []byte
	Memory Memory
	// Run gives the run-time address of a link address (DW_OP_addr), or why it has none: a per-CPU variable's is an offset.
	Run func(link uint64) (uint64, error)
	// Address and BaseType are what the expression's unit has under an index and at an offset; nil: nothing.
	Address  func(index uint64) (link uint64, err error)
	BaseType func(off uint64) (dwarf.Type, error)
	// Pointed gives the variable whose entry stands at an offset of .debug_info, as it is here: its type and its location, or its
	// bytes. nil: none is known.
	Pointed func(ref uint64) (t dwarf.Type, expr, constant []byte, err error)
	// Entry tells what a location of this function (DW_OP_reg<n>) held when it was called: the value of an expression of its caller.
	// nil: nothing is known.
	Entry func(location []byte) (expr []byte, caller *Frame, err error)
}

// UnknownRegister is the error of a value in a register that the unwinder could not bring back.
type UnknownRegister struct{ Reg amd64.Reg }

func (e *UnknownRegister) Error() string {
	return fmt.Sprintf("cannot read: register %s is not known in this frame", e.Reg)
}

// Bounds on hostile expressions. Those of gcc have up to 60 operations.
const (
	maxOperations = 1 << 12
	maxOperands   = 256
	maxPieces     = 256
	maxEntries    = 8 // callers that one value is looked up through
)

// Evaluate gives the object of type t that a location expression describes. An empty one is optimized out.
func (f *Frame) Evaluate(t dwarf.Type, expr []byte) Value {
	return f.evaluate(t, expr, machine{frame: f, steps: new(int)})
}

func (f *Frame) evaluate(t dwarf.Type, expr []byte, m machine) Value {
	v := Value{Type: t}
	if len(expr) == 0 {
		v.Err = ErrOptimizedOut
		return v
	}
	size := sizeOf(t, maxTypeNesting)
	if size > maxObject {
		v.Err = fmt.Errorf("cannot read: an object of %d bytes is too large", size)
		return v
	}
	at, err := m.run(expr)
	if err != nil {
		v.Err = err
		return v
	}
	if at.kind == inMemory {
		v.Addr, v.HasAddr = at.v, true
	}
	v.Bytes, v.Err = m.contents(at, max(0, int(size)))
	if v.Err != nil {
		v.Bytes = nil
	}
	return v
}

// Number is the value that an expression leaves, one that is no location: DW_AT_call_value, DW_AT_call_target.
func (f *Frame) Number(expr []byte) (uint64, error) {
	if len(expr) == 0 {
		return 0, ErrOptimizedOut
	}
	m := machine{frame: f, steps: new(int)}
	s, err := m.value(expr)
	return s.v, err
}

// Constant is an object whose bytes DWARF gives (DW_AT_const_value).
func Constant(t dwarf.Type, b []byte) Value {
	v := Value{Type: t}
	if size := sizeOf(t, maxTypeNesting); size >= 0 && size <= int64(len(b)) {
		v.Bytes = b[:size]
	} else {
		v.Err = fmt.Errorf("cannot read: a constant of %d bytes for %d", len(b), size)
	}
	return v
}

// placeKind is a simple location description.
type placeKind uint8

const (
	nowhere placeKind = iota // optimized out
	inMemory
	inRegister
	isValue
	isBytes
	inPieces
)

// where is a location description.
type where struct {
	kind   placeKind
	v      uint64 // address, register or value
	base   *baseKind
	bytes  []byte
	pieces []part
}

// part is a piece: size and offset in bits.
type part struct {
	where
	bits, offset uint64
}

// contents are the first size bytes of an object.
func (m *machine) contents(at where, size int) ([]byte, error) {
	switch at.kind {
	case nowhere:
		return nil, ErrOptimizedOut
	case inMemory:
		b := make([]byte, size)
		if m.frame.Memory == nil {
			return nil, fmt.Errorf("cannot read 0x%x: no memory", at.v)
		}
		if _, err := m.frame.Memory.ReadMemory(b, at.v); err != nil {
			return nil, fmt.Errorf("cannot read 0x%x: %w", at.v, err)
		}
		return b, nil
	case inRegister:
		v, err := m.register(at.v)
		if err != nil {
			return nil, err
		}
		at.v = v
		fallthrough
	case isValue:
		if size > 8 {
			return nil, fmt.Errorf("cannot read: %d bytes in a register", size)
		}
		return binary.LittleEndian.AppendUint64(nil, at.v)[:size], nil
	case isBytes:
		if size > len(at.bytes) {
			return nil, fmt.Errorf("cannot read: a constant of %d bytes for %d", len(at.bytes), size)
		}
		return at.bytes[:size], nil
	}
	return m.assemble(at.pieces, size)
}

// assemble puts pieces together; little-endian, so bits go from the least significant.
func (m *machine) assemble(pieces []part, size int) ([]byte, error) {
	out := make([]byte, size)
	at := uint64(0) // in bits
	for _, p := range pieces {
		if at >= 8*uint64(size) {
			break
		}
		bits := min(p.bits, 8*uint64(size)-at)
		if p.kind == inPieces || p.offset > 8*maxObject {
			return nil, errors.New("cannot read: pieces in pieces")
		}
		b, err := m.contents(p.where, int((p.offset+bits+7)/8))
		if errors.Is(err, ErrOptimizedOut) && len(pieces) > 1 {
			return nil, fmt.Errorf("%w: %d of its %d bytes", ErrOptimizedOut, (bits+7)/8, size)
		}
		if err != nil {
			return nil, err
		}
		for i := range bits {
			from, to := p.offset+i, at+i
			out[to/8] |= b[from/8] >> (from % 8) & 1 << (to % 8)
		}
		at += bits
	}
	if at < 8*uint64(size) {
		return nil, fmt.Errorf("%w: %d of its %d bytes", ErrOptimizedOut, (8*uint64(size)-at+7)/8, size)
	}
	return out, nil
}

// machine evaluates expressions of one frame. steps is shared with those of the frames that it asks.
type machine struct {
	frame *Frame
	steps *int
	depth int  // frames asked so far
	based bool // it evaluates the frame base

	code   []byte
	at     int
	stack  []slot
	result where
	pieces []part
}

func (m *machine) register(n uint64) (uint64, error) {
	if n >= uint64(amd64.NumReg) {
		return 0, fmt.Errorf("cannot read: register %d is not a general one", n)
	}
	if m.frame.Registers != nil {
		if v, ok := m.frame.Registers.Get(amd64.Reg(n)); ok {
			return v, nil
		}
	}
	return 0, &UnknownRegister{amd64.Reg(n)}
}

// run evaluates an expression to a location description.
func (m *machine) run(expr []byte) (where, error) {
	m.code, m.at, m.stack, m.result, m.pieces = expr, 0, m.stack[:0], where{}, nil
	begun := false // an operation since the last piece
	for m.at < len(m.code) {
		if *m.steps++; *m.steps > maxOperations {
			return where{}, errors.New("cannot read: the expression does not end")
		}
		code := m.code[m.at]
		m.at++
		if code == dwPiece || code == dwBitPiece {
			if err := m.piece(code, begun); err != nil {
				return where{}, err
			}
			begun = false
			continue
		}
		begun = true
		if err := m.step(code); err != nil {
			return where{}, err
		}
	}
	switch {
	case m.pieces != nil && !begun:
		return where{kind: inPieces, pieces: m.pieces}, nil
	case m.pieces != nil:
		return where{}, errors.New("cannot read: an expression that ends within a piece")
	}
	return m.simple(begun)
}

// simple is the description of what was evaluated since the last piece.
func (m *machine) simple(begun bool) (where, error) {
	switch {
	case m.result.kind != nowhere:
		return m.result, nil
	case !begun:
		return where{}, nil
	}
	s, err := m.pop()
	return where{kind: inMemory, v: s.v, base: s.base}, err
}

func (m *machine) piece(code byte, begun bool) error {
	bits, err := m.uleb()
	if err != nil {
		return err
	}
	p := part{}
	if code == dwBitPiece {
		if p.offset, err = m.uleb(); err != nil {
			return err
		}
	} else if bits <= maxObject {
		bits *= 8
	}
	if bits > 8*maxObject || len(m.pieces) >= maxPieces {
		return errors.New("cannot read: pieces that are too large or too many")
	}
	p.bits = bits
	if p.where, err = m.simple(begun); err != nil {
		return err
	}
	if p.kind == inMemory && p.offset != 0 {
		p.v, p.offset = p.v+p.offset/8, p.offset%8
	}
	m.pieces = append(m.pieces, p)
	m.stack, m.result = m.stack[:0], where{}
	return nil
}

// value evaluates an expression whose result is a value: a frame base, or a call's.
func (m *machine) value(expr []byte) (slot, error) {
	at, err := m.run(expr)
	if err != nil {
		return slot{}, err
	}
	switch at.kind {
	case inMemory, isValue: // for such an expression the address that is left is the value
		return slot{at.v, at.base}, nil
	case inRegister:
		v, err := m.register(at.v)
		return slot{v: v}, err
	}
	return slot{}, errors.New("cannot read: an expression without a value")
}

// frameBase is the value of DW_AT_frame_base.
func (m *machine) frameBase() (uint64, error) {
	switch {
	case m.based:
		return 0, errors.New("cannot read: a frame base that is relative to itself")
	case len(m.frame.Base) == 0:
		return 0, errors.New("cannot read: the function has no frame base")
	}
	base := machine{frame: m.frame, steps: m.steps, depth: m.depth, based: true}
	s, err := base.value(m.frame.Base)
	return s.v, err
}

// entry is what a location held when the function was entered. What is not known there is not optimized out by DWARF's word.
func (m *machine) entry(location []byte) (slot, error) {
	if m.depth >= maxEntries || m.frame.Entry == nil {
		return slot{}, errors.New("cannot read: lost since the function was entered")
	}
	expr, caller, err := m.frame.Entry(location)
	if err != nil {
		return slot{}, fmt.Errorf("cannot read: lost since the function was entered; %w", err)
	}
	in := machine{frame: caller, steps: m.steps, depth: m.depth + 1}
	return in.value(expr)
}
