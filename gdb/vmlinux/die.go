package vmlinux

import (
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"slices"
)

// This file walks the entries of one unit without decoding them. debug/dwarf allocates for every entry it reads, and a
// kernel unit has 5,000 of them at its top level, nearly all types: skipping them here takes 0.1 ms, there 3 ms.
// debug/dwarf then decodes the few that matter.

// Forms, DWARF 5 section 7.5.6, and the GNU extensions that gcc and dwz write.
const (
	formAddr          = 0x01
	formBlock2        = 0x03
	formBlock4        = 0x04
	formData2         = 0x05
	formData4         = 0x06
	formData8         = 0x07
	formString        = 0x08
	formBlock         = 0x09
	formBlock1        = 0x0a
	formData1         = 0x0b
	formFlag          = 0x0c
	formSdata         = 0x0d
	formStrp          = 0x0e
	formUdata         = 0x0f
	formRefAddr       = 0x10
	formRef1          = 0x11
	formRef2          = 0x12
	formRef4          = 0x13
	formRef8          = 0x14
	formRefUdata      = 0x15
	formIndirect      = 0x16
	formSecOffset     = 0x17
	formExprloc       = 0x18
	formFlagPresent   = 0x19
	formStrx          = 0x1a
	formAddrx         = 0x1b
	formRefSup4       = 0x1c
	formStrpSup       = 0x1d
	formData16        = 0x1e
	formLineStrp      = 0x1f
	formRefSig8       = 0x20
	formImplicitConst = 0x21
	formLoclistx      = 0x22
	formRnglistx      = 0x23
	formRefSup8       = 0x24
	formStrx1         = 0x25
	formStrx2         = 0x26
	formStrx3         = 0x27
	formStrx4         = 0x28
	formAddrx1        = 0x29
	formAddrx2        = 0x2a
	formAddrx3        = 0x2b
	formAddrx4        = 0x2c
	formGNURefAlt     = 0x1f20
	formGNUStrpAlt    = 0x1f21
)

// abbrev is one entry shape of a unit.
type abbrev struct {
	tag         dwarf.Tag
	children    bool
	sibling     bool // has DW_AT_sibling
	hasPC       bool // has DW_AT_low_pc or DW_AT_ranges
	hasName     bool
	fixed       int // bytes of the attributes when that is the same for all entries, else -1
	siblingAt   int // bytes before DW_AT_sibling where that is a DW_FORM_ref4 at the same place in all entries, else -1
	forms       []attrForm
	first, last int // forms in abbrevs.forms, until that has grown to its size
}

type attrForm struct {
	attr     dwarf.Attr
	form     uint32
	implicit int64 // DW_FORM_implicit_const: the value
}

// abbrevs is a unit's table. Compilers number from 1 without gaps: dense[code-1].
type abbrevs struct {
	dense    []abbrev
	sparse   map[uint64]*abbrev
	forms    []attrForm // of all in dense
	refsAddr bool       // DW_FORM_ref_addr occurs: entries may point into other units (LTO, dwz)
}

func (t *abbrevs) find(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

// parseAbbrevs reads the table at off into t, whose memory it uses again.
func parseAbbrevs(t *abbrevs, data []byte, off uint64, h unitHeader) error {
	*t = abbrevs{dense: t.dense[:0], forms: t.forms[:0]}
	if off > uint64(len(data)) {
		return &FormatError{Section: ".debug_abbrev", Offset: off, Cause: "table is outside the section"}
	}
	c := cursor{section: ".debug_abbrev", base: off, data: data[off:]}
	for c.err == nil {
		code := c.uleb()
		if code == 0 {
			break
		}
		a := abbrev{tag: dwarf.Tag(c.uleb()), children: c.u8() != 0, siblingAt: -1, first: len(t.forms)}
		for c.err == nil {
			attr, form := c.uleb(), c.uleb()
			if attr == 0 && form == 0 {
				break
			}
			f := attrForm{attr: dwarf.Attr(attr), form: uint32(min(form, 1<<31))}
			if form == formImplicitConst {
				f.implicit = c.sleb()
			}
			switch f.attr {
			case dwarf.AttrSibling:
				a.sibling = true
				if form == formRef4 {
					a.siblingAt = a.fixed
				}
			case dwarf.AttrLowpc, dwarf.AttrRanges:
				a.hasPC = true
			case dwarf.AttrName:
				a.hasName = true
			}
			t.refsAddr = t.refsAddr || form == formRefAddr
			if n := h.formSize(form); n < 0 || a.fixed < 0 {
				a.fixed = -1
			} else {
				a.fixed += n
			}
			t.forms = append(t.forms, f)
		}
		a.last = len(t.forms)
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
		} else {
			a.forms = slices.Clone(t.forms[a.first:])
			if t.sparse == nil {
				t.sparse = make(map[uint64]*abbrev)
			}
			t.sparse[code] = &a
		}
	}
	for i := range t.dense {
		a := &t.dense[i]
		a.forms = t.forms[a.first:a.last]
	}
	return c.err
}

// formSize is the size of a form in bytes, or -1 where it varies from entry to entry.
func (h unitHeader) formSize(form uint64) int {
	switch form {
	case formFlagPresent, formImplicitConst:
		return 0
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formData4, formRef4, formRefSup4, formStrx4, formAddrx4:
		return 4
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8
	case formData16:
		return 16
	case formAddr:
		return h.addrSize
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return h.offsetSize()
	case formRefAddr:
		if h.version == 2 {
			return h.addrSize
		}
		return h.offsetSize()
	}
	return -1
}

