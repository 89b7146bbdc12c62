package kallsyms

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/internal/fixtures"
)

// layout is a way to write the tables, after scripts/kallsyms.c.
type layout struct {
	name    string
	first   bool // offsets and relative_base stand before the names: up to 6.3
	seqs    bool // kallsyms_seqs_of_names before the token table
	percpu  bool
	symbols int
	base    uint64
	ahead   int // bytes before the tables
	long    bool
	address uint64
}

// written makes the tables of a made-up kernel and the list that they should give, as "type name address".
func (l layout) written() (data []byte, want []string) {
	data = bytes.Repeat([]byte{0xa5}, l.ahead)
	align := func() {
		for (uint64(len(data))+l.address)%8 != 0 {
			data = append(data, 0)
		}
	}
	var tok [256]string
	for c := '0'; c <= '9'; c++ {
		tok[c] = string(c)
	}
	for _, c := range "TtDdaf_xyz." {
		tok[c] = string(c)
	}
	tok[1], tok[255], tok[200] = "Tfree_", "area", "long_long_long_"
	var names, offsets []byte
	var marks []uint32
	for i := range l.symbols {
		codes := []byte{'t', 'f', '_'}
		switch {
		case i%3 == 0:
			codes = []byte{1, 255}
		case l.long && i == 5:
			codes = append(codes, bytes.Repeat([]byte{'x'}, 200)...)
		}
		codes = append(codes, fmt.Sprint(i)...)
		addr, off := l.base+uint64(i)*16, uint32(i*16)
		if l.percpu {
			if off = uint32(-1 - i*16); i < 4 {
				codes[0], addr, off = 'a', uint64(i), uint32(i)
			}
		}
		if i%256 == 0 {
			marks = append(marks, uint32(len(names)))
		}
		if n := len(codes); n < 0x80 {
			names = append(names, byte(n))
		} else {
			names = append(names, byte(n)|0x80, byte(n>>7))
		}
		names = append(names, codes...)
		var full string
		for _, c := range codes {
			full += tok[c]
		}
		want = append(want, fmt.Sprintf("%c %s 0x%x", full[0], full[1:], addr))
		offsets = binary.LittleEndian.AppendUint32(offsets, off)
	}
	positions := func() {
		align()
		data = append(data, offsets...)
		align()
		data = binary.LittleEndian.AppendUint64(data, l.base)
	}
	if l.first {
		positions()
	}
	align()
	data = binary.LittleEndian.AppendUint32(data, uint32(l.symbols))
	align()
	data = append(data, names...)
	align()
	for _, m := range marks {
		data = binary.LittleEndian.AppendUint32(data, m)
	}
	if l.seqs {
		align()
		data = append(data, bytes.Repeat([]byte{0, 1, 2}, l.symbols)...)
	}
	align()
	var index []byte
	start := len(data)
	for _, s := range tok {
		index = binary.LittleEndian.AppendUint16(index, uint16(len(data)-start))
		data = append(append(data, s...), 0)
	}
	align()
	data = append(data, index...)
	if !l.first {
		positions()
	}
	return append(data, "behind"...), want
}

var layouts = []layout{
	{name: "6.1", first: true, percpu: true, symbols: 1000, base: 0xffffffff81000000, address: 0xffffffff81800000},
	{name: "6.1 Debian", first: true, seqs: true, percpu: true, symbols: 513, base: 0xffffffff9a000000, ahead: 24},
	{name: "6.12", percpu: true, symbols: 1000, base: 0xffffffff81000000, ahead: 8},
	{name: "UP", symbols: 256, base: 0xffffffff81000000, ahead: 4096},
	{name: "long name", symbols: 300, base: 0xffffffff81000000, long: true},
	{name: "unaligned data", symbols: 300, base: 0xffffffff81000000, ahead: 3, address: 5},
}

func listed(t *Table) (got []string) {
	for s := range t.All() {
		got = append(got, fmt.Sprintf("%c %s 0x%x", s.Type, s.Name, s.Addr))
	}
	return got
}

func TestFind(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			data, want := l.written()
			table, err := Find(data, l.address)
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(table); !slices.Equal(got, want) {
				t.Errorf("got %d symbols, %.3q; want %d, %.3q", len(got), got, len(want), want)
			}
			if v := binary.LittleEndian.Uint64(data[table.BaseAddr-l.address:]); table.Base != l.base || v != l.base {
				t.Errorf("base 0x%x, at 0x%x is 0x%x", table.Base, table.BaseAddr, v)
			}
		})
	}
}

