package value

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// number writes an integer, bool, char or enum of type t. n is its bits, zero-extended from its size, or from its width for a
// bit field, whose sign is then not known; member is the name of the member that it is, or "".
func (p *printer) number(t dwarf.Type, n uint64, member string) {
	typedefs, u := typedefsOf(t)
	if p.o.Flags != nil {
		for _, name := range typedefs {
			if flags := p.o.Flags(name); len(flags) > 0 {
				p.say("%s", FlagText(n, flags))
				return
			}
		}
	}
	switch u := u.(type) {
	case *dwarf.BoolType:
		switch n {
		case 0:
			p.say("false")
		case 1:
			p.say("true")
		default:
			p.say("%d", n)
		}
		return
	case *dwarf.EnumType:
		p.enum(u, n)
		return
	case *dwarf.CharType, *dwarf.UcharType:
		if len(typedefs) == 0 { // u8 and s8 are numbers
			p.say("%s '%s'", decimal(u, n), escape(byte(n), '\''))
			return
		}
	}
	if hexadecimal(typedefs, member) && n != 0 {
		p.say("0x%x", n)
		return
	}
	const kernelHalf = 0xffff800000000000
	if !Signed(u) && n >= kernelHalf {
		p.say("0x%x", n)
		p.name(n)
		return
	}
	p.say("%s", decimal(u, n))
}

func decimal(t dwarf.Type, n uint64) string {
	if Signed(t) {
		return fmt.Sprint(extend(n, SizeOf(t)))
	}
	return fmt.Sprint(n)
}

// extend is n, whose sign is the highest bit of size bytes, with its sign.
func extend(n uint64, size int64) int64 {
	if size <= 0 || size >= 8 {
		return int64(n)
	}
	shift := 64 - 8*uint(size)
	return int64(n<<shift) >> shift
}

// Signed reports whether an integer type has a sign. An enum has one when an enumerator is negative, as gcc takes it.
func Signed(t dwarf.Type) bool {
	switch t := Resolve(t).(type) {
	case *dwarf.IntType, *dwarf.CharType:
		return true
	case *dwarf.EnumType:
		for _, v := range t.Val {
			if v.Val < 0 {
				return true
			}
		}
	}
	return false
}

// enum writes an enumerator's name; of an enum of bits the names of the bits that are set.
func (p *printer) enum(t *dwarf.EnumType, n uint64) {
	signed := extend(n, SizeOf(t))
	bits := true
	highest := int64(0)
	var flags []Flag
	for _, v := range t.Val {
		highest = max(highest, v.Val)
		if v.Val == signed || uint64(v.Val) == n {
			p.say("%s", clean(v.Name))
			return
		}
		if v.Val < 0 || v.Val&(v.Val-1) != 0 {
			bits = false
		}
		flags = append(flags, Flag{v.Name, uint64(v.Val)})
	}
	// 0, 1, 2 look like bits too, but count. A list that counts on to 3 has a value that is no power of two.
	if bits && highest > 2 && n != 0 {
		p.say("%s", FlagText(n, flags))
		return
	}
	if Signed(t) {
		p.say("(%s)%d", TypeName(t), signed)
		return
	}
	p.say("(%s)%d", TypeName(t), n)
}

// hexTypedefs hold bits or addresses that nobody reads in decimal.
var hexTypedefs = map[string]bool{"gfp_t": true, "vm_flags_t": true, "slab_flags_t": true, "fmode_t": true, "phys_addr_t": true,
	"dma_addr_t": true, "resource_size_t": true, "pteval_t": true, "pmdval_t": true, "pudval_t": true, "p4dval_t": true,
	"pgdval_t": true, "pgprotval_t": true, "uintptr_t": true, "netdev_features_t": true}

func hexadecimal(typedefs []string, member string) bool {
	for _, t := range typedefs {
		if hexTypedefs[t] {
			return true
		}
	}
	return strings.HasSuffix(member, "flags") || strings.HasSuffix(member, "mask")
}

