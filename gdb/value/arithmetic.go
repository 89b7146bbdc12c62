package value

import (
	"debug/dwarf"
	"errors"
	"fmt"
)

// basic is one of C's own types on x86_64, nil for another name. bool is the kernel's typedef of _Bool.
func basic(name string) dwarf.Type {
	common := func(size int64) dwarf.BasicType {
		return dwarf.BasicType{CommonType: dwarf.CommonType{ByteSize: size, Name: name}, BitSize: 8 * size}
	}
	switch name {
	case "char", "signed char":
		return &dwarf.CharType{BasicType: common(1)}
	case "unsigned char":
		return &dwarf.UcharType{BasicType: common(1)}
	case "short":
		return &dwarf.IntType{BasicType: common(2)}
	case "unsigned short":
		return &dwarf.UintType{BasicType: common(2)}
	case "int":
		return &dwarf.IntType{BasicType: common(4)}
	case "unsigned int":
		return &dwarf.UintType{BasicType: common(4)}
	case "long", "long long":
		return &dwarf.IntType{BasicType: common(8)}
	case "unsigned long", "unsigned long long":
		return &dwarf.UintType{BasicType: common(8)}
	case "_Bool", "bool":
		return &dwarf.BoolType{BasicType: common(1)}
	case "u8", "__u8":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 1, Name: name}, Type: basic("unsigned char")}
	case "s8", "__s8":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 1, Name: name}, Type: basic("signed char")}
	case "u16", "__u16", "ushort":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 2, Name: name}, Type: basic("unsigned short")}
	case "s16", "__s16":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 2, Name: name}, Type: basic("short")}
	case "u32", "__u32", "uint":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 4, Name: name}, Type: basic("unsigned int")}
	case "s32", "__s32":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 4, Name: name}, Type: basic("int")}
	case "u64", "__u64", "ulong", "size_t", "uintptr_t":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 8, Name: name}, Type: basic("unsigned long")}
	case "s64", "__s64", "ssize_t":
		return &dwarf.TypedefType{CommonType: dwarf.CommonType{ByteSize: 8, Name: name}, Type: basic("long")}
	}
	return nil
}

func pointerTo(t dwarf.Type) dwarf.Type {
	if t == nil {
		t = &dwarf.VoidType{CommonType: dwarf.CommonType{Name: "void"}}
	}
	return &dwarf.PtrType{CommonType: dwarf.CommonType{ByteSize: 8}, Type: t}
}

func integer(t dwarf.Type) bool {
	switch Resolve(t).(type) {
	case *dwarf.IntType, *dwarf.UintType, *dwarf.CharType, *dwarf.UcharType, *dwarf.BoolType, *dwarf.EnumType:
		return SizeOf(t) <= 8
	}
	return false
}

func pointer(t dwarf.Type) (target dwarf.Type, ok bool) {
	p, ok := Resolve(t).(*dwarf.PtrType)
	if !ok {
		return nil, false
	}
	return p.Type, true
}

// promoted is the type of an integer in arithmetic, C17 6.3.1.1: int where that holds all of its values.
func promoted(t dwarf.Type) (size int64, signed bool) {
	size, signed = SizeOf(t), Signed(t)
	if size < 4 {
		return 4, true
	}
	return size, signed
}

// common is the type of two integers' sum, C17 6.3.1.8.
func common(a, b dwarf.Type) dwarf.Type {
	asize, asigned := promoted(a)
	bsize, bsigned := promoted(b)
	size := max(asize, bsize)
	unsigned := asize == size && !asigned || bsize == size && !bsigned
	return intType(size, !unsigned)
}

func intType(size int64, signed bool) dwarf.Type {
	switch {
	case size > 4 && signed:
		return basic("long")
	case size > 4:
		return basic("unsigned long")
	case signed:
		return basic("int")
	}
	return basic("unsigned int")
}

func truth(b bool) operand {
	if b {
		return scalar(basic("int"), 1)
	}
	return scalar(basic("int"), 0)
}

