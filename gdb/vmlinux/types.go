package vmlinux

import (
	"debug/dwarf"
	"fmt"
)

// This file decodes types into debug/dwarf's values. debug/dwarf's own decoder closes a type over all its pointers, and from
// struct page those lead to nearly every type of the kernel: 10 ms a unit, of which a variable needs one line. It also follows a
// ring of typedefs for ever. Here a structure behind a pointer is left as a declaration, which [File.Complete] completes.

// typeKey is an entry as it is, or as it is seen through a pointer.
type typeKey struct {
	off    dwarf.Offset
	behind bool
}

// typeDecoder decodes one type. members counts what a hostile file could multiply.
type typeDecoder struct {
	f       *File
	u       *unit
	members int
}

// Complete returns t with its members, where t is a structure or union that is only declared: one behind a pointer, as
// [File.Type] and [File.Variables] leave it, or one that its unit never defines, which is then taken from the first unit that
// does. Typedefs and qualifiers around it are kept off. Any other type is returned as it is.
// Errors: it is defined nowhere; [*FormatError].
func (f *File) Complete(t dwarf.Type) (dwarf.Type, error) {
	s, ok := Underlying(t).(*dwarf.StructType)
	if !ok || !s.Incomplete {
		return t, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.types.left[s]; ok {
		u, err := f.cachedUnit(at.unit)
		if err != nil {
			return nil, err
		}
		d := typeDecoder{f: f, u: u}
		return d.at(dwarf.Offset(u.shift)+dwarf.Offset(at.off), false, 0)
	}
	if s.StructName == "" {
		return nil, fmt.Errorf("type %s: a declaration without a name", s.Kind)
	}
	return f.namedType(nil, s.Kind+" "+s.StructName)
}

// Underlying is t without typedefs and qualifiers.
func Underlying(t dwarf.Type) dwarf.Type {
	for range maxTypeDepth {
		switch q := t.(type) {
		case *dwarf.TypedefType:
			t = q.Type
		case *dwarf.QualType:
			t = q.Type
		default:
			return t
		}
	}
	return t
}

// of is the type that an entry's DW_AT_type names; void where it has none.
func (d *typeDecoder) of(e *dwarf.Entry, behind bool, depth int) (dwarf.Type, error) {
	ref, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
	if !ok {
		return &dwarf.VoidType{}, nil
	}
	return d.at(ref, behind, depth)
}

// at decodes the type at debug/dwarf's offset. behind says that a pointer leads there.
func (d *typeDecoder) at(off dwarf.Offset, behind bool, depth int) (dwarf.Type, error) {
	u, err := d.f.unitOf(d.u, off)
	if err != nil {
		return nil, err
	}
	key := typeKey{off, behind}
	if t := u.types[key]; t != nil {
		return t, nil
	}
	if depth > maxTypeDepth {
		return nil, u.broken(off, fmt.Sprintf("types nest deeper than %d", maxTypeDepth))
	}
	e, err := u.decodeAt(off)
	if err != nil {
		return nil, err
	}
	in := typeDecoder{f: d.f, u: u, members: d.members}
	t, err := in.decode(e, behind, depth)
	d.members = in.members
	if err != nil {
		return nil, err
	}
	if u.types == nil {
		u.types = make(map[typeKey]dwarf.Type)
	}
	u.types[key] = t
	return t, nil
}

func (d *typeDecoder) decode(e *dwarf.Entry, behind bool, depth int) (dwarf.Type, error) {
	name, _ := e.Val(dwarf.AttrName).(string)
	common := dwarf.CommonType{Name: name, ByteSize: int64(intValue(e, dwarf.AttrByteSize))}
	switch e.Tag {
	case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagClassType:
		return d.structure(e, common, behind, depth)
	case dwarf.TagBaseType:
		return baseType(e, common), nil
	case dwarf.TagEnumerationType:
		return d.enumeration(e, common)
	case dwarf.TagArrayType:
		return d.array(e, behind, depth)
	case dwarf.TagSubroutineType:
		return d.function(e, depth)
	case dwarf.TagUnspecifiedType:
		return &dwarf.UnspecifiedType{BasicType: dwarf.BasicType{CommonType: common}}, nil
	case dwarf.TagPointerType, dwarf.TagReferenceType, dwarf.TagRvalueReferenceType:
		common.Name, common.ByteSize = "", 8
		to, err := d.of(e, true, depth+1)
		return &dwarf.PtrType{CommonType: common, Type: to}, err
	case dwarf.TagTypedef:
		to, err := d.of(e, behind, depth+1)
		if err != nil {
			return nil, err
		}
		common.ByteSize = to.Size()
		return &dwarf.TypedefType{CommonType: common, Type: to}, nil
	case dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType:
		to, err := d.of(e, behind, depth+1)
		if err != nil {
			return nil, err
		}
		common.ByteSize = to.Size()
		return &dwarf.QualType{CommonType: common, Qual: qualifiers[e.Tag], Type: to}, nil
	}
	return &dwarf.UnsupportedType{CommonType: common, Tag: e.Tag}, nil
}

var qualifiers = map[dwarf.Tag]string{
	dwarf.TagConstType: "const", dwarf.TagVolatileType: "volatile", dwarf.TagRestrictType: "restrict", dwarf.TagAtomicType: "_Atomic",
}

// Encodings of base types, DWARF 5 section 7.8.
const (
	ateAddress      = 0x01
	ateBoolean      = 0x02
	ateComplexFloat = 0x03
	ateFloat        = 0x04
	ateSigned       = 0x05
	ateSignedChar   = 0x06
	ateUnsigned     = 0x07
	ateUnsignedChar = 0x08
	ateUTF          = 0x10
)

func baseType(e *dwarf.Entry, common dwarf.CommonType) dwarf.Type {
	basic := dwarf.BasicType{CommonType: common, BitSize: int64(intValue(e, dwarf.AttrBitSize)), BitOffset: int64(intValue(e, dwarf.AttrBitOffset))}
	switch intValue(e, dwarf.AttrEncoding) {
	case ateAddress:
		return &dwarf.AddrType{BasicType: basic}
	case ateBoolean:
		return &dwarf.BoolType{BasicType: basic}
	case ateComplexFloat:
		return &dwarf.ComplexType{BasicType: basic}
	case ateFloat:
		return &dwarf.FloatType{BasicType: basic}
	case ateSigned:
		return &dwarf.IntType{BasicType: basic}
	case ateSignedChar:
		return &dwarf.CharType{BasicType: basic}
	case ateUnsigned, ateUTF:
		return &dwarf.UintType{BasicType: basic}
	case ateUnsignedChar:
		return &dwarf.UcharType{BasicType: basic}
	}
	return &dwarf.UnsupportedType{CommonType: common, Tag: e.Tag}
}

func (d *typeDecoder) structure(e *dwarf.Entry, common dwarf.CommonType, behind bool, depth int) (dwarf.Type, error) {
	kind := map[dwarf.Tag]string{dwarf.TagStructType: "struct", dwarf.TagUnionType: "union", dwarf.TagClassType: "class"}[e.Tag]
	s := &dwarf.StructType{CommonType: common, StructName: common.Name, Kind: kind}
	s.Name = ""
	s.Incomplete, _ = e.Val(dwarf.AttrDeclaration).(bool)
	if s.Incomplete {
		return s, nil
	}
	if behind {
		s.Incomplete = true
		d.f.leave(s, d.u, e.Offset)
		return s, nil
	}
	err := d.children(e, func(m *dwarf.Entry) error {
		if m.Tag != dwarf.TagMember {
			return nil
		}
		field := &dwarf.StructField{
			ByteOffset: int64(intValue(m, dwarf.AttrDataMemberLoc)), ByteSize: int64(intValue(m, dwarf.AttrByteSize)),
			BitOffset: int64(intValue(m, dwarf.AttrBitOffset)), BitSize: int64(intValue(m, dwarf.AttrBitSize)),
			DataBitOffset: int64(intValue(m, dwarf.AttrDataBitOffset)),
		}
		field.Name, _ = m.Val(dwarf.AttrName).(string)
		var err error
		field.Type, err = d.of(m, false, depth+1)
		s.Field = append(s.Field, field)
		return err
	})
	return s, err
}

func (d *typeDecoder) enumeration(e *dwarf.Entry, common dwarf.CommonType) (dwarf.Type, error) {
	t := &dwarf.EnumType{CommonType: common, EnumName: common.Name}
	t.Name = ""
	err := d.children(e, func(m *dwarf.Entry) error {
		if m.Tag == dwarf.TagEnumerator {
			v := &dwarf.EnumValue{}
			v.Name, _ = m.Val(dwarf.AttrName).(string)
			v.Val, _ = m.Val(dwarf.AttrConstValue).(int64)
			t.Val = append(t.Val, v)
		}
		return nil
	})
	return t, err
}

// array makes one type of each dimension. A Count of -1 is a flexible array's.
func (d *typeDecoder) array(e *dwarf.Entry, behind bool, depth int) (dwarf.Type, error) {
	elem, err := d.of(e, behind, depth+1)
	if err != nil {
		return nil, err
	}
	var dims []int64
	err = d.children(e, func(s *dwarf.Entry) error {
		if s.Tag != dwarf.TagSubrangeType {
			return nil
		}
		n := int64(-1)
		if count, ok := s.Val(dwarf.AttrCount).(int64); ok {
			n = count
		} else if upper, ok := s.Val(dwarf.AttrUpperBound).(int64); ok {
			n = upper + 1 // a C array begins at 0; -1 is how gcc writes [0]
		}
		dims = append(dims, max(n, -1))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(dims) == 0 {
		dims = []int64{-1}
	}
	for i := len(dims) - 1; i >= 0; i-- {
		elem = &dwarf.ArrayType{Type: elem, Count: dims[i]}
	}
	return elem, nil
}

func (d *typeDecoder) function(e *dwarf.Entry, depth int) (dwarf.Type, error) {
	t := &dwarf.FuncType{}
	var err error
	if t.ReturnType, err = d.of(e, true, depth+1); err != nil {
		return nil, err
	}
	if _, void := t.ReturnType.(*dwarf.VoidType); void {
		t.ReturnType = nil
	}
	err = d.children(e, func(p *dwarf.Entry) error {
		switch p.Tag {
		case dwarf.TagFormalParameter:
			of, err := d.of(p, true, depth+1)
			t.ParamType = append(t.ParamType, of)
			return err
		case dwarf.TagUnspecifiedParameters:
			t.ParamType = append(t.ParamType, &dwarf.DotDotDotType{})
		}
		return nil
	})
	return t, err
}

// children decodes the entries directly below e.
func (d *typeDecoder) children(e *dwarf.Entry, visit func(*dwarf.Entry) error) error {
	at, err := d.u.dieAt(int(e.Offset) - int(d.u.shift))
	if err != nil {
		return err
	}
	return d.u.children(at, func(c die, _ int) (bool, error) {
		if d.members++; d.members > maxMembers {
			return false, d.u.broken(e.Offset, fmt.Sprintf("a type with more than %d members", maxMembers))
		}
		m, err := d.u.decode(c.off)
		if err != nil {
			return false, err
		}
		return false, visit(m)
	})
}

// broken is a [FormatError] at debug/dwarf's offset.
func (u *unit) broken(off dwarf.Offset, cause string) error {
	return &FormatError{Section: ".debug_info", Offset: u.off - u.shift + uint64(off), Cause: cause}
}
