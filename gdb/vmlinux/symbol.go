package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"sync"
)

// Symbol is one entry of .symtab, or of the kernel's own table: see [File.SymbolSource].
type Symbol struct {
	Name   string
	Addr   Addr
	Size   uint64 // bytes; 0 for many assembly labels
	Func   bool   // STT_FUNC
	Global bool   // STB_GLOBAL or STB_WEAK
}

// Layout of Elf64_Sym: name u32, info u8, other u8, section u16, value u64, size u64.
const symSize = 24

// symtab is the mapped symbol table; nothing in it is copied before a symbol is returned.
type symtab struct {
	entries []byte
	names   []byte
}

// symtab is the file's own symbol table, or in its stead the kernel's.
func (f *File) symtab() symtab {
	if t := f.elfSymtab(); t.len() > 1 { // the first entry is always empty
		return t
	}
	return f.ownSymtab()
}

func (f *File) elfSymtab() symtab {
	s := f.sections[".symtab"]
	if s == nil || s.elf.Type != elf.SHT_SYMTAB || int(s.elf.Link) >= len(f.elf.Sections) {
		return symtab{}
	}
	entries, err := s.contents()
	if err != nil {
		return symtab{}
	}
	return symtab{entries: entries[:len(entries)/symSize*symSize], names: f.sectionBytes(f.elf.Sections[s.elf.Link])}
}

func (t symtab) len() int             { return len(t.entries) / symSize }
func (t symtab) value(i int) uint64   { return binary.LittleEndian.Uint64(t.entries[i*symSize+8:]) }
func (t symtab) size(i int) uint64    { return binary.LittleEndian.Uint64(t.entries[i*symSize+16:]) }
func (t symtab) info(i int) byte      { return t.entries[i*symSize+4] }
func (t symtab) nameOff(i int) uint32 { return binary.LittleEndian.Uint32(t.entries[i*symSize:]) }
func (t symtab) section(i int) uint16 { return binary.LittleEndian.Uint16(t.entries[i*symSize+6:]) }

// name returns the symbol's name, not copied; nil when the entry points outside the string table.
func (t symtab) name(i int) []byte {
	off := binary.LittleEndian.Uint32(t.entries[i*symSize:])
	if uint64(off) >= uint64(len(t.names)) {
		return nil
	}
	s := t.names[off:]
	if n := bytes.IndexByte(s, 0); n >= 0 {
		return s[:n]
	}
	return nil
}

func (t symtab) symbol(i int) Symbol {
	info := t.info(i)
	bind := elf.ST_BIND(info)
	return Symbol{
		Name: string(t.name(i)), Addr: Addr(t.value(i)), Size: t.size(i),
		Func:   elf.ST_TYPE(info) == elf.STT_FUNC,
		Global: bind == elf.STB_GLOBAL || bind == elf.STB_WEAK,
	}
}

// Symbol returns the symbol called name: see [File.Lookup].
func (f *File) Symbol(name string) (Symbol, bool) {
	s, ok := f.Lookup(name)[name]
	return s, ok
}

// Lookup returns the symbols of these names; names that are not there are not in the map. Of several symbols of one
// name a global one wins, then a function, then the first in the table.
// One pass over the table serves all names that were not asked for before, so ask for what will be needed at once.
func (f *File) Lookup(names ...string) map[string]Symbol {
	f.names.mu.Lock()
	defer f.names.mu.Unlock()
	found := make(map[string]Symbol, len(names))
	var ask []string
	for _, n := range names {
		if s, known := f.names.known[n]; !known {
			ask = append(ask, n)
		} else if s != nil {
			found[n] = *s
		}
	}
	if len(ask) == 0 {
		return found
	}
	if f.names.known == nil || len(f.names.known)+len(ask) > maxKnown {
		f.names.known = make(map[string]*Symbol, len(ask))
	}
	fresh := f.scanNames(ask)
	for _, n := range ask {
		if s, ok := fresh[n]; ok {
			found[n] = s
			f.names.known[n] = &s
		} else {
			f.names.known[n] = nil
		}
	}
	return found
}

// nameCache keeps what Lookup found. The table is not sorted by name, and a pass over it takes 0.3 ms (tiny kernel) to
// 1 ms (Debian's), which adds up: a boot asks some 40 names in a dozen places.
type nameCache struct {
	mu    sync.Mutex
	known map[string]*Symbol // nil: there is no such symbol
}

// maxKnown bounds the cache: names come from a hostile guest's log, too.
const maxKnown = 4096

// scanNames finds names in one pass over the symbol table.
func (f *File) scanNames(names []string) map[string]Symbol {
	found := make(map[string]Symbol, len(names))
	// Most of the names in the table are told apart from the wanted ones by their first two bytes.
	var first [1 << 16]bool
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		if len(n) > 0 {
			wanted[n] = true
			first[prefix(n)] = true
		}
	}
	t := f.symtab()
	for i := range t.len() {
		off := uint64(binary.LittleEndian.Uint32(t.entries[i*symSize:]))
		if off+1 >= uint64(len(t.names)) || !first[uint16(t.names[off])|uint16(t.names[off+1])<<8] {
			continue
		}
		if t.section(i) == uint16(elf.SHN_UNDEF) {
			continue
		}
		kind := elf.ST_TYPE(t.info(i))
		if kind == elf.STT_SECTION || kind == elf.STT_FILE {
			continue
		}
		name := t.name(i)
		if !wanted[string(name)] {
			continue
		}
		s := t.symbol(i)
		if old, ok := found[s.Name]; !ok || s.Global && !old.Global || s.Global == old.Global && s.Func && !old.Func {
			found[s.Name] = s
		}
	}
	return found
}

// prefix is the first two bytes of a name with its NUL.
func prefix(name string) uint16 {
	if len(name) == 1 {
		return uint16(name[0])
	}
	return uint16(name[0]) | uint16(name[1])<<8
}
