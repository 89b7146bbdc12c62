package value

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kcatch/gdb/amd64"
)

// ram is memory at 0x1000.
type ram []byte

func (r ram) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr < 0x1000 || addr-0x1000 >= uint64(len(r)) {
		return 0, errors.New("not mapped")
	}
	n := copy(p, r[addr-0x1000:])
	if n < len(p) {
		return n, errors.New("not mapped")
	}
	return n, nil
}

type registers map[amd64.Reg]uint64

func (r registers) Get(reg amd64.Reg) (uint64, bool) {
	v, ok := r[reg]
	return v, ok
}

func uintType(size int64) dwarf.Type {
	return &dwarf.UintType{BasicType: dwarf.BasicType{CommonType: dwarf.CommonType{ByteSize: size, Name: "unsigned"}}}
}

func signedType(size int64) dwarf.Type {
	return &dwarf.IntType{BasicType: dwarf.BasicType{CommonType: dwarf.CommonType{ByteSize: size, Name: "int"}}}
}

// testFrame is a frame with rax, rbx and rsp, whose caller gave it 42 in rdi.
func testFrame() *Frame {
	mem := make(ram, 256)
	for i := range mem {
		mem[i] = byte(i)
	}
	caller := &Frame{Registers: registers{amd64.RBX: 21}, Memory: mem}
	return &Frame{
		Registers: registers{amd64.RAX: 0x1122334455667788, amd64.RBX: 0x1010, amd64.RSP: 0x1020},
		CFA:       0x1040, Base: []byte{dwCallFrameCFA}, Memory: mem,
		Run: func(link uint64) (uint64, error) {
			if link < 0x100 {
				return 0, errors.New("a per-CPU variable")
			}
			return link + 0x1000, nil
		},
		Address: func(i uint64) (uint64, error) {
			if i != 3 {
				return 0, errors.New("no such index")
			}
			return 0x2000, nil
		},
		BaseType: func(off uint64) (dwarf.Type, error) {
			switch off {
			case 0x10:
				return uintType(4), nil
			case 0x20:
				return signedType(4), nil
			}
			return nil, errors.New("no base type")
		},
		Entry: func(location []byte) ([]byte, *Frame, error) {
			if !bytes.Equal(location, []byte{dwReg0 + 5}) {
				return nil, nil, errors.New("the caller does not say")
			}
			return []byte{dwBreg0 + 3, 0, dwLit0 + 2, dwMul}, caller, nil
		},
	}
}

func expr(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, p)
		}
	}
	return b
}

