package vmlinux

// Entries of .debug_rnglists, DWARF 5 section 7.25.
const (
	rleEndOfList    = 0x00
	rleBaseAddressx = 0x01
	rleStartxEndx   = 0x02
	rleStartxLength = 0x03
	rleOffsetPair   = 0x04
	rleBaseAddress  = 0x05
	rleStartEnd     = 0x06
	rleStartLength  = 0x07
)

// maxRanges bounds the ranges of one entry; a unit of Debian's kernel has some hundred.
const maxRanges = 1 << 16

// rangesOf appends the half-open address ranges of an entry to to; none for an entry without code.
func (u *unit) rangesOf(to [][2]uint64, e *entry) ([][2]uint64, error) {
	if e.hasLow && e.hasHigh {
		to = append(to, [2]uint64{e.low, e.high})
	}
	if e.rangesForm == 0 {
		return to, nil
	}
	off := e.ranges
	base := u.first.low // where the unit has none, offsets are addresses
	if u.header.version < 5 {
		return u.ranges4(to, off, base)
	}
	if e.rangesForm == formRnglistx {
		table := u.first.rnglistsBase
		at, ok := numberAt(u.tables.rnglists, table, off, u.header.offsetSize())
		if !ok {
			return to, &FormatError{Section: ".debug_rnglists", Offset: table, Cause: "no list of the entry's index"}
		}
		off = table + at
	}
	return u.ranges5(to, off, base)
}

// rangesAt is rangesOf for an entry that is not read yet.
func (u *unit) rangesAt(d die) ([][2]uint64, error) {
	e, err := u.read(d)
	if err != nil {
		return nil, err
	}
	return u.rangesOf(nil, &e)
}

// ranges4 reads a list of .debug_ranges, DWARF 4 section 2.17.3: pairs of offsets from a base.
func (u *unit) ranges4(to [][2]uint64, off, base uint64) ([][2]uint64, error) {
	data := u.tables.ranges
	if off >= uint64(len(data)) {
		return to, &FormatError{Section: ".debug_ranges", Offset: off, Cause: "list is outside the section"}
	}
	c := cursor{section: ".debug_ranges", base: off, data: data[off:]}
	for range maxRanges {
		low, high := c.u64(), c.u64()
		switch {
		case c.err != nil || low == 0 && high == 0:
			return to, c.err
		case low == ^uint64(0):
			base = high
		default:
			to = append(to, [2]uint64{base + low, base + high})
		}
	}
	c.fail("list is too long")
	return to, c.err
}

// ranges5 reads a list of .debug_rnglists.
func (u *unit) ranges5(to [][2]uint64, off, base uint64) ([][2]uint64, error) {
	data := u.tables.rnglists
	if off >= uint64(len(data)) {
		return to, &FormatError{Section: ".debug_rnglists", Offset: off, Cause: "list is outside the section"}
	}
	c := cursor{section: ".debug_rnglists", base: off, data: data[off:]}
	indexed := func() uint64 {
		a, ok := u.addressOf(c.uleb())
		if !ok {
			c.fail("an address that .debug_addr does not have")
		}
		return a
	}
	for range maxRanges {
		var low, high uint64
		switch kind := c.u8(); kind {
		case rleEndOfList:
			return to, c.err
		case rleBaseAddressx:
			base = indexed()
			continue
		case rleBaseAddress:
			base = c.u64()
			continue
		case rleStartxEndx:
			low, high = indexed(), indexed()
		case rleStartxLength:
			low = indexed()
			high = low + c.uleb()
		case rleOffsetPair:
			low = base + c.uleb()
			high = base + c.uleb()
		case rleStartEnd:
			low, high = c.u64(), c.u64()
		case rleStartLength:
			low = c.u64()
			high = low + c.uleb()
		default:
			c.fail("unknown kind of entry")
		}
		if c.err != nil {
			return to, c.err
		}
		to = append(to, [2]uint64{low, high})
	}
	c.fail("list is too long")
	return to, c.err
}
