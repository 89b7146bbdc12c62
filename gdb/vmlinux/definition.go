package vmlinux

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"strings"
)

// This file finds where a type or a variable is defined, in a file that has no index of names (gcc writes .debug_gnu_pubtypes
// only with -ggnu-pubnames). The sections are searched as bytes, and what is found is checked against the unit's entries:
//
//   - a variable's DW_AT_location holds its address, which the symbol table has: 09 03 <8 bytes> is found in 10 ms of 160 MB;
//   - a type's DW_AT_name holds its offset in .debug_str.
//
// What that does not find (a compiler with other forms) is found by reading the top entries of every unit, once for a name.

// diePlace is an entry: its unit's offset in .debug_info, and its own from there.
type diePlace struct {
	unit uint64
	off  int
}

// typeIndex is what has been looked for by name.
type typeIndex struct {
	left  map[*dwarf.StructType]diePlace // structures behind pointers, left as declarations
	found map[string]diePlace            // "struct page"; the zero place: nowhere

}

// maxLeft bounds the structures whose place is remembered; one that is forgotten is found by its name.
const maxLeft = 1 << 16

func (f *File) leave(s *dwarf.StructType, u *unit, off dwarf.Offset) {
	if f.types.left == nil || len(f.types.left) >= maxLeft {
		f.types.left = make(map[*dwarf.StructType]diePlace)
	}
	f.types.left[s] = diePlace{u.off, int(off) - int(u.shift)}
}

