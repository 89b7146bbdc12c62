package vmlinux

import (
	"debug/dwarf"
	"fmt"
)

// This file finds, in a list of locations, the expression that is valid at one address: DWARF 5 section 7.7.3
// (.debug_loclists), DWARF 4 section 2.6.2 (.debug_loc). delve's pkg/dwarf/loclist reads the same, but panics on a list that is
// cut off, and takes the first unit's header for all; the tests compare with it.

// Entries of .debug_loclists, DWARF 5 section 7.7.3.
const (
	lleEndOfList       = 0x00
	lleBaseAddressx    = 0x01
	lleStartxEndx      = 0x02
	lleStartxLength    = 0x03
	lleOffsetPair      = 0x04
	lleDefaultLocation = 0x05
	lleBaseAddress     = 0x06
	lleStartEnd        = 0x07
	lleStartLength     = 0x08
	lleViewPair        = 0x09 // DW_LLE_GNU_view_pair
)

// maxLocations bounds a list; a long function's variable has some hundred.
const maxLocations = 1 << 16

// listed returns the expression of the list at off that is valid at a; nil where none is.
func (f *File) listed(u *unit, off uint64, a Addr) ([]byte, error) {
	base, _ := u.rootValue(dwarf.AttrLowpc).(uint64)
	name := ".debug_loc"
	if u.header.version >= 5 {
		name = ".debug_loclists"
	}
	data, err := f.section(name)
	if err != nil {
		return nil, err
	}
	if off >= uint64(len(data)) {
		return nil, &FormatError{Section: name, Offset: off, Cause: "list is outside the section"}
	}
	c := &cursor{section: name, base: off, data: data[off:]}
	if u.header.version >= 5 {
		return f.locationIn5(u, c, base, a)
	}
	return locationIn4(c, base, a)
}

func locationIn4(c *cursor, base uint64, a Addr) ([]byte, error) {
	for range maxLocations {
		low, high := c.u64(), c.u64()
		switch {
		case c.err != nil || low == 0 && high == 0:
			return nil, c.err
		case low == ^uint64(0):
			base = high
			continue
		}
		expr := c.bytes(uint64(c.u16()))
		if uint64(a) >= base+low && uint64(a) < base+high && c.err == nil {
			return expr, nil
		}
	}
	return nil, fmt.Errorf("more than %d locations", maxLocations)
}

func (f *File) locationIn5(u *unit, c *cursor, base uint64, a Addr) ([]byte, error) {
	var fallback []byte
	for range maxLocations {
		var low, high uint64
		switch kind := c.u8(); kind {
		case lleEndOfList:
			return fallback, c.err
		case lleBaseAddressx:
			base = f.indexed(u, c)
			continue
		case lleBaseAddress:
			base = c.u64()
			continue
		case lleViewPair:
			c.uleb()
			c.uleb()
			continue
		case lleDefaultLocation:
			fallback = c.bytes(c.uleb())
			continue
		case lleStartxEndx:
			low, high = f.indexed(u, c), f.indexed(u, c)
		case lleStartxLength:
			low = f.indexed(u, c)
			high = low + c.uleb()
		case lleOffsetPair:
			low, high = base+c.uleb(), base+c.uleb()
		case lleStartEnd:
			low, high = c.u64(), c.u64()
		case lleStartLength:
			low = c.u64()
			high = low + c.uleb()
		default:
			c.fail(fmt.Sprintf("unknown entry kind %d", kind))
		}
		expr := c.bytes(c.uleb())
		if c.err != nil {
			return nil, c.err
		}
		if uint64(a) >= low && uint64(a) < high {
			return expr, nil
		}
	}
	return nil, fmt.Errorf("more than %d locations", maxLocations)
}

// indexed reads an index and gives the address it stands for.
func (f *File) indexed(u *unit, c *cursor) uint64 {
	a, err := f.addressAt(u, c.uleb())
	if err != nil {
		c.fail(err.Error())
	}
	return a
}

// addressAt is entry i of the unit's part of .debug_addr.
func (f *File) addressAt(u *unit, i uint64) (uint64, error) {
	base, ok := u.rootValue(dwarf.AttrAddrBase).(int64)
	if !ok {
		base = 8 // past the header of the only part
	}
	data, err := f.section(".debug_addr")
	if err != nil {
		return 0, err
	}
	if off := uint64(base) + 8*i; i < uint64(len(data)) && off < uint64(len(data)) {
		c := cursor{section: ".debug_addr", data: data, off: int(off)}
		v := c.u64()
		return v, c.err
	}
	return 0, &FormatError{Section: ".debug_addr", Offset: uint64(base), Cause: fmt.Sprintf("no address of index %d", i)}
}

// listOffset is where in .debug_loclists the unit's list of index i begins: its table of offsets is at DW_AT_loclists_base.
func (f *File) listOffset(u *unit, i uint64) (uint64, error) {
	base, ok := u.rootValue(dwarf.AttrLoclistsBase).(int64)
	data, err := f.section(".debug_loclists")
	if err != nil {
		return 0, err
	}
	width := uint64(u.header.offsetSize())
	if off := uint64(base) + width*i; ok && i < uint64(len(data)) && off < uint64(len(data)) {
		c := cursor{section: ".debug_loclists", data: data, off: int(off)}
		v := c.uint(int(width))
		return uint64(base) + v, c.err
	}
	return 0, &FormatError{Section: ".debug_loclists", Offset: uint64(base), Cause: fmt.Sprintf("no list of index %d", i)}
}
