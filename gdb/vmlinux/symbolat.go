package vmlinux

import (
	"debug/elf"
	"slices"
	"sort"
	"strings"
)

// symbolIndex is the symbols in code, ordered by address.
type symbolIndex struct {
	built bool
	asked int // addresses, before it was built
	table symtab
	base  uint64   // address of the lowest code section
	keys  []uint64 // (address - base) << 32 | index in the table: numbers sort twice as fast as records

	byName []uint64 // hash of the name << 32 | index in keys: see Functions
}

// maxNesting bounds how far SymbolAt looks back for the function around a label.
const maxNesting = 64

func (f *File) buildSymbolIndex() *symbolIndex {
	x := &f.symbols
	if x.built {
		return x
	}
	asked := x.asked
	*x = f.indexSymbols(0, ^Addr(0))
	x.built, x.asked = true, asked
	return x
}

// indexSymbols is an index of the symbols in code at [from, to].
func (f *File) indexSymbols(from, to Addr) symbolIndex {
	x := symbolIndex{table: f.symtab(), base: ^uint64(0)}
	code := make([]bool, len(f.elf.Sections))
	for i, s := range f.elf.Sections {
		if executable(s) {
			code[i] = true
			x.base = min(x.base, s.Addr)
		}
	}
	for i := range x.table.len() {
		v := x.table.value(i)
		if v < uint64(from) || v > uint64(to) {
			continue
		}
		n := int(x.table.section(i))
		if n >= len(code) || !code[n] {
			continue
		}
		if kind := elf.ST_TYPE(x.table.info(i)); kind != elf.STT_FUNC && kind != elf.STT_NOTYPE {
			continue
		}
		if v >= x.base && v-x.base < 1<<32 { // x86-64 kernels are linked into the top 2 GiB
			x.keys = append(x.keys, (v-x.base)<<32|uint64(uint32(i)))
		}
	}
	slices.Sort(x.keys)
	return x
}

// The index of a distribution's 118,000 symbols takes 8 ms to build, and a look at them all 0.5 ms. So the first few addresses get
// an index of their neighbourhood, which answers unless nothing in it covers them.
const (
	fewSymbols    = 3
	neighbourhood = 64 << 10 // bytes below an address
)

// SymbolAt returns the function or assembly label that covers a, as the kernel's own traces name it: the nearest one
// at or below a. Symbols of data, and so the per-CPU ones linked at 0, are never returned.
//
//   - Of several at one address a sized one wins, then a function, then a global one, then the first in the table.
//   - A sized symbol ends at its size. A label without one (SYM_INNER_LABEL: secondary_startup_64_no_verify) reaches to
//     the next symbol, but a local one inside a function (int3_selftest_ip, .E_copy) gives way to the function.
//   - Marks of the linker script (_stext, __sched_text_start) name nothing.
func (f *File) SymbolAt(a Addr) (Symbol, bool) {
	if !f.IsText(a) {
		return Symbol{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.symbolAt(a)
}

// symbolAt is SymbolAt for a caller that has the lock and an address in code.
func (f *File) symbolAt(a Addr) (Symbol, bool) {
	if x := &f.symbols; !x.built && x.asked < fewSymbols {
		x.asked++
		near := f.indexSymbols(a-min(a, neighbourhood), a)
		if s, ok := near.at(a, false); ok {
			return s, true
		}
	}
	return f.buildSymbolIndex().at(a, true)
}

// at is the symbol that covers a. Where all is not set, the index has the nearest symbols only, and what they leave open is not
// answered.
func (x *symbolIndex) at(a Addr, all bool) (Symbol, bool) {
	if uint64(a) < x.base || uint64(a)-x.base >= 1<<32 {
		return Symbol{}, false
	}
	end := sort.Search(len(x.keys), func(i int) bool { return x.keys[i]>>32 > uint64(a)-x.base })
	var label *Symbol // the nearest local label without a size: only for want of a function around it
	nearest := true   // no symbol between a and the ones looked at: labels without a size end at the next symbol
	for tries := 0; end > 0 && tries < maxNesting; tries++ {
		start := end - 1
		for start > 0 && x.keys[start-1]>>32 == x.keys[end-1]>>32 {
			start--
		}
		s, found, marksOnly := x.best(start, end, a, nearest)
		switch {
		case !found:
		case s.Size == 0 && !s.Global:
			label = &s
		case label != nil && !s.Func:
			return *label, true // a local label inside assembly: common_startup_64
		default:
			return s, true
		}
		nearest = nearest && marksOnly
		end = start
	}
	if label != nil && all {
		return *label, true
	}
	return Symbol{}, false
}

// best picks among the symbols keys[start:end], which share an address, the one that covers a. Those without a size are
// considered only if unsized is set. marksOnly says that there are only marks of the linker script here.
func (x *symbolIndex) best(start, end int, a Addr, unsized bool) (best Symbol, found, marksOnly bool) {
	marksOnly = true
	for _, k := range x.keys[start:end] {
		i := int(uint32(k))
		size := x.table.size(i)
		s := Symbol{}
		if size == 0 {
			if s = x.table.symbol(i); s.Name == "" || linkerMark(s.Name) {
				continue
			}
		}
		marksOnly = false
		if size == 0 && !unsized || size != 0 && uint64(a)-x.table.value(i) >= size {
			continue
		}
		if s = x.table.symbol(i); s.Name != "" && (!found || rank(s) > rank(best)) {
			best, found = s, true
		}
	}
	return best, found, marksOnly
}

func rank(s Symbol) int {
	r := 0
	if s.Size != 0 {
		r += 4
	}
	if s.Func {
		r += 2
	}
	if s.Global {
		r++
	}
	return r
}

// linkerMark reports whether an unsized symbol is a boundary that vmlinux.lds.h sets, not code.
func linkerMark(name string) bool {
	switch name {
	case "_text", "_stext", "_etext", "_sinittext", "_einittext":
		return true
	}
	return strings.HasPrefix(name, "__") &&
		(strings.HasSuffix(name, "text_start") || strings.HasSuffix(name, "text_end") ||
			strings.HasSuffix(name, "_begin") || strings.HasSuffix(name, "_end"))
}

// Objects are the names of the variables in the symbol table, in its order; one may come twice.
func (f *File) Objects() []string {
	var all []string
	t := f.symtab()
	for i := range t.len() {
		if elf.ST_TYPE(t.info(i)) == elf.STT_OBJECT {
			all = append(all, t.symbol(i).Name)
		}
	}
	return all
}

// ObjectAt returns the variable that covers a, the first in the table; where several nest, the smallest. It reads the whole
// symbol table, 0.1 ms for a small kernel and 1 ms for a distribution's.
func (f *File) ObjectAt(a Addr) (Symbol, bool) {
	t := f.symtab()
	best := -1
	for i := range t.len() {
		if v := t.value(i); uint64(a) < v || uint64(a)-v >= t.size(i) || elf.ST_TYPE(t.info(i)) != elf.STT_OBJECT {
			continue
		}
		if best < 0 || t.size(i) < t.size(best) {
			best = i
		}
	}
	if best < 0 {
		return Symbol{}, false
	}
	return t.symbol(best), true
}