// Type returns a type by its C name: "struct page", "union x", "enum pageflags", a typedef's ("pgoff_t"), or a base type's as
// C or DWARF has it ("unsigned long", "long unsigned int"). The unit around anchor is asked first, then any that defines it, so of several
// private types of one name it is the anchor's; an anchor of 0 is none. Structures behind pointers are only declared, see
// [File.Complete].
// Errors: it is not defined; [*UnknownError] without debug information.
func (f *File) Type(anchor Addr, name string) (dwarf.Type, error) {
	if !f.HasDWARF() {
		return nil, &UnknownError{anchor, NoDebugInfo}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := f.unitAt(anchor)
	if err != nil {
		u = nil // another unit may do
	}
	return f.namedType(u, name)
}

// Global returns the link address and the type of a global variable, or of a file's static one. For a per-CPU variable the
// address is the offset in the per-CPU area's image (see [File.PerCPU]).
// Errors: there is no such symbol, or no debug information of it; [*UnknownError].
func (f *File) Global(name string) (Addr, dwarf.Type, error) {
	if !f.HasDWARF() {
		return 0, nil, &UnknownError{0, NoDebugInfo}
	}
	sym, ok := f.Lookup(name)[name]
	if !ok {
		return 0, nil, fmt.Errorf("variable %s: no such symbol", name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.IsText(sym.Addr) {
		return sym.Addr, nil, fmt.Errorf("variable %s: it is code", name)
	}
	at, ok, err := f.variableAt(sym.Addr)
	if err == nil && !ok {
		at, ok, err = f.definition(nil, dwarf.TagVariable, name)
	}
	if err != nil {
		return sym.Addr, nil, fmt.Errorf("variable %s: %w", name, err)
	}
	if !ok {
		return sym.Addr, nil, fmt.Errorf("variable %s: no debug information of it", name)
	}
	u, err := f.cachedUnit(at.unit)
	if err != nil {
		return sym.Addr, nil, fmt.Errorf("variable %s: %w", name, err)
	}
	e, err := u.decode(at.off)
	if err == nil {
		e, err = u.withAttr(e, dwarf.AttrType)
	}
	if err != nil {
		return sym.Addr, nil, fmt.Errorf("variable %s: %w", name, err)
	}
	d := typeDecoder{f: f, u: u}
	t, err := d.of(e, false, 0)
	if err != nil {
		err = fmt.Errorf("variable %s: %w", name, err)
	}
	return sym.Addr, t, err
}

// PerCPU reports whether a link address is one of the per-CPU area's image: no address at all in a kernel that runs, but an
// offset from each vCPU's area. Before v6.15 it is linked at 0.
func (f *File) PerCPU(a Addr) bool {
	s := f.sections[".data..percpu"]
	return s != nil && covers(s.elf, a)
}

// withAttr follows an entry's origins up to the one that has an attribute; the last one where none has.
func (u *unit) withAttr(e *dwarf.Entry, attr dwarf.Attr) (*dwarf.Entry, error) {
	for range maxOrigins {
		if e.Val(attr) != nil {
			return e, nil
		}
		ref, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if ref, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				return e, nil
			}
		}
		var err error
		if e, err = u.decodeAt(ref); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// namedType is Type for a caller that has the lock; u may be nil.
func (f *File) namedType(u *unit, name string) (dwarf.Type, error) {
	name = strings.Join(strings.Fields(name), " ")
	tag, bare := dwarf.TagTypedef, name
	for word, t := range map[string]dwarf.Tag{"struct ": dwarf.TagStructType, "union ": dwarf.TagUnionType,
		"class ": dwarf.TagClassType, "enum ": dwarf.TagEnumerationType} {
		if rest, ok := strings.CutPrefix(name, word); ok {
			tag, bare = t, rest
		}
	}
	tags := []dwarf.Tag{tag}
	if as, ok := baseNames[name]; ok {
		tags, bare = []dwarf.Tag{dwarf.TagBaseType}, as
	} else if strings.Contains(bare, " ") && tag == dwarf.TagTypedef {
		tags = []dwarf.Tag{dwarf.TagBaseType}
	} else if tag == dwarf.TagTypedef {
		tags = append(tags, dwarf.TagBaseType)
	}
	if bare == "" {
		return nil, fmt.Errorf("type %q: no name", name)
	}
	for _, tag := range tags {
		at, ok, err := f.definition(u, tag, bare)
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		if !ok {
			continue
		}
		in, err := f.cachedUnit(at.unit)
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		d := typeDecoder{f: f, u: in}
		t, err := d.at(dwarf.Offset(in.shift)+dwarf.Offset(at.off), false, 0)
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		return t, nil
	}
	return nil, fmt.Errorf("type %s: not defined", name)
}

// baseNames are C's base types as gcc and clang call them in DWARF, by what people write.
var baseNames = map[string]string{
	"unsigned": "unsigned int", "long": "long int", "unsigned long": "long unsigned int", "unsigned long int": "long unsigned int",
	"short": "short int", "unsigned short": "short unsigned int", "unsigned short int": "short unsigned int",
	"long long": "long long int", "unsigned long long": "long long unsigned int", "unsigned long long int": "long long unsigned int",
	"signed": "int", "signed int": "int", "bool": "_Bool",
}

// definition finds the entry that defines a name, in u if that is not nil, else anywhere. Of a variable a declaration
// will do: some are defined by assembly.
func (f *File) definition(u *unit, tag dwarf.Tag, name string) (at diePlace, ok bool, err error) {
	if u != nil {
		off, ok, err := f.definedIn(u, func(d die) bool { return d.abbrev.tag == tag && f.named(u, d, name) })
		if err != nil || ok {
			return diePlace{u.off, off}, ok, err
		}
	}
	key := tag.String() + " " + name
	at, known := f.types.found[key]
	if known {
		return at, at.off != 0, nil
	}
	at, ok, err = f.searchNames(tag, name)
	if err == nil {
		if f.types.found == nil {
			f.types.found = make(map[string]diePlace)
		}
		f.types.found[key] = at
	}
	return at, ok, err
}

// definedIn finds the first entry at the top of a unit that matches and is no declaration; matching a variable's
// declaration is as good.
func (f *File) definedIn(u *unit, match func(die) bool) (off int, ok bool, err error) {
	err = u.children(u.root, func(d die, _ int) (bool, error) {
		if off == 0 && (d.abbrev.tag == dwarf.TagVariable || !d.abbrev.declares()) && match(d) {
			off = d.off
		}
		if off != 0 {
			return false, errStop
		}
		return false, nil
	})
	if err == errStop {
		err = nil
	}
	return off, off != 0, err
}

// errStop ends a walk that has found what it looks for.
var errStop = fmt.Errorf("found")

func (a *abbrev) declares() bool { return a.has(dwarf.AttrDeclaration) }

func (a *abbrev) has(attr dwarf.Attr) bool {
	for _, f := range a.forms {
		if f.attr == attr {
			return true
		}
	}
	return false
}

// named reports whether an entry's own DW_AT_name is name. It decodes nothing else of the entry.
func (f *File) named(u *unit, d die, name string) bool {
	if !d.abbrev.hasName {
		return false
	}
	c := cursor{section: ".debug_info", base: u.off, data: u.info, off: d.off}
	c.uleb()
	for _, form := range d.abbrev.forms {
		if form.attr != dwarf.AttrName {
			u.header.skipForm(&c, uint64(form.form))
			continue
		}
		switch form.form {
		case formString:
			return string(c.cstring()) == name
		case formStrp:
			str, err := f.section(".debug_str")
			off := c.uint(u.header.offsetSize())
			return err == nil && c.err == nil && off < uint64(len(str)) && uint64(len(name)) < uint64(len(str))-off &&
				string(str[off:off+uint64(len(name))]) == name && str[off+uint64(len(name))] == 0
		}
		e, err := u.decode(d.off)
		if err != nil {
			return false
		}
		own, _ := e.Val(dwarf.AttrName).(string)
		return own == name
	}
	return false
}

// maxSpellings bounds the places in .debug_str at which a name is looked for one by one: the linker lets it be the tail of
// another string, "page" of "highpage".
const maxSpellings = 4

// searchNames finds a definition at the top of any unit.
func (f *File) searchNames(tag dwarf.Tag, name string) (at diePlace, ok bool, err error) {
	info, err := f.section(".debug_info")
	if err != nil {
		return diePlace{}, false, err
	}
	str, err := f.section(".debug_str")
	if err != nil {
		return diePlace{}, false, err
	}
	spellings, all := occurrences(str, name, maxSpellings)
	for _, off := range spellings {
		word := binary.LittleEndian.AppendUint32(nil, uint32(off))
		if at, ok := f.searchBytes(info, word, tag); ok {
			return at, true, nil
		}
	}
	// gcc writes a string that is no longer than an offset in place: too short to be looked for in bytes.
	if all && len(name) >= 4 && !f.hasSection(".debug_str_offsets") {
		return diePlace{}, false, nil
	}
	for _, start := range f.unitStarts() {
		u, err := f.lookUnit(start)
		if err != nil {
			continue
		}
		if off, ok, err := f.definedIn(u, func(d die) bool { return d.abbrev.tag == tag && f.named(u, d, name) }); ok && err == nil {
			return diePlace{start, off}, true, nil
		}
	}
	return diePlace{}, false, nil
}

// lookUnit is a unit for a look at its entries: from the cache, but not put there.
func (f *File) lookUnit(off uint64) (*unit, error) {
	if u := f.units.cache[off]; u != nil {
		return u, nil
	}
	return f.loadUnit(off)
}

// occurrences are the offsets at which name stands with an end; none where those are more than most. Where some begin a string, the
// others are out of use: a linker leaves a name in the tail of another string where no string of its own is. A linker that merges
// strings leaves one, one that does not (ld -r, for a module) one for each unit.
func occurrences(str []byte, name string, most int) (offs []int, all bool) {
	word := append([]byte(name), 0)
	var own, tails []int
	for from := 0; len(own) <= most; {
		i := bytes.Index(str[from:], word)
		if i < 0 {
			break
		}
		at := from + i
		switch {
		case at == 0 || str[at-1] == 0:
			own = append(own, at)
		case len(tails) <= most:
			tails = append(tails, at)
		}
		from = at + 1
	}
	if len(own) > 0 {
		tails = own
	}
	if len(tails) > most {
		return nil, false
	}
	return tails, true
}

// maxBefore is how many bytes of an entry come before its name: the abbreviation's number, and a base type's size and encoding.
const maxBefore = 6

// searchBytes finds an entry of a tag at the top of a unit whose name is the offset word in .debug_str.
func (f *File) searchBytes(info, word []byte, tag dwarf.Tag) (diePlace, bool) {
	var u *unit // around the last hit: word may be a common number
	for from := 0; ; {
		i := bytes.Index(info[from:], word)
		if i < 0 {
			return diePlace{}, false
		}
		hit := from + i
		from = hit + 1
		start, ok := f.unitStart(uint64(hit))
		if !ok {
			continue
		}
		if u == nil || u.off != start {
			var err error
			if u, err = f.lookUnit(start); err != nil {
				u = nil
				continue
			}
		}
		for n := 1; n <= maxBefore; n++ {
			off := hit - int(start) - n
			if off < u.header.size {
				break
			}
			d, err := u.dieAt(off)
			if err != nil || d.abbrev == nil || d.abbrev.tag != tag || tag != dwarf.TagVariable && d.abbrev.declares() ||
				u.namePlace(d, formStrp) != off+n {
				continue
			}
			if at, ok, err := f.definedIn(u, func(d die) bool { return d.off == off }); ok && err == nil {
				return diePlace{start, at}, true
			}
		}
	}
}

// namePlace is where the value of an entry's DW_AT_name stands in its unit; 0 where it has none of that form.
func (u *unit) namePlace(d die, form uint32) int {
	c := cursor{section: ".debug_info", base: u.off, data: u.info, off: d.off}
	c.uleb()
	for _, f := range d.abbrev.forms {
		if f.attr == dwarf.AttrName && f.form == form && c.err == nil {
			return c.off
		}
		u.header.skipForm(&c, uint64(f.form))
	}
	return 0
}

// variableAt finds the variable whose location is exactly an address: DW_FORM_exprloc of 9 bytes, DW_OP_addr.
func (f *File) variableAt(a Addr) (at diePlace, ok bool, err error) {
	info, err := f.section(".debug_info")
	if err != nil {
		return diePlace{}, false, err
	}
	word := binary.LittleEndian.AppendUint64([]byte{9, 0x03}, uint64(a))
	for from := 0; ; {
		i := bytes.Index(info[from:], word)
		if i < 0 {
			return diePlace{}, false, nil
		}
		hit := from + i
		from = hit + 1
		start, ok := f.unitStart(uint64(hit))
		if !ok {
			continue
		}
		u, err := f.lookUnit(start)
		if err != nil {
			continue
		}
		rel, found := hit-int(start), 0
		err = u.children(u.root, func(d die, _ int) (bool, error) {
			if d.off < rel && rel < d.next && d.abbrev.tag == dwarf.TagVariable {
				found = d.off
			}
			if d.off > rel || found != 0 {
				return false, errStop
			}
			return d.sibling == 0 || d.sibling > rel, nil
		})
		if found != 0 && (err == nil || err == errStop) {
			return diePlace{start, found}, true, nil
		}
	}
}

// unitStarts lists the offsets of all units, by their headers' lengths.
func (f *File) unitStarts() []uint64 {
	t, err := f.debugTables()
	if err != nil {
		return nil
	}
	return t.starts()
}

// unitStart is the offset of the unit around an offset of .debug_info.
func (f *File) unitStart(off uint64) (uint64, bool) {
	t, err := f.debugTables()
	if err != nil {
		return 0, false
	}
	return t.unitStart(off)
}

// unitOf is the unit of an entry that an attribute of u refers to: u itself, but with DW_FORM_ref_addr.
func (f *File) unitOf(u *unit, off dwarf.Offset) (*unit, error) {
	at := uint64(off) - u.shift
	if at < uint64(len(u.info)) {
		return u, nil
	}
	start, ok := f.unitStart(u.off + at)
	if !u.abbrevs.refsAddr || !ok {
		return nil, u.broken(off, "a reference out of its unit")
	}
	return f.cachedUnit(start)
}
