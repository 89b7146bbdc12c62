package vmlinux

import (
	"testing"

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
