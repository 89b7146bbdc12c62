package vmlinux

import (
	"debug/dwarf"
	"fmt"
	"strings"
)

// Struct is the layout of a structure or union.
type Struct struct {
	Name   string
	Size   uint64 // bytes
	Fields []Field
}

// Field is a member. Offset is in bytes from the start of the structure that was asked for, also for members of members.
type Field struct {
	Name   string // empty for an anonymous structure or union
	Offset uint64
	Size   uint64 // bytes, of all elements of an array; 0 for a flexible array
	Count  uint64 // elements of an array (the product of its dimensions); 0 where the member is none
	// BitSize is not 0 for a bit field, which stands BitOffset bits (from the least significant, little-endian) after Offset.
	BitOffset, BitSize uint64
	Fields             []Field // of an embedded structure or union, or of the array's first one
}

// Bounds on layouts: hostile files can nest types for ever. task_struct has about 900 members, 6 deep.
const (
	maxTypeDepth = 32
	maxMembers   = 1 << 16
)

// Field finds a member by path: "flags", "desc_ring.count_bits". Names of anonymous members' members count as the outer
// structure's own. A path through an array means its first element.
func (s Struct) Field(path string) (Field, bool) {
	fields := s.Fields
	for {
		name, rest, more := strings.Cut(path, ".")
		f, ok := findField(fields, name)
		if !ok || !more {
			return f, ok
		}
		fields, path = f.Fields, rest
	}
}

func findField(fields []Field, name string) (Field, bool) {
	if name == "" {
		return Field{}, false
	}
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
		if f.Name == "" {
			if inner, ok := findField(f.Fields, name); ok {
				return inner, true
			}
		}
	}
	return Field{}, false
}

