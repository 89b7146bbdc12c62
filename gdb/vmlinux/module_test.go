package vmlinux

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// faultyModule is the .ko of a fixture, as its build left it.
func faultyModule(t testing.TB, name string) []byte {
	k := fixtures.Find(t, name)
	fixtures.Need(t, k.FaultyModules != "", "the faulty module of "+name, "make fixtures")
	data, err := os.ReadFile(filepath.Join(k.FaultyModules, "kcatch_mod.ko"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// loadedAt plays the kernel's loader: each section of code at an address of its own, all functions where their section is.
func loadedAt(t testing.TB, data []byte, without string) (map[string][]uint64, map[string]uint64) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	functions, sections := map[string][]uint64{}, map[string]uint64{}
	for _, s := range symbols {
		if n := int(s.Section); n < len(f.Sections) && executable(f.Sections[n]) && f.Sections[n].Name != without && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			base := 0xffffffffc0100000 + uint64(n)<<16
			functions[s.Name] = append(functions[s.Name], base+s.Value)
			sections[f.Sections[n].Name] = base
		}
	}
	return functions, sections
}

// TestOpenModule: the whole journey's test, harness.TestModuleFaults, has addr2line for an oracle; here is what it cannot show.
func TestOpenModule(t *testing.T) {
	for _, name := range []string{fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			data := faultyModule(t, name)
			functions, sections := loadedAt(t, data, ".init.text")
			open := func(functions map[string][]uint64) (*File, error) {
				return OpenModule("x.ko", bytes.Clone(data), func(name string) []uint64 { return functions[name] }, nil)
			}
			f, err := open(functions)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for section, base := range sections {
				if s, ok := f.Section(section); !ok || uint64(s.Addr) != base {
					t.Errorf("%s is at 0x%x, not 0x%x", section, uint64(s.Addr), base)
				}
			}
			at := Addr(functions["kcatch_mod_bug"][0])
			if s, ok := f.SymbolAt(at + 3); !ok || s.Name != "kcatch_mod_bug" {
				t.Errorf("SymbolAt = %+v, %v", s, ok)
			}
			if l, err := f.Locate(at); err != nil || len(l) != 1 || l[0].Function != "kcatch_mod_bug" || filepath.Base(l[0].File) != "kcatch_mod.c" {
				t.Errorf("Locate = %+v, %v", l, err)
			}
			if _, err := f.FrameRow(at); err != nil { // .debug_frame has been relocated too
				t.Error(err)
			}
			// .init.text is gone: its function is nowhere near.
			if s, ok := f.Symbol("kcatch_mod_init"); !ok || s.Addr > at-apart/2 {
				t.Errorf("kcatch_mod_init is at 0x%x, %v", uint64(s.Addr), ok)
			}
			functions["kcatch_mod_warn"] = []uint64{functions["kcatch_mod_warn"][0] + 16}
			if _, err := open(functions); err == nil || !strings.Contains(err.Error(), "of another build") {
				t.Errorf("a function that is elsewhere: %v", err)
			}
			if _, err := open(nil); err == nil || !strings.Contains(err.Error(), "of another build") {
				t.Errorf("no function: %v", err)
			}
		})
	}
}

// FuzzModule: any bytes are an error or a module whose methods answer.
func FuzzModule(f *testing.F) {
	data := faultyModule(f, fixtures.Cloud61)
	functions, _ := loadedAt(f, data, "")
	f.Add(0, []byte{0})
	f.Fuzz(func(t *testing.T, at int, patch []byte) {
		broken := bytes.Clone(data)
		if at < 0 || at > len(broken) {
			broken = broken[:uint(at)%uint(len(broken))]
		} else {
			copy(broken[at:], patch)
		}
		if m, err := OpenUnloadedModule("x.ko", bytes.Clone(broken), nil); err == nil {
			for name := range functions {
				for _, g := range m.Functions(name) {
					l, err := m.Locate(g.Addr)
					_ = fmt.Sprint(l, err)
				}
			}
			_ = m.Close()
		}
		m, err := OpenModule("x.ko", broken, func(name string) []uint64 { return functions[name] }, nil)
		if err != nil {
			return
		}
		for _, addresses := range functions {
			for _, a := range addresses {
				l, err := m.Locate(Addr(a))
				_ = fmt.Sprint(l, err)
				_, _ = m.FrameRow(Addr(a))
			}
		}
		_ = m.Close() // memory only
	})
}