// TestEvaluate: what an operation does is DWARF 5, section 2.5; the examples of section 2.6.1.3 are among them.
func TestEvaluate(t *testing.T) {
	for _, tt := range []struct {
		name string
		expr []byte
		size int64
		want string // bytes in hex, an address and ":" before them if they lie in memory, or an error
	}{
		{"nowhere", nil, 4, "optimized out"},
		{"register", expr(dwReg0), 4, "88776655"},
		{"register by number", expr(dwRegx, 3), 8, "1010000000000000"},
		{"unknown register", expr(dwReg0 + 1), 4, "cannot read: register rdx is not known in this frame"},
		{"not a general register", expr(dwReg0 + 17), 4, "cannot read: register 17 is not a general one"},
		{"register too small", expr(dwReg0), 16, "cannot read: 16 bytes in a register"},
		{"memory", expr(dwBreg0+3, 4), 4, "1014:14151617"},
		{"negative offset", expr(dwBreg0+7, 0x70), 2, "1010:1011"},
		{"frame base", expr(dwFbreg, 0x60), 4, "1020:20212223"},
		{"link address", expr(dwAddr, uint64(0x100)), 1, "1100:cannot read 0x1100: not mapped"},
		{"per-CPU", expr(dwAddr, uint64(0x10)), 1, "a per-CPU variable"},
		{"link address by index", expr(dwAddrx, 3), 1, "3000:cannot read 0x3000: not mapped"},
		{"constant by index", expr(dwConstx, 3, dwStackValue), 4, "00200000"},
		{"no such index", expr(dwAddrx, 4), 1, "no such index"},
		{"not mapped", expr(dwLit0), 1, "0:cannot read 0x0: not mapped"},
		{"value", expr(dwLit0+7, dwStackValue), 4, "07000000"},
		{"bytes", expr(dwImplicitValue, 4, 1, 2, 3, 4), 4, "01020304"},
		{"too few bytes", expr(dwImplicitValue, 2, 1, 2), 4, "cannot read: a constant of 2 bytes for 4"},
		{"synthetic pointer", expr(dwImplicitPointer, 1, 0, 0, 0, 0), 8, (&SyntheticPointer{}).Error()},
		{"deref", expr(dwBreg0+3, 0, dwDeref, dwStackValue), 8, "1011121314151617"},
		{"deref of a size", expr(dwBreg0+3, 0, dwDerefSize, 2, dwStackValue), 8, "1011000000000000"},
		{"deref of a strange size", expr(dwBreg0+3, 0, dwDerefSize, 9, dwStackValue), 8, "cannot read: a number of 9 bytes"},
		{"entry value", expr(dwEntryValue, 1, dwReg0+5, dwStackValue), 4, "2a000000"},
		{"entry value of GNU", expr(dwGNUEntryValue, 1, dwReg0+5, dwLit0+1, dwMinus, dwStackValue), 4, "29000000"},
		{"unknown entry value", expr(dwEntryValue, 1, dwReg0+4, dwStackValue), 4, "cannot read: lost since the function was entered; the caller does not say"},
		{"signed less", expr(dwConst1s, 0xff, dwLit0, dwLt, dwStackValue), 1, "01"},
		{"unsigned is not less", expr(dwConst1s, 0xff, dwConvert, 0x10, dwLit0, dwConvert, 0x10, dwLt, dwStackValue), 1, "00"},
		{"convert to signed", expr(dwConst4u, 0xfe, 0xff, 0xff, 0xff, dwConvert, 0x20, dwConvert, 0, dwStackValue), 8, "feffffffffffffff"},
		{"convert to unsigned", expr(dwConst1s, 0xfe, dwConvert, 0x10, dwConvert, 0, dwStackValue), 8, "feffffff00000000"},
		{"shift of a typed number", expr(dwConst1s, 0x80, dwConvert, 0x20, dwLit0+4, dwShr, dwStackValue), 8, "f8ffff0f00000000"},
		{"register of a type", expr(dwRegvalType, 0, 0x20, dwConvert, 0, dwStackValue), 8, "8877665500000000"},
		{"unknown base type", expr(dwLit0, dwConvert, 0x30, dwStackValue), 8, "no base type"},
		{"arithmetic", expr(dwLit0+7, dwLit0+3, dwSwap, dwOver, dwMod, dwPlus, dwStackValue), 1, "04"},
		{"rotation", expr(dwLit0+1, dwLit0+2, dwLit0+3, dwRot, dwDrop, dwDrop, dwStackValue), 1, "03"},
		{"pick", expr(dwLit0+1, dwLit0+2, dwPick, 1, dwStackValue), 1, "01"},
		{"branch", expr(dwLit0+1, dwBra, 2, 0, dwLit0+5, dwSkip, dwLit0+9, dwStackValue), 1, "09"},
		{"division by zero", expr(dwLit0+1, dwLit0, dwDiv, dwStackValue), 1, "cannot read: the expression divides by zero"},
		{"empty stack", expr(dwPlus), 1, "cannot read: the expression's stack is empty"},
		{"cut off", expr(dwAddr, 1, 2), 1, "cannot read: the expression is cut off"},
		{"for ever", expr(dwSkip, 0xfd, 0xff), 1, "cannot read: the expression does not end"},
		{"unknown operation", expr(0x02), 1, "cannot read: unknown DWARF operation 0x2"},
		{"after a location", expr(dwReg0, dwLit0), 1, "cannot read: an expression that goes on after a location"},
		{"pieces", expr(dwReg0, dwPiece, 4, dwReg0+3, dwPiece, 4), 8, "8877665510100000"},
		{"pieces of all kinds", expr(dwLit0+9, dwStackValue, dwPiece, 1, dwBreg0+3, 0, dwPiece, 2, dwImplicitValue, 1, 5, dwPiece, 1), 4, "09101105"},
		{"a piece is missing", expr(dwReg0, dwPiece, 4, dwPiece, 4), 8, "optimized out: 4 of its 8 bytes"},
		{"pieces are too few", expr(dwReg0, dwPiece, 4), 8, "optimized out: 4 of its 8 bytes"},
		{"bits", expr(dwReg0, dwBitPiece, 4, 4, dwReg0, dwBitPiece, 4, 0), 1, "88"},
		{"an open piece", expr(dwReg0, dwPiece, 4, dwLit0), 8, "cannot read: an expression that ends within a piece"},
	} {
		v := testFrame().Evaluate(uintType(tt.size), tt.expr)
		got := ""
		if v.HasAddr {
			got = fmt.Sprintf("%x:", v.Addr)
		}
		if v.Err != nil {
			got += v.Err.Error()
			if len(v.Bytes) > 0 {
				t.Errorf("%s: bytes with an error", tt.name)
			}
		} else {
			got += fmt.Sprintf("%x", v.Bytes)
		}
		if got != tt.want {
			t.Errorf("%s: % x: %s, want %s", tt.name, tt.expr, got, tt.want)
		}
	}
}

