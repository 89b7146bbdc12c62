package linux

import (
	"encoding/binary"
	"slices"
	"sort"
	"strings"
)

// ModuleSymbol is a function of a module.
type ModuleSymbol struct {
	Name string
	Addr uint64 // run-time
	Size uint64 // bytes, of the symbol; Span where it has none
	// Span is the number of bytes to the next symbol or to the end of the code: the size that the kernel's own traces
	// give (find_kallsyms_symbol(), kernel/module/kallsyms.c).
	Span uint64
}

// ModuleSymbols are the symbols of a module's code, by address. While its init function runs they are all that the .ko
// has, later those that the kernel kept: all of them with CONFIG_KALLSYMS_ALL, else those of code.
type ModuleSymbols struct {
	mem   Memory
	strs  uint64
	texts []Text
	syms  []moduleSymbol
}

type moduleSymbol struct {
	addr, size uint64
	name       uint32
	info       byte
}

// Elf64_Sym: name u32, info u8, other u8, shndx u16, value u64, size u64.
const symSize = 24

// maxSymbols bounds a module's symbols; i915 has about 20,000.
const maxSymbols = 1 << 19

// maxSymbolName is KSYM_NAME_LEN.
const maxSymbolName = 512

// Symbols reads the module's symbol table; it is empty without CONFIG_KALLSYMS, or where it cannot be read.
func (m *Module) Symbols(mem Memory) ModuleSymbols {
	l := m.layout
	s := ModuleSymbols{mem: mem, texts: m.Texts}
	if m.kallsyms == 0 || l.Symtab < 0 || l.NumSymtab < 0 || l.Strtab < 0 {
		return s
	}
	c := cursor{mem: mem}
	table, n := c.u64(m.kallsyms+uint64(l.Symtab)), c.u32(m.kallsyms+uint64(l.NumSymtab))
	s.strs = c.u64(m.kallsyms + uint64(l.Strtab))
	if c.err != nil || n > maxSymbols {
		return s
	}
	b := c.table(table, symSize*int(n))
	if c.err != nil {
		return s
	}
	for ; len(b) >= symSize; b = b[symSize:] {
		e := moduleSymbol{
			addr: binary.LittleEndian.Uint64(b[8:]), size: binary.LittleEndian.Uint64(b[16:]),
			name: binary.LittleEndian.Uint32(b), info: b[4],
		}
		if binary.LittleEndian.Uint16(b[6:]) != 0 && e.name != 0 && m.IsText(e.addr) { // SHN_UNDEF
			s.syms = append(s.syms, e)
		}
	}
	// Of several at one address the sized ones come first, then functions, then the order of the table.
	slices.SortStableFunc(s.syms, func(a, b moduleSymbol) int {
		switch {
		case a.addr != b.addr && a.addr < b.addr:
			return -1
		case a.addr != b.addr:
			return 1
		}
		return b.rank() - a.rank()
	})
	return s
}

func (e moduleSymbol) rank() int {
	r := 0
	if e.size != 0 {
		r += 2
	}
	if e.info&15 == 2 { // STT_FUNC
		r++
	}
	return r
}

// At returns the function around an address: the nearest symbol at or below it that has a name which means something.
func (s ModuleSymbols) At(addr uint64) (ModuleSymbol, bool) {
	const most = 16 // marks and labels that may stand between
	for i := s.after(addr) - 1; i >= 0 && i >= s.after(addr)-most; {
		first := i
		for first > 0 && s.syms[first-1].addr == s.syms[i].addr {
			first--
		}
		for j := first; j <= i; j++ {
			e := s.syms[j]
			if e.size != 0 && addr-e.addr >= e.size {
				continue
			}
			if found, ok := s.symbol(e); ok && addr-found.Addr < found.Span {
				return found, true
			}
		}
		i = first - 1
	}
	return ModuleSymbol{}, false
}

// after is the index of the first symbol above addr.
func (s ModuleSymbols) after(addr uint64) int {
	return sort.Search(len(s.syms), func(i int) bool { return s.syms[i].addr > addr })
}

// symbol completes an entry with its name; ok is false for marks of the tools.
func (s ModuleSymbols) symbol(e moduleSymbol) (ModuleSymbol, bool) {
	name, err := readString(s.mem, s.strs+uint64(e.name), maxSymbolName)
	if err != nil || name == "" || strings.HasPrefix(name, ".L") || strings.HasPrefix(name, "$") || strings.HasPrefix(name, "__UNIQUE_ID") {
		return ModuleSymbol{}, false
	}
	found := ModuleSymbol{Name: name, Addr: e.addr, Size: e.size}
	if i := s.after(e.addr); i < len(s.syms) {
		found.Span = s.syms[i].addr - e.addr
	}
	for _, t := range s.texts {
		if off := e.addr - t.Base; off < t.Size && (found.Span == 0 || found.Span > t.Size-off) {
			found.Span = t.Size - off
		}
	}
	if found.Size == 0 {
		found.Size = found.Span
	}
	return found, true
}

// ByName is all functions by their names; of a name there may be several static ones. It reads every name: ask once.
func (s ModuleSymbols) ByName() map[string][]ModuleSymbol {
	all := map[string][]ModuleSymbol{}
	for _, e := range s.syms {
		if sym, ok := s.symbol(e); ok {
			all[sym.Name] = append(all[sym.Name], sym)
		}
	}
	return all
}

// All returns every function, by address.
func (s ModuleSymbols) All() []ModuleSymbol {
	var all []ModuleSymbol
	for _, e := range s.syms {
		if sym, ok := s.symbol(e); ok {
			all = append(all, sym)
		}
	}
	return all
}