// typedefsOf is the names of the typedefs around a type, outermost first, and what they stand for.
func typedefsOf(t dwarf.Type) (names []string, u dwarf.Type) {
	for range maxTypeNesting {
		switch v := t.(type) {
		case *dwarf.TypedefType:
			names = append(names, v.Name)
			t = v.Type
		case *dwarf.QualType:
			t = v.Type
		default:
			return names, t
		}
	}
	return names, nil
}

// isChar reports whether a type is C's own char, signed or not: an array of u8 is no text.
func isChar(t dwarf.Type) bool {
	switch bare(t).(type) {
	case *dwarf.CharType, *dwarf.UcharType:
		return true
	}
	return false
}

// uintOf is the little-endian number of size bytes (1, 2, 4 or 8) at the start of b.
func uintOf(b []byte, size int64) (uint64, bool) {
	if int64(len(b)) < size {
		return 0, false
	}
	switch size {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	case 8:
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

func (p *printer) float(b []byte, size int64) {
	n, ok := uintOf(b, size)
	switch {
	case ok && size == 4:
		p.say("%g", math.Float32frombits(uint32(n)))
	case ok && size == 8:
		p.say("%g", math.Float64frombits(n))
	default:
		p.say("<not known>")
	}
}

// bits is a bit field's number, its sign bit extended to the size of its type where the type has a sign, so that it reads as an
// object of that type.
func (v Value) bits() (uint64, bool) {
	first, last := v.BitOffset/8, (v.BitOffset+v.BitSize+7)/8
	if v.BitSize < 1 || v.BitSize > 64 || v.BitOffset < 0 || last > len(v.Bytes) {
		return 0, false
	}
	n := uint64(0)
	for i := last - 1; i >= first; i-- {
		low := 8*i - v.BitOffset // where the byte's lowest bit goes
		switch c := uint64(v.Bytes[i]); {
		case low >= 0 && low < 64:
			n |= c << uint(low)
		case low < 0:
			n |= c >> uint(-low)
		}
	}
	shift := 64 - uint(v.BitSize)
	if Signed(v.Type) {
		n = uint64(int64(n<<shift) >> shift)
		if size := uint(SizeOf(v.Type)); size < 8 {
			n &= 1<<(8*size) - 1
		}
		return n, true
	}
	return n << shift >> shift, true
}

// place is where a member begins: bytes from the start of its structure, and for a bit field the bits after that, from the least
// significant; -1 for one that cannot be.
func place(f *dwarf.StructField) (off, bit int64) {
	// No storage unit is larger than an __int128. gcc gives a packed field's place in its unit also below 0.
	const maxUnit = 16
	switch {
	case f.BitSize == 0:
		return f.ByteOffset, 0
	case f.BitSize < 0 || f.BitSize > 64 || f.ByteSize < 0 || f.ByteSize > maxUnit ||
		f.BitOffset < -8*maxUnit || f.BitOffset > 8*maxUnit:
		return f.ByteOffset, -1
	case f.DataBitOffset > 0: // DWARF 4 and later: from the start of the structure
		return f.DataBitOffset / 8, f.DataBitOffset % 8
	case f.BitOffset > 0 || f.ByteSize > 0: // DWARF 3: from the most significant bit of the storage unit
		size := f.ByteSize
		if size == 0 {
			size = min(SizeOf(f.Type), maxUnit)
		}
		return f.ByteOffset, 8*size - f.BitOffset - f.BitSize
	}
	return f.ByteOffset, 0
}

// member is the member f of a structure whose bytes are b. A bit field has the bytes that it lies in.
func member(f *dwarf.StructField, b []byte) Value {
	off, bit := place(f)
	size := SizeOf(f.Type)
	if f.BitSize != 0 {
		size = (bit + f.BitSize + 7) / 8
		if bit < 0 || size > int64(len(from(b, off))) {
			return Value{Type: f.Type, Err: errors.New("a bit field outside of its structure")}
		}
	}
	m := from(b, off)
	return Value{Type: f.Type, Bytes: m[:min(int64(len(m)), size)], BitOffset: int(bit), BitSize: int(f.BitSize)}
}
