package vmlinux

import (
	"slices"
	"sort"
)

// Function is a symbol in code, with the size that the kernel gives for it.
type Function struct {
	Symbol
	// Span is the distance to the next symbol, in bytes: what kallsyms, which knows no sizes, and so "%pS" and every trace of the
	// kernel call the size (get_symbol_pos(), kernel/kallsyms.c). It has the padding behind the function. Behind the last
	// function of its section's last page nothing is; there it ends with that page.
	Span uint64
}

// maxSame bounds what Functions returns. The most frequent name of Debian's kernel, cleanup_module's kin apart, comes some 200 times.
const maxSame = 1024

// Functions returns the symbols in code called name, sorted by address: several where static functions of several files share a
// name. Marks of the linker script count. None is no error. The first call sorts the names, which takes 20 ms for Debian's.
func (f *File) Functions(name string) []Function {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.buildSymbolIndex()
	if x.byName == nil {
		x.byName = make([]uint64, 0, len(x.keys))
		for i, k := range x.keys {
			x.byName = append(x.byName, uint64(hashName(x.table.name(int(uint32(k)))))<<32|uint64(uint32(i)))
		}
		slices.Sort(x.byName)
	}
	h := uint64(hashName([]byte(name)))
	var found []Function
	first := sort.Search(len(x.byName), func(i int) bool { return x.byName[i]>>32 >= h })
	for i := first; i < len(x.byName) && x.byName[i]>>32 == h && len(found) < maxSame; i++ {
		n := int(uint32(x.byName[i]))
		at := int(uint32(x.keys[n]))
		if string(x.table.name(at)) != name {
			continue // another name of the same hash
		}
		found = append(found, Function{Symbol: x.table.symbol(at), Span: f.span(n)})
	}
	return found
}

// maxPadding is above the bytes between two functions: functions are aligned to 64 bytes at most (CONFIG_FUNCTION_ALIGNMENT), but 67
// bytes follow do_one_initcall in Debian's 6.12. Symbols that kallsyms knows and the file does not, or the other way
// round, are why a size may be between the symbol's own and the distance to the next.
const maxPadding = 128

// OfSize tells functions of one name apart by the size that a trace gives, as scripts/faddr2line does: it is the distance to the next
// symbol. Where that fits none, it may be what is a little more than the function's own size. Functions at one address are one.
// functions are sorted by address, and so is what is left of them.
func OfSize(functions []Function, size uint64) []Function {
	exact := func(f Function) bool { return f.Span == size }
	near := func(f Function) bool { return f.Size != 0 && size >= f.Size && size-f.Size < maxPadding }
	for _, fits := range [...]func(Function) bool{exact, near} {
		var found []Function
		for _, f := range functions {
			if fits(f) && (len(found) == 0 || found[len(found)-1].Addr != f.Addr) {
				found = append(found, f)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// span is the distance from a symbol of the index to the next one that is elsewhere.
func (f *File) span(n int) uint64 {
	x := &f.symbols
	at := x.keys[n] >> 32
	end := uint64(0)
	for _, s := range f.elf.Sections {
		if executable(s) && covers(s, Addr(x.base+at)) {
			end = (s.Addr + s.Size + 4095) &^ 4095
		}
	}
	for _, k := range x.keys[n+1:] {
		if k>>32 == at {
			continue
		}
		if next := x.base + k>>32; end == 0 || next < end {
			end = next
		}
		break
	}
	if end <= x.base+at {
		return 0
	}
	return end - x.base - at
}

// hashName is FNV-1a.
func hashName(name []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range name {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
