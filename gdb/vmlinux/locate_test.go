package vmlinux

import (
	"debug/dwarf"
	"errors"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/reader"

	"kcatch/internal/fixtures"
)

func TestLocateUnknown(t *testing.T) {
	tiny, stripped := openTiny(t, "tiny"), openTiny(t, "tiny-stripped")
	start, _ := stripped.Symbol("start_kernel")
	for _, tt := range []struct {
		f      *File
		a      Addr
		reason Reason
	}{
		{tiny, 0, NotMapped},
		{tiny, 0xffffffff81000100, NotMapped}, // .rodata
		{tiny, ^Addr(0), NotMapped},
		{tiny, 0xffffffff81000026, NoUnit}, // a unit's inline assembly lies in no range of it
		{stripped, start.Addr, NoDebugInfo},
	} {
		locs, err := tt.f.Locate(tt.a)
		var unknown *UnknownError
		if tt.reason == NoUnit && err == nil {
			continue // the unit's .text range may well cover it
		}
		if !errors.As(err, &unknown) || unknown.Reason != tt.reason || unknown.Addr != tt.a || locs != nil {
			t.Errorf("0x%x: %v, %v, want %s", uint64(tt.a), locs, err, tt.reason)
		}
	}
	if stripped.HasDWARF() || stripped.DWARFVersion() != 0 || stripped.TreePrefix() != "" {
		t.Error("a stripped file has DWARF")
	}
	if _, err := stripped.Struct(start.Addr, "ring"); err == nil {
		t.Error("a stripped file has structures")
	}
}

func TestTree(t *testing.T) {
	for _, tt := range []struct {
		file            *File
		version         int
		prefix, compDir string
	}{
		{openTiny(t, "tiny"), 5, "/tree/", "/tree"},
		{openTiny(t, "tiny-dwarf4"), 4, "/tree/", "/tree"},
		{openFixture(t, fixtures.Cloud61), 5, "/build/reproducible-path/linux-6.1.192/", "debian/build/build_amd64_none_cloud-amd64"},
		{openFixture(t, fixtures.Cloud612), 5, "", "debian/build/build_amd64_none_cloud-amd64"},
	} {
		if f := tt.file; f.DWARFVersion() != tt.version || f.TreePrefix() != tt.prefix || f.CompDir() != tt.compDir {
			t.Errorf("%s: version %d, prefix %q, comp dir %q", f.Path(), f.DWARFVersion(), f.TreePrefix(), f.CompDir())
		}
	}
}

// TestLocateSeed is the chain that kcatch was made for: where the seed kernel's assertion fires.
func TestLocateSeed(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	for _, tt := range []struct{ symbol, function, file string }{
		{"init_unavailable_range", "__SetPageReserved", "include/linux/page-flags.h"},
		{"early_idt_handler_common", "early_idt_handler_common", "arch/x86/kernel/head_64.S"},
		{"start_kernel", "start_kernel", "init/main.c"},
	} {
		s, ok := f.Symbol(tt.symbol)
		if !ok {
			continue // inlined by this compiler
		}
		found := false
		for a := s.Addr; a < s.Addr+Addr(s.Size); a++ {
			locs, err := f.Locate(a)
			if err != nil {
				t.Fatal(err)
			}
			if last := locs[len(locs)-1]; last.Inline {
				t.Fatalf("0x%x: the last location is inlined: %+v", uint64(a), locs)
			}
			found = found || locs[0].Function == tt.function && locs[0].File == tt.file && locs[0].Line > 0
		}
		if !found {
			t.Errorf("%s: no %s in %s", tt.symbol, tt.function, tt.file)
		}
	}
}

// TestFilesAreRelative: in a kernel that was built in a directory of its own no name shows where.
func TestFilesAreRelative(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Cloud61} {
		f := openFixture(t, name)
		for _, a := range sampleCode(f, 100) {
			locs, err := f.Locate(a)
			if err != nil {
				continue
			}
			for _, l := range locs {
				if strings.HasPrefix(l.File, "/") || strings.HasPrefix(l.File, ".") || strings.HasPrefix(l.File, "debian/") {
					t.Errorf("0x%x: %+v", uint64(a), l)
				}
			}
		}
	}
}

// TestInlinesAgreeWithDelve compares the inline chains with delve's godwarf.LoadTree and reader.InlineStack.
func TestInlinesAgreeWithDelve(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-dwarf4"} {
		f := openTiny(t, name)
		data, err := f.elf.DWARF()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := f.Section(".text")
		compared := 0
		for a := text.Addr; a < text.Addr+Addr(text.Size); a++ {
			tree := subprogramTree(t, data, uint64(a))
			if tree == nil {
				continue
			}
			var want []string
			for _, e := range reader.InlineStack(tree, uint64(a)) {
				fn, _ := e.Val(dwarf.AttrName).(string)
				want = append(want, fn)
			}
			fn, _ := tree.Val(dwarf.AttrName).(string)
			want = append(want, fn)
			locs, err := f.Locate(a)
			var got []string
			for _, l := range locs {
				got = append(got, l.Function)
			}
			if err != nil || strings.Join(got, "<") != strings.Join(want, "<") {
				t.Errorf("%s 0x%x: got %v, delve has %v (%v)", name, uint64(a), got, want, err)
			}
			compared++
		}
		if compared < 100 {
			t.Errorf("%s: only %d addresses compared", name, compared)
		}
	}
}

func subprogramTree(t *testing.T, data *dwarf.Data, pc uint64) *godwarf.Tree {
	t.Helper()
	r := data.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return nil
		}
		if e.Tag != dwarf.TagSubprogram {
			continue
		}
		ranges, err := data.Ranges(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, rg := range ranges {
			if pc >= rg[0] && pc < rg[1] {
				tree, err := godwarf.LoadTree(e.Offset, data, 0)
				if err != nil {
					t.Fatal(err)
				}
				return tree
			}
		}
	}
}
