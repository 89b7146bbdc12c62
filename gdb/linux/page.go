package linux

import (
	"fmt"
	"strings"
)

// VmemmapBase is where the array of struct page begins on x86_64 with 4-level page tables, unless the kernel has a variable vmemmap_base,
// which KASLR and 5-level page tables set (arch/x86/include/asm/pgtable_64_types.h).
const VmemmapBase = 0xffffea0000000000

// VmemmapOf is where the array begins in a kernel whose variable vmemmap_base is at a run-time address; 0 is a kernel without one. It
// is 0 when the variable cannot be read.
func VmemmapOf(mem Memory, variable uint64) uint64 {
	if variable == 0 {
		return VmemmapBase
	}
	c := cursor{mem: mem}
	base := c.u64(variable)
	if c.err != nil {
		return 0
	}
	return base
}

// Page is a struct page, decoded. Numbers are as the page has them; see [Page.String].
type Page struct {
	Address  uint64 // run-time
	PFN      uint64
	Flags    uint64
	RefCount int32
	MapCount int32 // _mapcount as it is: -1 for a page that is not mapped. It shares its place with page_type.
	Names    []string
	// Zone and Node are where the page belongs; "" and -1 where the bits' meaning is not known, or the page is not initialized.
	Zone string
	Node int
	// Type is the page's type, "buddy", "slab"...; "" when it has none and MapCount counts.
	Type           string
	Mapping, Index uint64
	Private        uint64
	// Head is the compound page's first page: of a tail page another one, of a head page itself, 0 of a page by itself. Order
	// is the compound page's; -1 when it has none or it is not known.
	Head  uint64
	Order int
	// State is Poisoned or Untouched for a page that nobody has initialized yet.
	State PageState
}

// PageState says whether a struct page has been initialized.
type PageState uint8

// The states. DEBUG_VM fills struct pages with ones when their memory is reserved (page_init_poison, PAGE_POISON_PATTERN); else
// they are zero until __init_single_page, which sets the reference count to 1: no page in use is all zero.
const (
	Initialized PageState = iota
	Poisoned
	Untouched
)

// Read decodes the struct page at addr; vmemmap is where the array of them begins, 0 when that is not known.
// Errors: memory that cannot be read; an address that is no page's. A compound page whose head cannot be read is no error.
func (l PageLayout) Read(mem Memory, vmemmap, addr uint64) (Page, error) {
	if l.Size <= 0 {
		return Page{}, fmt.Errorf("page at 0x%x: no layout", addr)
	}
	p := Page{Address: addr, Node: -1, Order: -1}
	if vmemmap != 0 {
		const maxPFN = 1 << 40 // 52 bits of physical address
		if addr < vmemmap || (addr-vmemmap)/uint64(l.Size) >= maxPFN {
			return Page{}, fmt.Errorf("page at 0x%x: not in the array of pages, which begins at 0x%x", addr, vmemmap)
		}
		p.PFN = (addr - vmemmap) / uint64(l.Size)
		if off := (addr - vmemmap) % uint64(l.Size); off != 0 {
			return Page{}, fmt.Errorf("page at 0x%x: lies %d bytes into the struct page of pfn 0x%x", addr, off, p.PFN)
		}
	}
	c := cursor{mem: mem}
	b := c.bytes(addr, l.Size)
	if c.err != nil {
		return Page{}, fmt.Errorf("page at 0x%x: %w", addr, c.err)
	}
	in := cursor{mem: atBytes(b)}
	p.Flags = in.u64(uint64(l.Flags))
	p.RefCount, p.MapCount = int32(in.u32(uint64(l.RefCount))), int32(in.u32(uint64(l.MapCount)))
	p.Mapping, p.Index, p.Private = in.u64(uint64(l.Mapping)), in.u64(uint64(l.Index)), in.u64(uint64(l.Private))
	head := in.u64(uint64(l.CompoundHead))
	if in.err != nil {
		return Page{}, fmt.Errorf("page at 0x%x: %w", addr, in.err)
	}
	switch {
	case all(b, 0):
		p.State = Untouched
		return p, nil
	case p.Flags == ^uint64(0):
		p.State = Poisoned
		return p, nil
	}
	l.decodeFlags(&p)
	p.Type = l.pageType(uint32(p.MapCount))
	switch {
	case head&1 != 0:
		p.Head = head - 1
	case hasName(p.Names, "head"):
		p.Head = addr
	}
	if p.Head != 0 && l.Order >= 0 {
		if order := c.bytes(p.Head+uint64(l.Order), 1); c.err == nil && order[0] <= maxOrder {
			p.Order = int(order[0])
		}
	}
	return p, nil
}

// maxOrder is that of a page of 1 GiB; a larger one is garbage.
const maxOrder = 18

