package vmlinux

import (
	"testing"

	"kcatch/gdb/kallsyms"
	"kcatch/internal/fixtures"
)

// TestLandmarks: what is found by its contents is where .symtab has it (read by another path: the whole file's symbols).
func TestLandmarks(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t, name)
			got := make(map[string]bool)
			for _, m := range f.landmarks() {
				got[m.name] = true
				want, _ := f.Symbol(m.name)
				if m.name == "_end" && m.addr-uint64(want.Addr) < 8<<20 {
					continue // the segment is longer, up to a multiple of 2 MiB
				}
				if uint64(want.Addr) != m.addr {
					t.Errorf("%s: found at 0x%x, is at 0x%x", m.name, m.addr, uint64(want.Addr))
				}
			}
			for _, n := range []string{"_text", "_end", "__start___bug_table", "__stop___bug_table", "level2_kernel_pgt", "printk_rb_static", "prb", "page_offset_base"} {
				if !got[n] {
					t.Errorf("%s was not found", n)
				}
			}
		})
	}
}

// TestFunctionsOnly: a table as CONFIG_KALLSYMS alone makes it, code without data, still tells where the variables are.
func TestFunctionsOnly(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		f, whole := stripped(t, name), openFixture(t, name)
		s := f.sections[".rodata"]
		table, err := kallsyms.Find(s.raw(), s.elf.Addr)
		if err != nil {
			t.Fatal(err)
		}
		f.own.once.Do(func() {
			f.own.table = f.translate(func(yield func(kallsyms.Symbol) bool) {
				for s := range table.All() {
					if s.Type|0x20 == 't' && string(s.Name) != "_text" && !yield(s) {
						return
					}
				}
			}, table.Count)
		})
		for _, n := range []string{"_text", "level2_kernel_pgt", "prb", "printk_rb_static", "page_offset_base", "__start___bug_table", "panic", "start_kernel"} {
			want, _ := whole.Symbol(n)
			if got, ok := f.Symbol(n); !ok || got.Addr != want.Addr {
				t.Errorf("%s: %s is at 0x%x, want 0x%x", name, n, uint64(got.Addr), uint64(want.Addr))
			}
		}
		if _, ok := f.Symbol("system_state"); ok {
			t.Errorf("%s: a variable that is not in the table was found", name)
		}
		if at, ok := f.SymbolAt(mustSymbol(t, whole, "panic").Addr + 5); !ok || at.Name != "panic" {
			t.Errorf("%s: panic+5 is in %q", name, at.Name)
		}
	}
}

func mustSymbol(t *testing.T, f *File, name string) Symbol {
	t.Helper()
	s, ok := f.Symbol(name)
	if !ok {
		t.Fatalf("no symbol %s", name)
	}
	return s
}