func (e *evaluator) unary(n *node) (operand, error) {
	o, err := e.rvalue(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	if n.text == "!" {
		return truth(o.bits64() == 0), nil
	}
	if !integer(o.Type) {
		return operand{}, fmt.Errorf("%s%s: %s is no number", n.text, n.kids[0].render(levelUnary), TypeName(o.Type))
	}
	t := intType(promoted(o.Type))
	switch n.text {
	case "-":
		return scalar(t, -o.bits64()), nil
	case "~":
		return scalar(t, ^o.bits64()), nil
	}
	return scalar(t, o.bits64()), nil
}

func (e *evaluator) cond(n *node) (operand, error) {
	c, err := e.rvalue(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	if c.bits64() != 0 {
		if n.kids[1] == nil {
			return c, nil
		}
		return e.rvalue(n.kids[1])
	}
	return e.rvalue(n.kids[2])
}

func (e *evaluator) cast(n *node) (operand, error) {
	t, err := e.named(n.typ)
	if err != nil {
		return operand{}, err
	}
	o, err := e.rvalue(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	if _, ok := Resolve(t).(*dwarf.BoolType); ok {
		return scalar(t, truth(o.bits64() != 0).bits64()), nil
	}
	if _, ok := pointer(t); !ok && !integer(t) {
		return operand{}, fmt.Errorf("a cast to %s is not possible: cast a pointer, as in *(%s *)&x", TypeName(t), TypeName(t))
	}
	return scalar(t, o.bits64()), nil
}

func (e *evaluator) binary(n *node) (operand, error) {
	a, err := e.rvalue(n.kids[0])
	if n.text == "&&" || n.text == "||" {
		if err == nil && (a.bits64() != 0) == (n.text == "||") {
			return truth(n.text == "||"), nil
		}
		if err != nil && !e.collect {
			return operand{}, err
		}
		b, berr := e.rvalue(n.kids[1])
		if err = errors.Join(err, berr); err != nil {
			return operand{}, err
		}
		return truth(b.bits64() != 0), nil
	}
	if err != nil && !e.collect {
		return operand{}, err
	}
	b, berr := e.rvalue(n.kids[1])
	if err == nil {
		err = berr
	}
	if err != nil {
		return operand{}, err
	}
	o, err := e.compute(n.text, a, b)
	if err != nil {
		return operand{}, fmt.Errorf("%s: %w", n, err)
	}
	return o, nil
}

// compute is a operator b.
func (e *evaluator) compute(op string, a, b operand) (operand, error) {
	at, apointer := pointer(a.Type)
	bt, bpointer := pointer(b.Type)
	if !apointer && !integer(a.Type) || !bpointer && !integer(b.Type) {
		return operand{}, errors.New("no numbers")
	}
	x, y := a.bits64(), b.bits64()
	if apointer || bpointer {
		switch {
		case op == "+" && !bpointer:
			return scalar(a.Type, x+y*uint64(e.size(at))), nil
		case op == "+" && !apointer:
			return scalar(b.Type, y+x*uint64(e.size(bt))), nil
		case op == "-" && !bpointer:
			return scalar(a.Type, x-y*uint64(e.size(at))), nil
		case op == "-" && apointer:
			size := e.size(at)
			if size <= 0 || size != e.size(bt) {
				return operand{}, errors.New("pointers to different things")
			}
			return scalar(basic("long"), uint64(int64(x-y)/size)), nil
		}
		if result, ok := compare(op, x, y, false); ok {
			return truth(result), nil
		}
		return operand{}, fmt.Errorf("%s does not go with a pointer", op)
	}
	t := common(a.Type, b.Type)
	if op == "<<" || op == ">>" {
		t = intType(promoted(a.Type))
		if y >= uint64(SizeOf(t))*8 {
			return operand{}, fmt.Errorf("a shift by %d bits", int64(y))
		}
	}
	signed := Signed(t)
	x, y = scalar(t, x).bits64(), scalar(t, y).bits64()
	if result, ok := compare(op, x, y, signed); ok {
		return truth(result), nil
	}
	switch op {
	case "+":
		x += y
	case "-":
		x -= y
	case "*":
		x *= y
	case "&":
		x &= y
	case "|":
		x |= y
	case "^":
		x ^= y
	case "<<":
		x <<= y
	case ">>":
		if signed {
			x = uint64(int64(x) >> y)
		} else {
			x >>= y
		}
	case "/", "%":
		switch {
		case y == 0:
			return operand{}, errors.New("a division by zero")
		case signed && int64(y) == -1: // Go too has no answer for the lowest number
			x = -x
			if op == "%" {
				x = 0
			}
		case signed && op == "/":
			x = uint64(int64(x) / int64(y))
		case signed:
			x = uint64(int64(x) % int64(y))
		case op == "/":
			x /= y
		default:
			x %= y
		}
	default:
		return operand{}, fmt.Errorf("%s is not understood", op)
	}
	return scalar(t, x), nil
}

func compare(op string, x, y uint64, signed bool) (result, ok bool) {
	less := x < y
	if signed {
		less = int64(x) < int64(y)
	}
	switch op {
	case "==":
		return x == y, true
	case "!=":
		return x != y, true
	case "<":
		return less, true
	case ">=":
		return !less, true
	case ">":
		return !less && x != y, true
	case "<=":
		return less || x == y, true
	}
	return false, false
}
