package linux_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestPageLayout compares what is deduced from a vmlinux with the configuration that it was built from, include/linux/page-flags-layout.h
// and include/linux/mmzone.h. What the pages of a running kernel make of it, harness/page_test.go compares with drgn.
func TestPageLayout(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			f, err := vmlinux.Open(k.Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			l, err := linux.PageLayoutOf(f)
			if err != nil {
				t.Fatal(err)
			}
			config, err := os.ReadFile(k.Config)
			if err != nil {
				t.Fatal(err)
			}
			has := func(option string) bool { return strings.Contains("\n"+string(config), "\nCONFIG_"+option+"\n") }
			zones := 2 // ZONE_NORMAL, ZONE_MOVABLE
			for _, z := range []string{"ZONE_DMA=y", "ZONE_DMA32=y", "ZONE_DEVICE=y"} {
				if has(z) {
					zones++
				}
			}
			nodes := 0
			if has("NUMA=y") {
				_, rest, _ := strings.Cut(string(config), "\nCONFIG_NODES_SHIFT=")
				if _, err := fmt.Sscan(rest, &nodes); err != nil {
					t.Fatal(err)
				}
			}
			if len(l.Zones) != zones || l.NodeBits != nodes || l.SectionBits != 0 || !has("SPARSEMEM_VMEMMAP=y") {
				t.Errorf("zones %q, node bits %d; the configuration has %d zones, NODES_SHIFT %d", l.Zones, l.NodeBits, zones, nodes)
			}
			if l.Size%8 != 0 || l.NFlags < 20 || l.NFlags > 32 || l.Order < l.Size || l.Order >= 2*l.Size {
				t.Errorf("%+v", l)
			}
			if newer := strings.HasSuffix(name, "6.12"); l.TypeByte != newer || l.TypeNames[0].Name != "buddy" {
				t.Errorf("page types: by byte %v, %v", l.TypeByte, l.TypeNames)
			}
			for table, want := range map[string]string{"gfpflag_names": "GFP_KERNEL", "vmaflag_names": "read", "pageflag_names": "locked"} {
				if flags := linux.FlagNamesOf(f, table); !strings.Contains(fmt.Sprint(flags), "{"+want+" ") {
					t.Errorf("%s: %v", table, flags)
				}
			}
			// The kernel's own name of 0xcc0 in both, ___GFP_IO | ___GFP_FS | ___GFP_RECLAIM.
			if got := value.FlagText(0xcc0, linux.FlagNamesOf(f, "gfpflag_names")); got != "GFP_KERNEL" {
				t.Errorf("0xcc0 is %s", got)
			}
		})
	}
}

// testLayout is good-6.1's, without the names of most flags.
var testLayout = linux.PageLayout{Size: 64, Flags: 0, CompoundHead: 8, Mapping: 24, Index: 32, Private: 40, MapCount: 48, RefCount: 52, Order: 81,
	Names: []value.Flag{{Name: "locked", Mask: 1}, {Name: "slab", Mask: 0x200}, {Name: "head", Mask: 0x10000}}, NFlags: 24,
	Zones: []string{"DMA32", "Normal", "Movable"}, ZoneBits: 2,
	TypeNames: []value.Flag{{Name: "buddy", Mask: 0x80}}}

type flat struct {
	at uint64
	b  []byte
}

func (m flat) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr < m.at || addr-m.at > uint64(len(m.b)) {
		return 0, fmt.Errorf("0x%x is not mapped", addr)
	}
	if n := copy(p, m.b[addr-m.at:]); n < len(p) {
		return n, fmt.Errorf("0x%x is not mapped", addr+uint64(n))
	}
	return len(p), nil
}

func TestPageStates(t *testing.T) {
	const base = linux.VmemmapBase
	ones := []byte(strings.Repeat("\xff", 64))
	for _, tc := range []struct {
		name    string
		addr    uint64
		b       []byte
		want    string
		vmemmap uint64
	}{
		{"untouched", base + 64, make([]byte, 64), "page 0xffffea0000000040: pfn 0x1, not initialized yet: all zero", base},
		{"poisoned", base + 64, ones, "page 0xffffea0000000040: pfn 0x1, not initialized yet and poisoned: flags are all ones", base},
		{"crooked", base + 65, ones, "page at 0xffffea0000000041: lies 1 bytes into the struct page of pfn 0x1", base},
		{"below", base - 64, ones, "page at 0xffffe9ffffffffc0: not in the array of pages, which begins at 0xffffea0000000000", base},
		{"cut", base, ones[:8], "page at 0xffffea0000000000: 0xffffea0000000008 is not mapped", base},
		{"zone unknown", base, append([]byte{1, 0, 0, 0, 0, 0, 0, 0xff}, make([]byte, 56)...),
			"page 0xffffea0000000000: pfn 0x0, refcount 0, mapcount 1 (0), flags 0xff00000000000001 (locked), node 0", base},
	} {
		p, err := testLayout.Read(flat{tc.addr, tc.b}, tc.vmemmap, tc.addr)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(make([]byte, 128), uint64(linux.VmemmapBase), false)
	f.Add([]byte(strings.Repeat("\x01\xff", 64)), uint64(linux.VmemmapBase), true)
	f.Fuzz(func(t *testing.T, b []byte, addr uint64, typeByte bool) {
		l := testLayout
		l.TypeByte = typeByte
		p, err := l.Read(flat{addr, b}, linux.VmemmapBase, addr)
		if err == nil && strings.ContainsAny(p.String(), "\n\x00") {
			t.Errorf("%q", p.String())
		}
	})
}