// skipForm moves past one attribute and returns its value when it is an unsigned number or a unit-relative reference.
func (h unitHeader) skipForm(c *cursor, form uint64) uint64 {
	if form == formIndirect {
		if form = c.uleb(); form == formIndirect || form == formImplicitConst {
			c.fail("indirect form of an indirect form")
			return 0
		}
	}
	switch form {
	case formBlock1:
		c.skip(uint64(c.u8()))
	case formBlock2:
		c.skip(uint64(c.u16()))
	case formBlock4:
		c.skip(uint64(c.u32()))
	case formBlock, formExprloc:
		c.skip(c.uleb())
	case formString:
		c.cstring()
	case formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx:
		return c.uleb()
	default:
		n := h.formSize(form)
		switch n {
		case 1, 2, 4, 8:
			return c.uint(n)
		case -1:
			c.fail(fmt.Sprintf("unknown form 0x%x", form))
		default:
			c.skip(uint64(n))
		}
	}
	return 0
}

// die is an entry's place and shape. Offsets are in bytes from the start of the unit's header.
type die struct {
	off     int
	abbrev  *abbrev // nil for the null entry that ends a list of children
	sibling int     // where the next entry of the same parent begins, or 0 where the entry does not say
	next    int     // where the entry's attributes end
}

// dieAt reads the shape of the entry at off.
func (u *unit) dieAt(off int) (die, error) {
	if off < u.header.size || off >= len(u.info) {
		return die{}, &FormatError{Section: ".debug_info", Offset: u.off + uint64(off), Cause: "entry is outside its unit"}
	}
	c := cursor{section: ".debug_info", base: u.off, data: u.info, off: off}
	code := c.uleb()
	if code == 0 {
		return die{off: off, next: c.off}, c.err
	}
	a := u.abbrevs.find(code)
	if a == nil {
		c.fail(fmt.Sprintf("unknown abbreviation %d", code))
		return die{}, c.err
	}
	d := die{off: off, abbrev: a}
	switch {
	case a.fixed >= 0 && a.fixed <= len(u.info)-c.off && (!a.sibling || a.siblingAt >= 0):
		if a.sibling {
			d.sibling = int(min(uint64(binary.LittleEndian.Uint32(u.info[c.off+a.siblingAt:])), uint64(len(u.info))))
		}
		c.off += a.fixed
	default:
		for _, f := range a.forms {
			v := u.header.skipForm(&c, uint64(f.form))
			if f.attr == dwarf.AttrSibling && v > uint64(c.off) && v <= uint64(len(u.info)) {
				d.sibling = int(v)
			}
		}
	}
	d.next = c.off
	if d.sibling < d.next {
		d.sibling = 0
	}
	return d, c.err
}

// children calls visit for the entries below parent, in order; visit tells whether to go into an entry's own children.
// Its depth is 1 for direct children. Nothing is recursive, so that a hostile nesting costs no stack.
func (u *unit) children(parent die, visit func(d die, depth int) (into bool, err error)) error {
	return u.walk(parent, false, visit)
}

// walk is children. With functions set visit is not called for entries that hold no subprogram with code, where they are quickly
// skipped: nearly all that a unit has at its top are types.
func (u *unit) walk(parent die, functions bool, visit func(d die, depth int) (into bool, err error)) error {
	if parent.abbrev == nil || !parent.abbrev.children {
		return nil
	}
	depth, skipped := 1, 0 // skipped counts open lists that visit does not want
	for off := parent.next; off < len(u.info); {
		if functions && skipped == 0 {
			if off = u.skipTypes(off); off >= len(u.info) {
				break
			}
		}
		d, err := u.dieAt(off)
		if err != nil {
			return err
		}
		off = d.next
		if d.abbrev == nil {
			if skipped > 0 {
				skipped--
			} else if depth--; depth == 0 {
				return nil
			}
			continue
		}
		into := false
		if skipped == 0 {
			if into, err = visit(d, depth); err != nil {
				return err
			}
		}
		switch {
		case !d.abbrev.children:
		case into:
			depth++
		case d.sibling != 0:
			off = d.sibling
		default:
			skipped++
		}
	}
	return nil // the unit's last null may be missing
}

// skipTypes moves from the entry at off to the first that may hold code, or that cannot be skipped without a closer look. It stays
// in the same list of children.
func (u *unit) skipTypes(off int) int {
	for off < len(u.info) {
		code, attrs := int(u.info[off]), off+1
		if code >= 0x80 { // two bytes of ULEB128, or more
			if attrs >= len(u.info) || u.info[attrs] >= 0x80 {
				return off
			}
			code, attrs = code&0x7f|int(u.info[attrs])<<7, attrs+1
		}
		if code == 0 || code > len(u.abbrevs.dense) { // an end, or what is left to others
			return off
		}
		a := &u.abbrevs.dense[code-1]
		switch a.tag {
		case dwarf.TagSubprogram:
			if a.hasPC {
				return off
			}
		case dwarf.TagNamespace, dwarf.TagModule:
			return off
		}
		end := attrs + a.fixed
		switch {
		case a.fixed < 0 || end > len(u.info) || a.children && a.siblingAt < 0:
			return off
		case a.children:
			sibling := binary.LittleEndian.Uint32(u.info[attrs+a.siblingAt:])
			if uint64(sibling) < uint64(end) || uint64(sibling) > uint64(len(u.info)) {
				return off
			}
			off = int(sibling)
		default:
			off = end
		}
	}
	return off
}
