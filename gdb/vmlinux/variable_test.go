package vmlinux

import (
	"bytes"
	"debug/dwarf"
	"fmt"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/loclist"

	"kcatch/internal/fixtures"
)

// TestLocationsAgreeWithDelve: delve's readers of lists give the same expression, for variables of many units at many addresses.
func TestLocationsAgreeWithDelve(t *testing.T) {
	for _, tt := range []struct {
		file    *File
		symbols []string
	}{
		{openFixture(t, fixtures.Seed61), []string{"free_area_init", "setup_arch", "vprintk_emit", "vfs_read", "do_syscall_64", "kernfs_iop_lookup"}},
		{openTiny(t, "tiny-dwarf4"), []string{"start_kernel"}},
		{openTiny(t, "tiny"), []string{"start_kernel"}},
	} {
		f := tt.file
		lists, found := 0, 0
		for _, name := range tt.symbols {
			sym, ok := f.Symbol(name)
			if !ok {
				t.Fatalf("no symbol %s", name)
			}
			f.mu.Lock()
			u, err := f.unitAt(sym.Addr)
			if err != nil {
				t.Fatal(err)
			}
			base, _ := u.entry.Val(dwarf.AttrLowpc).(uint64)
			section := ".debug_loclists"
			if u.header.version < 5 {
				section = ".debug_loc"
			}
			data, err := f.section(section)
			if err != nil {
				t.Fatal(err)
			}
			var reader loclist.Reader = loclist.NewDwarf5Reader(data)
			if u.header.version < 5 {
				reader = loclist.NewDwarf2Reader(data, 8)
			}
			err = u.children(u.root, func(d die, _ int) (bool, error) {
				e, err := u.decode(d.off)
				if err != nil {
					return false, err
				}
				off, ok := e.Val(dwarf.AttrLocation).(int64)
				if !ok {
					return true, nil
				}
				lists++
				for a := sym.Addr &^ 0xfff; a < sym.Addr+0x1000; a += 7 {
					got, err := f.listed(u, uint64(off), a)
					if err != nil {
						return false, err
					}
					var want []byte
					entry, err := reader.Find(int(off), 0, base, uint64(a), nil)
					if err != nil {
						return false, err
					}
					if entry != nil {
						want = entry.Instr
						found++
					}
					if !bytes.Equal(got, want) {
						t.Errorf("list 0x%x at 0x%x: % x, delve says % x", off, uint64(a), got, want)
					}
				}
				return true, nil
			})
			f.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
		if lists == 0 || found == 0 {
			t.Errorf("%s: %d lists, %d expressions", f.Path(), lists, found)
		}
	}
}

// TestVariables: the functions are those of Locate, everywhere in the tiny kernels.
func TestVariables(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-dwarf4", "tiny-noaranges", "tiny-zstd"} {
		f := openTiny(t, name)
		text, end, _ := f.Text()
		variables := 0
		for a := text; a < end; a++ {
			locations, err := f.Locate(a)
			if err != nil {
				continue
			}
			scopes, err := f.Variables(a, true)
			if err != nil {
				t.Fatalf("%s: 0x%x: %v", name, uint64(a), err)
			}
			if len(scopes) == 0 {
				continue // assembly, padding
			}
			if len(scopes) != len(locations) {
				t.Fatalf("%s: 0x%x: %d functions, Locate has %d", name, uint64(a), len(scopes), len(locations))
			}
			for i, s := range scopes {
				if s.Function != locations[i].Function || s.Inline != locations[i].Inline {
					t.Fatalf("%s: 0x%x: %s, Locate says %s", name, uint64(a), s.Function, locations[i].Function)
				}
				args, err := f.Variables(a, false)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for _, v := range s.Variables {
					if v.Err != nil || v.Name == "" || v.Type == nil {
						t.Errorf("%s: 0x%x: %+v", name, uint64(a), v)
					}
					variables++
					if v.Argument {
						if got := args[i].Variables[n]; fmt.Sprint(got.Name, got.Location, got.Const) != fmt.Sprint(v.Name, v.Location, v.Const) {
							t.Errorf("%s: 0x%x: argument %d is %s or %s", name, uint64(a), n, v.Name, got.Name)
						}
						n++
					}
				}
				if n != len(args[i].Variables) {
					t.Errorf("%s: 0x%x: %d arguments or %d", name, uint64(a), n, len(args[i].Variables))
				}
			}
		}
		if variables == 0 {
			t.Errorf("%s: no variables", name)
		}
	}
}

// TestNoVariables: code without debug information, and addresses that are none, have no variables and are no error.
func TestNoVariables(t *testing.T) {
	for _, tt := range []struct {
		file string
		at   Addr
	}{{"tiny-stripped", 0xffffffff81000000}, {"tiny", 0}, {"tiny", 0x100}} {
		f := openTiny(t, tt.file)
		if scopes, err := f.Variables(tt.at, true); len(scopes) > 0 || err != nil {
			t.Errorf("%s: 0x%x: %v, %v", tt.file, uint64(tt.at), scopes, err)
		}
		if site, ok, err := f.CallSite(tt.at); ok || err != nil {
			t.Errorf("%s: 0x%x: %v, %v", tt.file, uint64(tt.at), site, err)
		}
	}
}