// decodeFlags names the flags, and the fields in the high bits.
func (l PageLayout) decodeFlags(p *Page) {
	for _, f := range l.Names {
		if f.Mask != 0 && p.Flags&f.Mask == f.Mask {
			p.Names = append(p.Names, f.Name)
		}
	}
	if l.SectionBits < 0 || l.NodeBits < 0 || l.ZoneBits < 0 || l.SectionBits+l.NodeBits+l.ZoneBits > 64-l.NFlags || l.NFlags == 0 {
		return
	}
	shift := 64 - uint(l.SectionBits) - uint(l.NodeBits)
	if l.NodeBits > 0 {
		p.Node = int(p.Flags >> shift & (1<<uint(l.NodeBits) - 1))
	} else {
		p.Node = 0
	}
	zone := 0
	if l.ZoneBits > 0 {
		shift -= uint(l.ZoneBits)
		zone = int(p.Flags >> shift & (1<<uint(l.ZoneBits) - 1))
	}
	if zone < len(l.Zones) {
		p.Zone = l.Zones[zone]
	}
}

// pageType is the type that a page_type says, or "".
func (l PageLayout) pageType(v uint32) string {
	if l.TypeByte {
		if v>>24 < 0xf0 || v>>24 == 0xff { // a count, or one that went below zero
			return ""
		}
		for _, t := range l.TypeNames {
			if uint64(v>>24) == 0xf0+t.Mask {
				return t.Name
			}
		}
		return fmt.Sprintf("type 0x%x", v>>24)
	}
	// A page without a type has -1, a count that went wrong is not far from it: PAGE_MAPCOUNT_RESERVE. PAGE_TYPE_BASE is set in all types,
	// 0xf0000000, or 0x80000000 in 6.11.
	const base, reserve = 0x80000000, 0xffffff80
	if v&base != base || v >= reserve || len(l.TypeNames) == 0 {
		return ""
	}
	var names []string
	for _, t := range l.TypeNames {
		if uint64(v)&t.Mask == 0 {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("type 0x%x", v)
	}
	return strings.Join(names, "|")
}

func hasName(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// Bits of mapping, include/linux/page-flags.h, the same in 6.1 and 6.12.
const (
	mappingAnon    = 1
	mappingMovable = 2
	mappingFlags   = mappingAnon | mappingMovable
)

// String is the page in one line:
//
//	page 0xffffea0000000000: pfn 0x0, refcount 1, mapcount 0 (-1), flags 0, zone DMA, node 0
//	page 0xffffea00000e1080: pfn 0x3842, refcount 3, mapcount 1 (0), flags 0x80014 (uptodate|lru|swapbacked), zone DMA32,
//	node 0, anon, index 0x7ffd7
//	page 0xffffea00000fc000: pfn 0x3f00, refcount 0, buddy, order 10, flags 0, zone DMA32, node 0
func (p Page) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "page 0x%x: pfn 0x%x", p.Address, p.PFN)
	switch p.State {
	case Poisoned:
		b.WriteString(", not initialized yet and poisoned: flags are all ones")
		return b.String()
	case Untouched:
		b.WriteString(", not initialized yet: all zero")
		return b.String()
	}
	fmt.Fprintf(&b, ", refcount %d", p.RefCount)
	switch {
	case p.Type != "":
		fmt.Fprintf(&b, ", %s", p.Type)
		if p.Type == "buddy" {
			fmt.Fprintf(&b, ", order %d", p.Private)
		}
	case !hasName(p.Names, "slab"): // before 6.11 a slab page has no count
		fmt.Fprintf(&b, ", mapcount %d (%d)", p.MapCount+1, p.MapCount)
	}
	flags := p.Flags
	if flags == 0 {
		b.WriteString(", flags 0")
	} else {
		fmt.Fprintf(&b, ", flags 0x%x", flags)
		if len(p.Names) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(p.Names, "|"))
		}
	}
	if p.Zone != "" {
		fmt.Fprintf(&b, ", zone %s", p.Zone)
	}
	if p.Node >= 0 {
		fmt.Fprintf(&b, ", node %d", p.Node)
	}
	switch {
	case p.Head != 0 && p.Head != p.Address:
		fmt.Fprintf(&b, ", tail of 0x%x", p.Head)
	case p.Head != 0:
		b.WriteString(", head")
	}
	if p.Head != 0 && p.Order >= 0 {
		fmt.Fprintf(&b, " (order %d)", p.Order)
	}
	if p.Head != 0 && p.Head != p.Address || p.Type != "" || hasName(p.Names, "slab") {
		return b.String() // mapping and index are something else there
	}
	switch p.Mapping & mappingFlags {
	case mappingAnon:
		fmt.Fprintf(&b, ", anon, index 0x%x", p.Index)
	case mappingFlags:
		fmt.Fprintf(&b, ", ksm, index 0x%x", p.Index)
	default:
		if p.Mapping&^mappingFlags != 0 {
			fmt.Fprintf(&b, ", mapping 0x%x, index 0x%x", p.Mapping&^mappingFlags, p.Index)
		}
	}
	return b.String()
}

// atBytes is memory that begins at 0.
type atBytes []byte

func (m atBytes) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr > uint64(len(m)) || uint64(len(p)) > uint64(len(m))-addr {
		return 0, fmt.Errorf("0x%x is outside", addr)
	}
	return copy(p, m[addr:]), nil
}

func all(b []byte, c byte) bool {
	for _, x := range b {
		if x != c {
			return false
		}
	}
	return true
}
