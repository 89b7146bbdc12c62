package linux

import (
	"errors"
	"fmt"
	"math/bits"

	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
)

// PageLayout is where the parts of a struct page are, and what the bits of its flags mean in one kernel.
type PageLayout struct {
	// Size is sizeof(struct page): 56 bytes in a small configuration, 64 in most.
	Size int
	// Offsets in bytes of members. Order is from the head page's start, in the page behind it.
	Flags, CompoundHead, Mapping, Index, Private, MapCount, RefCount, Order int

	Names  []value.Flag // of the flags' low bits, pageflag_names
	NFlags int          // NR_PAGEFLAGS

	// Zones are the zones' names by number; their field in flags has ZoneBits. NodeBits and SectionBits are those of the fields above
	// it: section | node | zone | ... | flags, include/linux/page-flags-layout.h. -1: not known.
	Zones                           []string
	ZoneBits, NodeBits, SectionBits int

	// TypeByte says how page_type is read: as a number in its top byte, 0xf0 and up, since 6.12 (Linux "mm: support only one page_type per
	// page"); before, as bits that are cleared. A type's Mask is its number less 0xf0, or its bit.
	TypeByte  bool
	TypeNames []value.Flag
}

// pageTypeBits are PG_buddy and so on of 5.18 to 6.10, include/linux/page-flags.h, where the kernel has no table of them.
var pageTypeBits = []value.Flag{{Name: "buddy", Mask: 0x80}, {Name: "offline", Mask: 0x100}, {Name: "table", Mask: 0x200},
	{Name: "guard", Mask: 0x400}}

// pageTypeBytes are enum pagetype of 6.12 less 0xf0.
var pageTypeBytes = []string{"buddy", "offline", "table", "guard", "hugetlb", "slab", "zsmalloc", "unaccepted"}

// PageLayoutOf takes the layout from a vmlinux: members from DWARF, names and widths of fields from the kernel's own tables.
func PageLayoutOf(f *vmlinux.File) (PageLayout, error) {
	at := f.Lookup("dump_page", "node_data", "contig_page_data", "vmemmap_populate")
	anchor, ok := at["dump_page"]
	if !ok {
		return PageLayout{}, errors.New("page layout: no function dump_page")
	}
	page, err := f.Struct(anchor.Addr, "page")
	if err != nil {
		return PageLayout{}, fmt.Errorf("page layout: %w", err)
	}
	l := PageLayout{Size: int(page.Size), Names: FlagNamesOf(f, "pageflag_names")}
	if err := l.members(page); err != nil {
		return PageLayout{}, err
	}
	folio, err := f.Struct(anchor.Addr, "folio")
	if err != nil {
		folio = vmlinux.Struct{} // older than 5.16
	}
	l.Order = l.orderAt(page, folio)
	for _, n := range l.Names {
		l.NFlags = max(l.NFlags, bits.Len64(n.Mask))
	}

	l.ZoneBits, l.NodeBits, l.SectionBits = -1, -1, -1
	if l.Zones = namesOf(f, "zone_names"); len(l.Zones) > 0 && len(l.Zones) <= 8 {
		l.ZoneBits = bits.Len(uint(len(l.Zones) - 1)) // ZONES_SHIFT
	}
	if data, ok := at["node_data"]; ok && data.Size >= 8 {
		l.NodeBits = bits.Len64(data.Size/8 - 1) // struct pglist_data *node_data[MAX_NUMNODES]
	} else if _, ok := at["contig_page_data"]; ok {
		l.NodeBits = 0
	}
	if _, ok := at["vmemmap_populate"]; ok { // SPARSEMEM_VMEMMAP: the section follows from the address
		l.SectionBits = 0
	}

	l.types(f)
	return l, nil
}

// types takes the form of page_type from the tables that the kernel has for its own dump_page.
func (l *PageLayout) types(f *vmlinux.File) {
	at := f.Lookup("page_type_names", "pagetype_names")
	if _, ok := at["page_type_names"]; ok { // by number, some without a name
		l.TypeByte = true
		names := namesOf(f, "page_type_names")
		for i, name := range pageTypeBytes {
			if i < len(names) && names[i] != "" {
				name = names[i]
			}
			l.TypeNames = append(l.TypeNames, value.Flag{Name: name, Mask: uint64(i)})
		}
		return
	}
	if l.TypeNames = FlagNamesOf(f, "pagetype_names"); len(l.TypeNames) == 0 && hasFlag(l.Names, "slab") {
		l.TypeNames = pageTypeBits // before 6.4 there is no table, and slab is a flag until 6.11
	}
}

func hasFlag(flags []value.Flag, name string) bool {
	for _, f := range flags {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (l *PageLayout) members(page vmlinux.Struct) error {
	if page.Size < 32 || page.Size > 256 {
		return fmt.Errorf("page layout: struct page has %d bytes", page.Size)
	}
	for _, m := range []struct {
		to    *int
		names []string
		size  int
	}{
		{&l.Flags, []string{"flags"}, 8}, {&l.CompoundHead, []string{"compound_head"}, 8}, {&l.Mapping, []string{"mapping"}, 8},
		// 6.16 renamed index: it is the folio's.
		{&l.Index, []string{"index", "__folio_index"}, 8}, {&l.Private, []string{"private"}, 8},
		{&l.MapCount, []string{"_mapcount"}, 4}, {&l.RefCount, []string{"_refcount"}, 4},
	} {
		found := false
		for _, name := range m.names {
			if f, ok := page.Field(name); ok && f.Offset+uint64(m.size) <= page.Size && !found {
				*m.to, found = int(f.Offset), true
			}
		}
		if !found {
			return fmt.Errorf("page layout: struct page has no %s", m.names[0])
		}
	}
	return nil
}

// orderAt is where the order of a compound page is, from its head on: in the low byte. -1: not known.
func (l *PageLayout) orderAt(page, folio vmlinux.Struct) int {
	limit := uint64(2*l.Size) - 1
	if f, ok := folio.Field("_folio_order"); ok && f.Offset <= limit {
		return int(f.Offset)
	}
	if f, ok := folio.Field("_flags_1"); ok && f.Offset <= limit {
		return int(f.Offset)
	}
	if f, ok := page.Field("compound_order"); ok && f.Offset < page.Size {
		return l.Size + int(f.Offset)
	}
	return -1
}