func TestSyntheticPointer(t *testing.T) {
	f := testFrame()
	f.Pointed = func(ref uint64) (dwarf.Type, []byte, []byte, error) {
		switch ref {
		case 1:
			return uintType(4), []byte{dwLit0 + 9, dwStackValue}, nil, nil
		case 2:
			return uintType(4), nil, []byte{1, 2, 3, 4}, nil
		case 3: // points to itself
			return uintType(8), []byte{dwImplicitPointer, 3, 0, 0, 0, 0}, nil, nil
		}
		return nil, nil, nil, errors.New("no variable")
	}
	for ref, want := range map[byte]string{1: "09000000", 2: "01020304", 3: "", 4: ""} {
		v := f.Evaluate(uintType(8), []byte{dwImplicitPointer, ref, 0, 0, 0, 0x7c})
		s, ok := errors.AsType[*SyntheticPointer](v.Err)
		if !ok || s.Offset != -4 || fmt.Sprintf("%x", s.Target.Bytes) != want || want == "" && s.Target.Err == nil {
			t.Errorf("%d: %v, %+v", ref, v.Err, s)
		}
	}
}

func TestNoFrame(t *testing.T) {
	for _, e := range [][]byte{{dwReg0}, {dwFbreg, 0}, {dwCallFrameCFA}, {dwBreg0, 0}, {dwEntryValue, 1, dwReg0, dwStackValue}, {dwLit0},
		{dwAddrx, 0}, {dwLit0, dwConvert, 8, dwStackValue}} {
		if v := (&Frame{}).Evaluate(uintType(4), e); v.Err == nil || errors.Is(v.Err, ErrOptimizedOut) {
			t.Errorf("% x of nothing: %v, %v", e, v.Bytes, v.Err)
		}
	}
	f := Frame{Base: []byte{dwFbreg, 0}}
	if v := f.Evaluate(uintType(4), []byte{dwFbreg, 0}); v.Err == nil || !strings.Contains(v.Err.Error(), "relative to itself") {
		t.Errorf("a frame base by itself: %v", v.Err)
	}
	f.Entry = func([]byte) ([]byte, *Frame, error) { return []byte{dwEntryValue, 1, dwReg0}, &f, nil }
	if v := f.Evaluate(uintType(4), []byte{dwEntryValue, 1, dwReg0, dwStackValue}); v.Err == nil {
		t.Errorf("callers without an end: %v", v.Bytes)
	}
}

func TestConstant(t *testing.T) {
	if v := Constant(signedType(4), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); v.Err != nil || len(v.Bytes) != 4 {
		t.Errorf("%v, %v", v.Bytes, v.Err)
	}
	if v := Constant(signedType(4), []byte{1}); v.Err == nil {
		t.Errorf("%v of one byte", v.Bytes)
	}
}

func FuzzEvaluate(f *testing.F) {
	for _, e := range [][]byte{{dwReg0, dwPiece, 4, dwPiece, 4}, {dwFbreg, 0x60}, {dwEntryValue, 1, dwReg0 + 5, dwStackValue}, {dwImplicitPointer, 1, 0, 0, 0, 0},
		{dwConst1s, 0xff, dwConvert, 0x10, dwLit0, dwLt, dwStackValue}, {dwReg0, dwBitPiece, 4, 4}, {dwSkip, 0xfd, 0xff}} {
		f.Add(e, int64(8))
	}
	f.Fuzz(func(t *testing.T, e []byte, size int64) {
		typ := uintType(size)
		v := testFrame().Evaluate(typ, e)
		if v.Err == nil && int64(len(v.Bytes)) != SizeOf(typ) || v.Err != nil && len(v.Bytes) > 0 {
			t.Errorf("% x: %d bytes of %d, %v", e, len(v.Bytes), size, v.Err)
		}
	})
}

// TestIsRegister: DW_OP_reg6 and DW_OP_regx 12 are registers, what reads one (DW_OP_breg6) is not.
func TestIsRegister(t *testing.T) {
	for _, tc := range []struct {
		expr string
		want string
	}{{"\x56", "rbp"}, {"\x90\x0c", "r12"}, {"\x76\x00", ""}, {"\x56\x93\x04", ""}, {"\x90\x7f", ""}, {"", ""}} {
		reg, ok := IsRegister([]byte(tc.expr))
		if ok != (tc.want != "") || ok && reg.String() != tc.want {
			t.Errorf("% x: %v, %v; want %q", tc.expr, reg, ok, tc.want)
		}
	}
}
