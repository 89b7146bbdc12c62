package linux_test

import (
	"strings"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestVmlinux takes the layouts from real kernels' DWARF: they are the default ones (gdb 13.1, `ptype /o`, agrees), and the guess
// without DWARF gives the same bug table.
func TestVmlinux(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			f, err := vmlinux.Open(fixtures.Find(t, name).Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if l, err := linux.RingLayoutOf(f); err != nil || l != linux.DefaultRingLayout() {
				t.Errorf("ring layout %+v, %v", l, err)
			}
			table, ok := linux.BugTableOf(f)
			if !ok {
				t.Fatal("no bug table")
			}
			guess, ok := linux.GuessBugLayout(table.Data, table.Addr, func(a uint64) bool { return f.IsText(vmlinux.Addr(a)) })
			if !ok || guess != table.Layout {
				t.Errorf("layout %+v, guess %+v", table.Layout, guess)
			}
			// Each entry's trap is a ud2 in the file.
			n, first := 0, vmlinux.Addr(table.Addr)
			for off := 0; off < len(table.Data) && n < 200; off += table.Layout.Size * 37 {
				disp := int64(int32(uint32(table.Data[off]) | uint32(table.Data[off+1])<<8 | uint32(table.Data[off+2])<<16 | uint32(table.Data[off+3])<<24))
				addr := uint64(int64(first) + int64(off) + disp)
				b, found := table.Find(addr)
				code, err := f.Bytes(vmlinux.Addr(addr), 2)
				if !found || err != nil || linux.DecodeTrap(code).Kind != linux.UD2 || b.Line == 0 || !strings.Contains(b.File, "/") {
					t.Errorf("0x%x: %+v %v, % x %v", addr, b, found, code, err)
				}
				n++
			}
			t.Logf("%d entries of %d bytes", len(table.Data)/table.Layout.Size, table.Layout.Size)
		})
	}
}