// TestFindNothing: what is damaged or cut off is no table, and never a wrong one.
func TestFindNothing(t *testing.T) {
	good, _ := layouts[0].written()
	for name, data := range map[string][]byte{
		"empty": nil, "digits only": digits, "zeros": make([]byte, 1<<16), "cut at the index": good[:len(good)-300],
		"no offsets": good[4008:], "repeated digits": bytes.Repeat(digits, 1000),
	} {
		if table, err := Find(data, layouts[0].address); !errors.Is(err, ErrNone) || table != nil {
			t.Errorf("%s: %v, %v; want none", name, table, err)
		}
	}
}

// TestFindManyTables: a file of nothing but token tables costs a few searches, not one for each.
func TestFindManyTables(t *testing.T) {
	var names, index []byte
	for c := range 256 {
		index = binary.LittleEndian.AppendUint16(index, uint16(len(names)))
		if token := byte(c); c >= '0' && c <= '9' {
			names = append(names, token, 0)
		} else {
			names = append(names, "xyz\x00"...) // no zeros in a row, which would be candidates, and those have their own bound
		}
	}
	one := append(names, append(make([]byte, -len(names)&7), index...)...)
	begin := time.Now()
	if table, err := Find(bytes.Repeat(one, (16<<20)/len(one)), 0); !errors.Is(err, ErrNone) {
		t.Errorf("%v, %v; want none", table, err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestFindRealKernels asks nm (GNU binutils) what the symbols are: every one of the kernel's own table must be there, with
// its address, and every function of the kernel's text must be in the table.
func TestFindRealKernels(t *testing.T) {
	nm, err := exec.LookPath("nm")
	fixtures.Need(t, err == nil, "nm", "make test-deps")
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			path := fixtures.Find(t, name).Vmlinux
			out, err := exec.Command(nm, path).Output()
			if err != nil {
				t.Fatal(err)
			}
			known := make(map[string]bool)
			var functions []string
			for line := range strings.Lines(string(out)) {
				f := strings.Fields(line)
				if len(f) != 3 {
					continue
				}
				var addr uint64
				if _, err := fmt.Sscanf(f[0], "%x", &addr); err != nil {
					t.Fatal(err)
				}
				known[fmt.Sprintf("%s 0x%x", f[2], addr)] = true
				// scripts/kallsyms.c leaves out names that begin with a dot or with these prefixes.
				if strings.EqualFold(f[1], "t") && !strings.HasPrefix(f[2], ".") && !strings.HasPrefix(f[2], "__kcfi_typeid_") {
					functions = append(functions, fmt.Sprintf("%s 0x%x", f[2], addr))
				}
			}
			file, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			s := file.Section(".rodata")
			data := make([]byte, s.Size)
			if _, err := s.ReadAt(data, 0); err != nil {
				t.Fatal(err)
			}
			table, err := Find(data, s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			have, wrong := make(map[string]bool), 0
			for s := range table.All() {
				key := fmt.Sprintf("%s 0x%x", s.Name, s.Addr)
				have[key] = true
				if !known[key] {
					if wrong++; wrong < 10 {
						t.Errorf("nm does not know %c %s", s.Type, key)
					}
				}
			}
			missing := 0
			for _, f := range functions {
				if !have[f] {
					if missing++; missing < 10 {
						t.Errorf("%s is missing", f)
					}
				}
			}
			t.Logf("%d symbols, %d functions", table.Count, len(functions))
		})
	}
}

func BenchmarkFind(b *testing.B) {
	file, err := elf.Open(fixtures.Find(b, fixtures.Cloud61).Vmlinux)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	s := file.Section(".rodata")
	data := make([]byte, s.Size)
	if _, err := s.ReadAt(data, 0); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Find(data, s.Addr); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzFind damages tables: the answer is an error, or a table that can be read to its end, in ascending order.
func FuzzFind(f *testing.F) {
	for i := range layouts {
		f.Add(uint8(i), uint32(4100+i), []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, patch []byte) {
		l := layouts[int(which)%len(layouts)]
		data, _ := l.written()
		copy(data[int(at)%len(data):], patch)
		table, err := Find(data, l.address)
		if (err == nil) == (table == nil) {
			t.Fatalf("%v, %v", table, err)
		}
		if err != nil {
			return
		}
		n, last := 0, uint64(0)
		for s := range table.All() {
			if n++; s.Addr < last || len(s.Name) >= maxName {
				t.Fatalf("symbol %d: %+v after 0x%x", n, s, last)
			}
			last = s.Addr
		}
	})
}