// Struct returns the layout of a structure, union, or typedef of one, as the compilation unit around anchor defines it. Only that
// unit is read, so anchor is best a function of the file that works with the structure.
// Errors: [*UnknownError] for the anchor; an error that names what is not defined there (a unit may only declare it).
func (f *File) Struct(anchor Addr, name string) (Struct, error) {
	if !f.HasDWARF() {
		return Struct{}, &UnknownError{anchor, NoDebugInfo}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := f.unitAt(anchor)
	if err != nil {
		return Struct{}, fmt.Errorf("layout of %s: %w", name, err)
	}
	if u == nil {
		return Struct{}, &UnknownError{anchor, NoUnit}
	}
	l := layout{unit: u}
	e, err := l.find(name)
	if err != nil {
		return Struct{}, fmt.Errorf("layout of %s: %w", name, err)
	}
	if e == nil {
		return Struct{}, fmt.Errorf("layout of %s: not defined in %s", name, u.name())
	}
	s := Struct{Name: name}
	s.Size = uint64(max(0, intValue(e, dwarf.AttrByteSize)))
	if s.Fields, err = l.fields(e, 0, 0); err != nil {
		return Struct{}, fmt.Errorf("layout of %s: %w", name, err)
	}
	return s, nil
}

// layout reads types of one unit.
type layout struct {
	unit    *unit
	members int
}

func composite(tag dwarf.Tag) bool {
	return tag == dwarf.TagStructType || tag == dwarf.TagUnionType || tag == dwarf.TagClassType
}

// find returns the definition of a named structure, else of a typedef's; nil when there is none.
func (l *layout) find(name string) (*dwarf.Entry, error) {
	var found, alias *dwarf.Entry
	err := l.unit.children(l.unit.root, func(d die, _ int) (bool, error) {
		tag := d.abbrev.tag
		if found != nil || !d.abbrev.hasName || !composite(tag) && tag != dwarf.TagTypedef {
			return false, nil
		}
		e, err := l.unit.decode(d.off)
		if err != nil {
			return false, err
		}
		if n, _ := e.Val(dwarf.AttrName).(string); n != name {
			return false, nil
		}
		if declared, _ := e.Val(dwarf.AttrDeclaration).(bool); declared {
			return false, nil
		}
		if composite(tag) {
			found = e
		} else if alias == nil {
			alias = e
		}
		return false, nil
	})
	if err != nil || found != nil || alias == nil {
		return found, err
	}
	t, err := l.resolve(alias)
	if err != nil || t.entry == nil || !composite(t.entry.Tag) {
		return nil, err
	}
	return t.entry, nil
}

// fields reads the members of a structure whose first byte is base bytes into the one that was asked for.
func (l *layout) fields(e *dwarf.Entry, base uint64, depth int) ([]Field, error) {
	if depth > maxTypeDepth {
		return nil, fmt.Errorf("types nest deeper than %d", maxTypeDepth)
	}
	d, err := l.unit.dieAt(int(e.Offset) - int(l.unit.shift))
	if err != nil {
		return nil, err
	}
	var fields []Field
	err = l.unit.children(d, func(d die, _ int) (bool, error) {
		if d.abbrev.tag != dwarf.TagMember {
			return false, nil
		}
		if l.members++; l.members > maxMembers {
			return false, fmt.Errorf("more than %d members", maxMembers)
		}
		m, err := l.unit.decode(d.off)
		if err != nil {
			return false, err
		}
		f, err := l.field(m, base, depth)
		fields = append(fields, f)
		return false, err
	})
	return fields, err
}

func (l *layout) field(m *dwarf.Entry, base uint64, depth int) (Field, error) {
	f := Field{Offset: base + uint64(intValue(m, dwarf.AttrDataMemberLoc))}
	f.Name, _ = m.Val(dwarf.AttrName).(string)
	t, err := l.resolve(m)
	if err != nil {
		return f, err
	}
	f.Size, f.Count = t.size, t.count
	if n := intValue(m, dwarf.AttrBitSize); n > 0 {
		f.BitSize = uint64(n)
		switch off, ok := m.Val(dwarf.AttrDataBitOffset).(int64); {
		case ok: // DWARF 4 and later: from the start of the structure
			f.BitOffset = uint64(off)
			f.Offset = base
			if t.size > 0 {
				f.Offset += uint64(off) / 8 / t.size * t.size
				f.BitOffset = uint64(off) % (8 * t.size)
			}
		case t.size > 0: // DWARF 3: from the most significant bit of the storage unit
			f.BitOffset = 8*t.size - uint64(n) - uint64(intValue(m, dwarf.AttrBitOffset))
		}
	}
	if t.entry != nil && composite(t.entry.Tag) {
		f.Fields, err = l.fields(t.entry, f.Offset, depth+1)
	}
	return f, err
}

// resolved is a type without typedefs, qualifiers and array dimensions.
type resolved struct {
	entry *dwarf.Entry // nil is void
	size  uint64       // bytes, of all elements
	count uint64       // 0 where the type is no array
}

// resolve follows DW_AT_type of e to the type that has a size.
func (l *layout) resolve(e *dwarf.Entry) (resolved, error) {
	r := resolved{}
	array := false
	for range maxTypeDepth {
		ref, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok {
			return resolved{}, nil
		}
		var err error
		if e, err = l.unit.decodeAt(ref); err != nil {
			return r, err
		}
		switch e.Tag {
		case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagAtomicType, dwarf.TagRestrictType:
			continue
		case dwarf.TagArrayType:
			n, err := l.elements(e)
			if err != nil {
				return r, err
			}
			if array {
				n *= r.count
			}
			r.count, array = n, true
			continue
		}
		r.entry = e
		r.size = uint64(max(0, intValue(e, dwarf.AttrByteSize)))
		if e.Tag == dwarf.TagPointerType && r.size == 0 {
			r.size = 8
		}
		if array {
			r.size *= r.count
		}
		return r, nil
	}
	return r, fmt.Errorf("types nest deeper than %d", maxTypeDepth)
}

// elements is the number of elements of an array type: 0 for a flexible one.
func (l *layout) elements(e *dwarf.Entry) (uint64, error) {
	d, err := l.unit.dieAt(int(e.Offset) - int(l.unit.shift))
	if err != nil {
		return 0, err
	}
	total := uint64(1)
	err = l.unit.children(d, func(d die, _ int) (bool, error) {
		if d.abbrev.tag != dwarf.TagSubrangeType {
			return false, nil
		}
		s, err := l.unit.decode(d.off)
		if err != nil {
			return false, err
		}
		if n, ok := s.Val(dwarf.AttrCount).(int64); ok {
			total *= uint64(n)
		} else if n, ok := s.Val(dwarf.AttrUpperBound).(int64); ok {
			total *= uint64(n + 1)
		} else {
			total = 0
		}
		return false, nil
	})
	return total, err
}
