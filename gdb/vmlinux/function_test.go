package vmlinux

import (
	"bytes"
	"slices"
	"testing"

	"kcatch/internal/fixtures"
)

// TestFunctionsSpan: the sizes are those that the kernel itself counts, by the table that it carries.
func TestFunctionsSpan(t *testing.T) {
	f := openFixture(t, fixtures.Good61)
	own := f.ownSymtab()
	counted, different := 0, 0
	for i := range own.len() - 1 {
		at := own.value(i)
		next := i + 1
		for next < own.len()-1 && own.value(next) == at {
			next++
		}
		if own.value(next) <= at || !f.IsText(Addr(at)) {
			continue
		}
		name := string(own.name(i))
		found := f.Functions(name)
		n := slices.IndexFunc(found, func(g Function) bool { return uint64(g.Addr) == at })
		if n < 0 && linkerMark(name) {
			continue // of the section before
		}
		if n < 0 {
			t.Errorf("Functions(%q) has none at 0x%x: %v", name, at, found)
			continue
		}
		counted++
		if found[n].Span != own.value(next)-at {
			different++
			t.Logf("%s at 0x%x: span 0x%x, the kernel counts 0x%x", name, at, found[n].Span, own.value(next)-at)
		}
	}
	t.Logf("%d of %d differ", different, counted)
	if counted < 10000 || different > 0 {
		t.Errorf("%d of %d differ", different, counted)
	}
	if got := f.Functions("no_such_function"); got != nil {
		t.Errorf("no_such_function: %v", got)
	}
}

// TestOpenUnloadedModule: each function lies in code, after the one before it, and has the lines that it has where it is loaded.
func TestOpenUnloadedModule(t *testing.T) {
	data := faultyModule(t, fixtures.Cloud61)
	functions, _ := loadedAt(t, data, "")
	loaded, err := OpenModule("x.ko", bytes.Clone(data), func(name string) []uint64 { return functions[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenUnloadedModule("x.ko", bytes.Clone(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for name, at := range functions {
		found := f.Functions(name)
		if len(at) != 1 || len(found) != 1 {
			t.Errorf("%s: %d where it is loaded, %v", name, len(at), found)
			continue
		}
		for off := range Addr(found[0].Size) {
			want, werr := loaded.Locate(Addr(at[0]) + off)
			got, gerr := f.Locate(found[0].Addr + off)
			if (werr == nil) != (gerr == nil) || !slices.Equal(got, want) {
				t.Fatalf("%s+0x%x: %v %v, loaded %v %v", name, off, got, gerr, want, werr)
			}
			compared++
		}
	}
	if compared < 100 {
		t.Errorf("only %d addresses compared", compared)
	}
	// What the kernel says of the last function in a page: insmod's traces have "kcatch_mod_init+0x23/0xff0".
	if init := f.Functions("kcatch_mod_init"); len(init) != 1 || (uint64(init[0].Addr)+init[0].Span)%4096 != 0 {
		t.Errorf("kcatch_mod_init does not reach to the end of its page: %+v", init)
	}
	if _, err := OpenUnloadedModule("x.ko", []byte("no ELF"), nil); err == nil {
		t.Error("no error for what is no ELF file")
	}
}

func TestOfSize(t *testing.T) {
	at := func(addr, size, span uint64) Function {
		return Function{Symbol: Symbol{Addr: Addr(addr), Size: size}, Span: span}
	}
	a, b, alias := at(0x1000, 0x18, 0x20), at(0x2000, 0x28, 0x30), at(0x1000, 0x18, 0x20)
	for _, tt := range []struct {
		name string
		of   []Function
		size uint64
		want []Function
	}{
		{"by the distance to the next symbol", []Function{a, b}, 0x30, []Function{b}},
		{"a name with two ends", []Function{a, alias}, 0x20, []Function{a}},
		{"a symbol that kallsyms has not", []Function{a}, 0x40, []Function{a}},
		{"the symbol's own size", []Function{a}, 0x18, []Function{a}},
		{"the exact one wins", []Function{a, b}, 0x20, []Function{a}},
		{"of another build", []Function{a}, 0x10, nil},
		{"of another build, larger", []Function{a}, 0x18 + maxPadding, nil},
		{"a label without a size", []Function{at(0x1000, 0, 0x20)}, 0x21, nil},
		{"none", nil, 0x20, nil},
		{"not told apart", []Function{a, at(0x3000, 0x20, 0x20)}, 0x20, []Function{a, at(0x3000, 0x20, 0x20)}},
	} {
		if got := OfSize(tt.of, tt.size); !slices.Equal(got, tt.want) {
			t.Errorf("%s: 0x%x of %v: %v, want %v", tt.name, tt.size, tt.of, got, tt.want)
		}
	}
}
