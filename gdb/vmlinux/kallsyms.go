package vmlinux

import (
	"debug/elf"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"kcatch/gdb/kallsyms"
)

// SymbolSource is where a file's symbols come from.
type SymbolSource uint8

const (
	// NoSymbols: the file is stripped, and the kernel has no table of its own.
	NoSymbols SymbolSource = iota
	// SymbolTable is the ELF file's .symtab.
	SymbolTable
	// OwnTable is the kernel's own table, kallsyms in .rodata: of a stripped file, or of the payload of a bzImage. It has
	// the names and addresses of .symtab. Sizes are by the next symbol, so padding counts as a part of the function before it.
	OwnTable
)

// SymbolSource says where the symbols come from.
func (f *File) SymbolSource() SymbolSource {
	switch {
	case f.elfSymtab().len() > 1:
		return SymbolTable
	case f.ownSymtab().len() > 0:
		return OwnTable
	}
	return NoSymbols
}

// ownSymtab is the kernel's own table in the form of .symtab, made once; empty when there is none.
func (f *File) ownSymtab() symtab {
	f.own.once.Do(func() {
		s := f.sections[".rodata"]
		if s == nil || s.elf.Flags&elf.SHF_COMPRESSED != 0 {
			return
		}
		table, err := kallsyms.Find(s.raw(), s.elf.Addr)
		if err != nil {
			return
		}
		f.own.table = f.translate(table.All(), table.Count)
	})
	return f.own.table
}

// translate writes a table of about count symbols as entries of .symtab. What .symtab has and kallsyms has not: code symbols become functions,
// marks of the linker script stay without type and size, a size reaches to the next address that has a symbol, and no
// further than the section. Variables that a table of functions only (CONFIG_KALLSYMS_ALL=n) lacks are added where
// they can be found.
func (f *File) translate(symbols iter.Seq[kallsyms.Symbol], count int) symtab {
	t := symtab{entries: make([]byte, 0, (count+8)*symSize), names: make([]byte, 1, count*24+1)}
	places := f.places()
	known := make(map[string]bool) // the landmarks
	marks := f.landmarks()
	for _, m := range marks {
		known[m.name] = false
	}
	add := func(s kallsyms.Symbol) {
		bind, kind, shndx := elf.STB_LOCAL, elf.STT_OBJECT, elf.SHN_ABS
		if s.Type < 'a' {
			bind = elf.STB_GLOBAL
		}
		if s.Type|0x20 != 'a' {
			shndx = places.of(s.Addr)
		}
		switch s.Type | 0x20 {
		case 't', 'w', 'i', 'v':
			kind = elf.STT_FUNC
			if isMark(string(s.Name)) || s.Name[0] == '.' {
				kind = elf.STT_NOTYPE
			}
		case 'a':
			kind = elf.STT_NOTYPE
		}
		e := binary.LittleEndian.AppendUint32(t.entries, uint32(len(t.names)))
		e = append(e, elf.ST_INFO(bind, kind), 0)
		e = binary.LittleEndian.AppendUint16(e, uint16(shndx))
		e = binary.LittleEndian.AppendUint64(e, s.Addr)
		t.entries = binary.LittleEndian.AppendUint64(e, 0)
		t.names = append(append(t.names, s.Name...), 0)
	}
	for s := range symbols {
		if len(s.Name) == 0 {
			continue
		}
		add(s)
		if _, mark := known[string(s.Name)]; mark {
			known[string(s.Name)] = true
		}
	}
	t.measure(places)
	for _, m := range marks {
		if !known[m.name] {
			add(kallsyms.Symbol{Addr: m.addr, Type: 'D', Name: []byte(m.name)})
		}
	}
	return t
}

// isMark reports whether a name is a boundary of the linker script. kallsyms does not say so, and functions may be
// called kprobe_busy_begin or rcu_sysrq_end, so it is stricter than [linkerMark], which knows the symbol's size.
func isMark(name string) bool {
	switch name {
	case "_text", "_stext", "_etext", "_sinittext", "_einittext", "__indirect_thunk_start", "__indirect_thunk_end":
		return true
	}
	return strings.HasPrefix(name, "__") && (strings.HasSuffix(name, "_text_start") || strings.HasSuffix(name, "_text_end"))
}

// measure fills in the sizes of functions and objects: entries are in ascending order.
func (t symtab) measure(places sectionPlaces) {
	next := uint64(0)
	for i := t.len() - 1; i >= 0; i-- {
		at := t.value(i)
		if i+1 < t.len() && t.value(i+1) != at && t.names[t.nameOff(i+1)] != '.' { // .E_copy is a label inside a function
			next = t.value(i + 1)
		}
		n := int(t.section(i))
		if elf.ST_TYPE(t.info(i)) == elf.STT_NOTYPE || n >= len(places.end) {
			continue
		}
		end := places.end[n]
		if next > at && next < end {
			end = next
		}
		if end > at {
			binary.LittleEndian.PutUint64(t.entries[i*symSize+16:], end-at)
		}
	}
}

// sectionPlaces finds the section of an address among those that are loaded.
type sectionPlaces struct {
	order []int // section numbers by address
	start []uint64
	end   []uint64 // both by section number
}

func (f *File) places() sectionPlaces {
	p := sectionPlaces{start: make([]uint64, len(f.elf.Sections)), end: make([]uint64, len(f.elf.Sections))}
	for i, s := range f.elf.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Size > 0 && i < int(elf.SHN_LORESERVE) && s.Addr+s.Size > s.Addr {
			p.start[i], p.end[i] = s.Addr, s.Addr+s.Size
			p.order = append(p.order, i)
		}
	}
	slices.SortStableFunc(p.order, func(a, b int) int {
		switch {
		case p.start[a] < p.start[b]:
			return -1
		case p.start[a] > p.start[b]:
			return 1
		}
		return 0
	})
	return p
}

// of is the section that contains addr; SHN_ABS when none does.
func (p sectionPlaces) of(addr uint64) elf.SectionIndex {
	i, found := slices.BinarySearchFunc(p.order, addr, func(n int, a uint64) int {
		switch {
		case p.end[n] <= a:
			return -1
		case p.start[n] > a:
			return 1
		}
		return 0
	})
	if !found {
		return elf.SHN_ABS
	}
	return elf.SectionIndex(p.order[i])
}
