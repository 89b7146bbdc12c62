package linux

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"kcatch/gdb/vmlinux"
)

// flat is memory from an address on.
type flat struct {
	base uint64
	data []byte
}

func (m flat) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr < m.base || addr-m.base > uint64(len(m.data)) {
		return 0, errors.New("nothing there")
	}
	n := copy(p, m.data[addr-m.base:])
	if n < len(p) {
		return n, errors.New("nothing more")
	}
	return n, nil
}

const testBase = 0xffffffffc0000000

var moduleTestLayout = ModuleLayout{
	Size: 128, State: 0, List: 8, Name: 24, NameSize: 16, Texts: []ModuleText{{Base: 40, Size: 48}, {Base: 56, Size: 64, Init: true}},
	Kallsyms: 72, Symtab: 0, NumSymtab: 8, Strtab: 16, NumORCs: 80, ORCIPs: 88, ORCRows: 96, NumBugs: 104, BugTable: 112,
}

// testModules is a memory with a list head at testBase and one module, "one", with three symbols; put changes it.
func testModules(put func(write func(off int, v uint64))) flat {
	m := flat{testBase, make([]byte, 4096)}
	write := func(off int, v uint64) { binary.LittleEndian.PutUint64(m.data[off:], v) }
	const mod, syms, strs, kallsyms = 0x100, 0x400, 0x600, 0x380
	write(0, testBase+mod+8) // modules.next
	write(mod+8, testBase)   // list.next
	copy(m.data[mod+24:], "one")
	write(mod+40, testBase+0x1000)
	write(mod+48, 0x200)
	write(mod+56, testBase+0x3000)
	write(mod+64, 0x40)
	write(mod+72, testBase+kallsyms)
	write(kallsyms, testBase+syms)
	write(kallsyms+8, 5)
	write(kallsyms+16, testBase+strs)
	copy(m.data[strs:], "\x00first\x00second\x00start\x00data\x00")
	for i, s := range []struct {
		name        uint32
		info        byte
		addr, count uint64
	}{{1, 2, 0x1000, 0x1d}, {7, 2, 0x1020, 0}, {14, 18, 0x3000, 0x40}, {20, 1, 0x8000, 8}} {
		b := m.data[syms+symSize*(i+1):]
		binary.LittleEndian.PutUint32(b, s.name)
		b[4], b[6] = s.info, 1
		binary.LittleEndian.PutUint64(b[8:], testBase+s.addr)
		binary.LittleEndian.PutUint64(b[16:], s.count)
	}
	if put != nil {
		put(write)
	}
	return m
}

func TestModules(t *testing.T) {
	m := testModules(nil)
	got, err := Modules(m, testBase, moduleTestLayout)
	want := []Text{{testBase + 0x1000, 0x200, false}, {testBase + 0x3000, 0x40, true}}
	if err != nil || len(got) != 1 || got[0].Name != "one" || got[0].Coming || !slices.Equal(got[0].Texts, want) {
		t.Fatalf("Modules = %+v, %v", got, err)
	}
	syms := got[0].Symbols(m)
	for _, c := range []struct {
		addr uint64
		want ModuleSymbol
	}{
		{0x1000, ModuleSymbol{"first", testBase + 0x1000, 0x1d, 0x20}},
		{0x101c, ModuleSymbol{"first", testBase + 0x1000, 0x1d, 0x20}},
		{0x101d, ModuleSymbol{}}, // the padding after it
		{0x1020, ModuleSymbol{"second", testBase + 0x1020, 0x1e0, 0x1e0}},
		{0x11ff, ModuleSymbol{"second", testBase + 0x1020, 0x1e0, 0x1e0}},
		{0x1200, ModuleSymbol{}},
		{0x3001, ModuleSymbol{"start", testBase + 0x3000, 0x40, 0x40}},
		{0x8000, ModuleSymbol{}}, // data
	} {
		if s, ok := syms.At(testBase + c.addr); s != c.want || ok != (c.want.Name != "") {
			t.Errorf("At(0x%x) = %+v, %v; want %+v", c.addr, s, ok, c.want)
		}
	}
	if s := syms.ByName()["second"]; len(s) != 1 || s[0].Addr != testBase+0x1020 {
		t.Errorf("Named = %+v", s)
	}
}

