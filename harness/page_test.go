package harness

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestPagesAgreeWithDrgn: struct pages of a kernel with user space, decoded from their bytes, against drgn (Debian's python3-drgn
// 0.0.22) and against the kernel's own zones and free lists. The kernel dies because its init is a program that ends.
func TestPagesAgreeWithDrgn(t *testing.T) {
	t.Parallel()
	python := "/usr/bin/python3" // Debian's own, which has Debian's drgn
	fixtures.Need(t, exec.Command(python, "-c", "import drgn").Run() == nil, "python3-drgn", "make test-deps")
	for _, name := range []string{fixtures.Good61, fixtures.Good612} { // Debian's two, NUMA and all, agree too, in 20 s
		t.Run(name, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, name))
			p.Append = "rdinit=/bin/busybox"
			r := boots(t, p)
			out, err := exec.Command(python, "testdata/pages.py", r.Artifacts.VMCore, p.Vmlinux).CombinedOutput()
			if err != nil {
				t.Fatalf("drgn: %v\n%s", err, out)
			}
			f, err := vmlinux.Open(p.Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			layout, err := linux.PageLayoutOf(f)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
				d := drgnPage(t, line)
				kinds[d.kind]++
				d.compare(t, layout)
			}
			for _, kind := range []string{"reserved", "slab", "buddy", "anon", "file", "tail"} {
				if kinds[kind] == 0 {
					t.Errorf("no page of kind %s: %v", kind, kinds)
				}
			}
			t.Logf("%d bytes a page, kinds %v", layout.Size, kinds)
		})
	}
}

// pageLine is a line of testdata/pages.py.
type pageLine struct {
	kind, zone, flags  string
	addr, pfn, head    uint64
	refcount, mapcount int32
	order, free        int
	mapping, index     uint64
	raw                []byte
	atHead             []byte
}

func drgnPage(t *testing.T, line string) pageLine {
	t.Helper()
	w := strings.Fields(line)
	if len(w) != 14 {
		t.Fatalf("drgn: %q", line)
	}
	num := func(s string) int64 {
		n, err := strconv.ParseInt(s, 0, 64)
		if err != nil {
			u, uerr := strconv.ParseUint(s, 0, 64)
			if uerr != nil {
				t.Fatalf("drgn: %q in %q", s, line)
			}
			return int64(u)
		}
		return n
	}
	l := pageLine{kind: w[0], addr: uint64(num(w[1])), pfn: uint64(num(w[2])), zone: w[3], refcount: int32(num(w[4])), mapcount: int32(num(w[5])),
		flags: w[6], head: uint64(num(w[7])), order: int(num(w[8])), free: int(num(w[9])), mapping: uint64(num(w[10])), index: uint64(num(w[11]))}
	var err, herr error
	l.raw, err = hex.DecodeString(w[12])
	l.atHead, herr = hex.DecodeString(w[13])
	if err != nil || herr != nil {
		t.Fatalf("drgn: %q", line)
	}
	return l
}

// ReadMemory makes the line's bytes the memory.
func (l pageLine) ReadMemory(p []byte, addr uint64) (int, error) {
	for at, b := range map[uint64][]byte{l.addr: l.raw, l.head: l.atHead} {
		if addr >= at && addr-at+uint64(len(p)) <= uint64(len(b)) {
			return copy(p, b[addr-at:]), nil
		}
	}
	return 0, fmt.Errorf("0x%x is not in the line", addr)
}

func (l pageLine) compare(t *testing.T, layout linux.PageLayout) {
	t.Helper()
	page, err := layout.Read(l, l.addr-l.pfn*uint64(layout.Size), l.addr)
	if err != nil {
		t.Error(err)
		return
	}
	is := func(what string) bool { return slices.Contains(strings.Split(l.kind, "+"), what) }
	text := page.String()
	if page.PFN != l.pfn || page.RefCount != l.refcount || page.MapCount != l.mapcount || page.Mapping != l.mapping || page.Index != l.index {
		t.Errorf("%s: %+v", text, l)
	}
	if l.zone != "-" && page.Zone != l.zone || page.Node != 0 {
		t.Errorf("%s: the zones say %s", text, l.zone)
	}
	// drgn names a bit by all of its names: PG_readahead is PG_reclaim.
	theirs := strings.Split(l.flags, "|")
	for _, n := range page.Names {
		if !slices.Contains(theirs, "PG_"+n) && !slices.Contains(theirs, "PG_"+strings.ReplaceAll(n, "_", "")) {
			t.Errorf("%s: drgn has no %s: %s", text, n, l.flags)
		}
	}
	if n := bits.OnesCount64(page.Flags & (1<<layout.NFlags - 1)); n != len(page.Names) {
		t.Errorf("%s: %d names for %d bits", text, len(page.Names), n)
	}
	head := l.head
	if !is("head") && !is("tail") {
		head = 0
	}
	if page.Head != head || page.Order != l.order {
		t.Errorf("%s: drgn has head 0x%x, order %d", text, head, l.order)
	}
	if (page.Type == "buddy") != (l.free >= 0) || l.free >= 0 && page.Private != uint64(l.free) {
		t.Errorf("%s: in the free lists by order %d", text, l.free)
	}
	if slab := page.Type == "slab" || slices.Contains(page.Names, "slab"); slab != is("slab") && !is("tail") {
		t.Errorf("%s: is a %s", text, l.kind)
	}
	for kind, word := range map[string]string{"anon": ", anon,", "file": ", mapping 0x", "reserved": "reserved", "buddy": ", buddy, order", "tail": ", tail of 0x"} {
		if l.kind == kind && !strings.Contains(text, word) {
			t.Errorf("%s: is %s", text, kind)
		}
	}
}
