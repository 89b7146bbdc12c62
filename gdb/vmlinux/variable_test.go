package vmlinux

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		{openFixture(t, fixtures.Seed61), []string{"free_area_init", "vprintk_emit", "do_syscall_64"}},
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
			base, _ := u.rootValue(dwarf.AttrLowpc).(uint64)
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
				if lists++; !ok || name != "start_kernel" && lists%8 != 0 {
					return true, nil
				}
				for a := sym.Addr &^ 0xfff; a < sym.Addr+0x1000; a += 31 {
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
	for _, name := range []string{"tiny", "tiny-dwarf4", "tiny-noaranges", "tiny-zstd", "tiny-clang"} {
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

// TestClang: clang writes addresses, strings and lists by index, and no .debug_aranges. The expectations are readelf 2.40's
// (--debug-dump=info,loc testdata/tiny-clang.elf).
func TestClang(t *testing.T) {
	f := openTiny(t, "tiny-clang")
	at := f.Lookup("free_area_init", "start_kernel", "ring", "total")
	start := at["free_area_init"].Addr
	for _, tt := range []struct {
		off      Addr
		name     string
		location []byte
	}{
		{0, "n", []byte{0x55}}, {0xc, "n", []byte{0x55}}, {0xd, "n", []byte{0x5e}}, {0x5b, "n", []byte{0x5e}},
		{0x5c, "n", []byte{0xa3, 1, 0x55, 0x9f}}, {0x5e, "n", []byte{0x5e}},
		{7, "i", []byte{0x11, 0, 0x9f}}, {0xe, "i", []byte{0x11, 0, 0x9f}}, {0xf, "i", []byte{0x56}}, {0x4f, "i", nil}, {0x5e, "i", []byte{0x56}},
	} {
		scopes, err := f.Variables(start+tt.off, true)
		if err != nil || len(scopes) == 0 {
			t.Fatalf("free_area_init+0x%x: %v, %v", uint64(tt.off), scopes, err)
		}
		found := false
		for _, v := range scopes[len(scopes)-1].Variables {
			if v.Name == tt.name {
				found = true
				if !bytes.Equal(v.Location, tt.location) || v.Argument != (tt.name == "n") || v.Type.Size() != 4 {
					t.Errorf("free_area_init+0x%x: %s: % x, want % x; %+v", uint64(tt.off), tt.name, v.Location, tt.location, v)
				}
			}
		}
		if !found {
			t.Errorf("free_area_init+0x%x: no %s", uint64(tt.off), tt.name)
		}
	}
	for name, size := range map[string]int64{"ring": 112, "total": 4} {
		addr, typ, err := f.Global(name)
		if err != nil || addr != at[name].Addr || typ.Size() != size {
			t.Errorf("%s: 0x%x, %v, %v", name, uint64(addr), typ, err)
		}
	}
	for name, size := range map[string]int64{"struct ring": 112, "atomic_t": 4, "int": 4, "struct node": 16} {
		for _, anchor := range []Addr{0, at["start_kernel"].Addr} {
			if typ, err := f.Type(anchor, name); err != nil || typ.Size() != size {
				t.Errorf("%s: %v, %v", name, typ, err)
			}
		}
	}
	scopes, err := f.Variables(start, false)
	if err != nil || len(scopes) == 0 {
		t.Fatal(err)
	}
	for i, name := range []string{"linux_banner", "ring", "total", "sink"} { // DW_OP_addrx <i>
		sym, _ := f.Symbol(name)
		if a, err := scopes[0].Unit.Address(uint64(i)); err != nil || a != sym.Addr {
			t.Errorf("address %d: 0x%x, %v, want %s", i, uint64(a), err, name)
		}
	}
}

// TestPointed: a pointer that is optimized out leads to a variable of the type that it points to, in real code.
func TestPointed(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	start, _ := f.Symbol("free_area_init")
	u, err := f.unitAt(start.Addr)
	if err != nil {
		t.Fatal(err)
	}
	functions, err := u.readFunctions()
	if err != nil {
		t.Fatal(err)
	}
	seen, placed := map[string]bool{}, 0
	for _, r := range functions {
		for a := Addr(r.low); a < Addr(r.high) && len(seen) < 20; a += 13 {
			scopes, err := f.Variables(a, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range scopes {
				for _, v := range s.Variables {
					if len(v.Location) < 5 || v.Location[0] != 0xa0 || seen[s.Function+" "+v.Name] {
						continue
					}
					seen[s.Function+" "+v.Name] = true
					ref := uint64(binary.LittleEndian.Uint32(v.Location[1:]))
					to, err := s.Unit.Variable(ref, a)
					if err != nil {
						t.Errorf("%s in %s: %v", v.Name, s.Function, err)
						continue
					}
					if len(to.Location) > 0 || to.Const != nil {
						placed++
					}
					want := Underlying(v.Type).(*dwarf.PtrType).Type
					if _, void := Underlying(want).(*dwarf.VoidType); !void && Underlying(to.Type).Size() != Underlying(want).Size() {
						t.Errorf("%s in %s: points to %s, a %v of %d bytes, not to a %v", v.Name, s.Function, to.Name, to.Type, to.Type.Size(), want)
					}
				}
			}
		}
	}
	if len(seen) < 5 || placed == 0 {
		t.Errorf("%d pointers, %d of them to a value", len(seen), placed)
	}
}

// shadowed is a function with two variables of one name, inlined: the outer one is nowhere.
const shadowed = `
__attribute__((noipa)) int get(void) { return 7; }
__attribute__((noipa)) void use(int n) { }
static inline __attribute__((always_inline)) int inlined(int n)
{
	int page;
	{
		int page = get();
		use(page);
		use(page);
	}
	return n;
}
int outer(int n) { return inlined(n + 1); }
`

// TestInheritedLocal: a local that only the abstract function has stands in front of those of inner blocks, so that the last of a name is
// the innermost. gcc leaves such an entry out seldom; here the outer page's is made another one of the inner page.
func TestInheritedLocal(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	fixtures.Need(t, err == nil, "gcc", "make deps")
	path := filepath.Join(t.TempDir(), "shadowed")
	cmd := exec.Command(gcc, "-O2", "-g", "-nostdlib", "-static", "-Wl,-e,outer", "-o", path, "-x", "c", "-")
	cmd.Stdin = bytes.NewReader([]byte(shadowed))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	e, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	info, err := e.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	var nowhere, inner dwarf.Offset // the entry of the outer page's copy, and what the inner page's copy refers to
	for r := info.Reader(); ; {
		d, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d == nil {
			break
		}
		if origin, ok := d.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok && d.Tag == dwarf.TagVariable {
			if d.Val(dwarf.AttrLocation) == nil {
				nowhere = d.Offset
			} else {
				inner = origin
			}
		}
	}
	if nowhere == 0 || inner == 0 {
		t.Fatalf("entries 0x%x and 0x%x: not what gcc 12 makes of it", nowhere, inner)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// One byte of abbreviation, then DW_FORM_ref4.
	binary.LittleEndian.PutUint32(b[e.Section(".debug_info").Offset+uint64(nowhere)+1:], uint32(inner))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	outer, _ := f.Symbol("outer")
	alive := 0
	for a := outer.Addr; a < outer.Addr+Addr(outer.Size); a++ {
		scopes, err := f.Variables(a, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scopes {
			var last *Variable
			pages := 0
			for i, v := range s.Variables {
				if v.Name == "page" {
					last = &s.Variables[i]
					pages++
				} else if v.Argument && i > 0 {
					t.Errorf("0x%x: %s: argument %s is variable %d", uint64(a), s.Function, v.Name, i)
				}
			}
			if pages != 3 || s.Function != "inlined" { // the outer, and two copies of the inner
				continue
			}
			some := false
			for _, v := range s.Variables {
				some = some || v.Name == "page" && len(v.Location) > 0
			}
			if some {
				if alive++; len(last.Location) == 0 {
					t.Errorf("0x%x: the page that is nowhere hides the inner block's: %+v", uint64(a), s.Variables)
				}
			}
		}
	}
	if alive == 0 {
		t.Error("no place with three pages")
	}
}