// TestModulesHostile: what a broken or hostile kernel may claim costs bounded work and gives no text.
func TestModulesHostile(t *testing.T) {
	for name, c := range map[string]struct {
		put   func(write func(int, uint64))
		mods  int
		texts int
		fails bool
	}{
		"a ring without the head": {func(w func(int, uint64)) { w(0x108, testBase+0x108) }, maxModules, 2, true},
		"a list to nowhere":       {func(w func(int, uint64)) { w(0x108, 0) }, 1, 2, true},
		"unformed":                {func(w func(int, uint64)) { w(0x100, moduleUnformed) }, 0, 0, false},
		"text in user space":      {func(w func(int, uint64)) { w(0x100+40, 0x1000) }, 1, 1, false},
		"text of 4 GiB":           {func(w func(int, uint64)) { w(0x100+48, 0xffffffff) }, 1, 1, false},
		"text that wraps":         {func(w func(int, uint64)) { w(0x100+40, ^uint64(0)-8) }, 1, 1, false},
		"four billion symbols":    {func(w func(int, uint64)) { w(0x388, 0xffffffff) }, 1, 2, false},
		"symbols nowhere":         {func(w func(int, uint64)) { w(0x380, 8) }, 1, 2, false},
		"four billion ORCs":       {func(w func(int, uint64)) { w(0x100+80, 0xffffffff); w(0x100+88, testBase); w(0x100+96, testBase) }, 1, 2, false},
		"ORCs past the end":       {func(w func(int, uint64)) { w(0x100+80, 4000); w(0x100+88, testBase); w(0x100+96, testBase) }, 1, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := testModules(c.put)
			got, err := Modules(m, testBase, moduleTestLayout)
			if len(got) != c.mods || (err != nil) != c.fails {
				t.Fatalf("%d modules, %v", len(got), err)
			}
			for _, mod := range got[:min(len(got), 1)] {
				if len(mod.Texts) != c.texts {
					t.Errorf("texts %+v", mod.Texts)
				}
				if table, ok := mod.ORC(m); ok {
					t.Errorf("ORC of %d bytes", len(table.IPs))
				}
				mod.Symbols(m).At(testBase + 0x1000)
			}
		})
	}
}

// FuzzModules: any memory gives modules or an error, in bounded time.
func FuzzModules(f *testing.F) {
	f.Add(testModules(nil).data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := flat{testBase, data}
		mods, _ := Modules(m, testBase, moduleTestLayout)
		for i := range mods[:min(len(mods), 4)] {
			mod := &mods[i]
			syms := mod.Symbols(m)
			for _, text := range mod.Texts {
				if s, ok := syms.At(text.Base); ok && s.Span == 0 {
					t.Errorf("%+v covers nothing", s)
				}
			}
			mod.ORC(m)
			if bugs, ok := mod.Bugs(m, bugVerbose); ok {
				bugs.Find(testBase)
			}
		}
	})
}

// TestModuleLayout: the two forms of struct module, and one that is none.
func TestModuleLayout(t *testing.T) {
	field := func(name string, off, size uint64, fields ...vmlinux.Field) vmlinux.Field {
		return vmlinux.Field{Name: name, Offset: off, Size: size, Fields: fields}
	}
	common := []vmlinux.Field{field("state", 0, 4), field("list", 8, 16), field("name", 24, 56)}
	core := func(name string, off uint64) vmlinux.Field {
		return field(name, off, 32, field("base", off, 8), field("text_size", off+12, 4))
	}
	old := vmlinux.Struct{Size: 200, Fields: append(slices.Clone(common), core("core_layout", 80), core("init_layout", 112))}
	if l, err := ModuleLayoutFrom(old, nil); err != nil || !slices.Equal(l.Texts, []ModuleText{{80, 92, false}, {112, 124, true}}) || l.Kallsyms != -1 || l.NumORCs != -1 {
		t.Errorf("%+v, %v", l, err)
	}
	mem := field("mem", 80, 7*72, field("base", 80, 8), field("size", 88, 4))
	mem.Count = 7
	since := vmlinux.Struct{Size: 700, Fields: append(slices.Clone(common), mem)}
	if l, err := ModuleLayoutFrom(since, nil); err != nil || !slices.Equal(l.Texts, []ModuleText{{80, 88, false}, {80 + 288, 88 + 288, true}}) {
		t.Errorf("%+v, %v", l, err)
	}
	for name, s := range map[string]vmlinux.Struct{"empty": {}, "no code": {Size: 200, Fields: common}, "too small": {Size: 100, Fields: old.Fields}, "too large": {Size: 1 << 30, Fields: old.Fields}} {
		if l, err := ModuleLayoutFrom(s, nil); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
