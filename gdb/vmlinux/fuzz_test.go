package vmlinux

import (
	"bytes"
	"debug/elf"
	"os"
	"reflect"
	"strings"
	"testing"
)

// everything calls all that reads the file; nothing of it may panic or hang.
func everything(t *testing.T, f *File, addrs ...Addr) {
	f.BuildID()
	f.BuildIDNote()
	f.Release()
	f.Text()
	f.LoadSegments()
	f.DWARFVersion()
	f.TreePrefix()
	if o, err := f.ORC(); err == nil {
		for _, a := range addrs {
			o.Entry(a)
		}
	}
	for _, name := range []string{"check", "init_one", "scaled"} {
		if found, _ := f.Instances(name); len(found) > MaxInstances {
			t.Fatalf("%d instances", len(found))
		}
	}
	f.LineCode("init/main.c", 37)
	answers := f.LocateAll(addrs)
	for i, a := range addrs {
		f.SymbolAt(a)
		if b, err := f.Bytes(a, 16); err == nil && len(b) != 16 {
			t.Fatalf("%d bytes", len(b))
		}
		locs, err := f.Locate(a)
		if err == nil && (len(locs) == 0 || locs[len(locs)-1].Inline) {
			t.Fatalf("0x%x: %+v", uint64(a), locs)
		}
		if !reflect.DeepEqual(answers[i].Locations, locs) || (err == nil) != (answers[i].Err == nil) {
			t.Fatalf("0x%x: %+v %v, in a batch %+v", uint64(a), locs, err, answers[i])
		}
		if row, err := f.FrameRow(a); err != nil && row.Regs != nil {
			t.Fatalf("0x%x: error and value", uint64(a))
		}
		f.Struct(a, "ring")
		if scopes, err := f.Variables(a, true); err == nil && len(scopes) > 0 {
			if len(scopes) != len(locs) {
				t.Fatalf("0x%x: %d scopes, %d locations", uint64(a), len(scopes), len(locs))
			}
			for _, v := range scopes[0].Variables {
				if v.Type == nil {
					t.Fatalf("0x%x: %s has no type", uint64(a), v.Name)
				}
				f.Complete(v.Type)
			}
			scopes[0].Unit.BaseType(0x30)
			scopes[0].Unit.Address(1)
		}
		if site, ok, err := f.CallSite(a); ok && err != nil {
			t.Fatalf("0x%x: %+v, %v", uint64(a), site, err)
		}
		f.Type(a, "struct ring")
	}
	f.Type(0, "struct page")
	f.Global("start_kernel")
	f.Global("log")
}

var tinyAddrs = []Addr{0xffffffff81000000, 0xffffffff81000008, 0xffffffff81000027, 0xffffffff81000075, 0xffffffff8100009d, 0x100}

// FuzzELF opens mutated files.
func FuzzELF(f *testing.F) {
	for _, name := range []string{"tiny-stripped", "tiny-zlib"} {
		data, err := os.ReadFile("testdata/" + name + ".elf")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := newFile("fuzz", data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		everything(t, file, tinyAddrs...)
	})
}

// FuzzLocate puts bytes into a debug section of tiny.elf and reads what they say.
func FuzzLocate(f *testing.F) {
	images := make([][]byte, 3)
	for i, name := range []string{"testdata/tiny.elf", "testdata/tiny-dwarf4.elf", "testdata/tiny-clang.elf"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		images[i] = data
	}
	sections := []string{
		".debug_info", ".debug_abbrev", ".debug_line", ".debug_aranges", ".debug_rnglists", ".debug_ranges",
		".debug_frame", ".symtab", ".debug_str", ".debug_loclists", ".debug_loc",
		".debug_addr", ".debug_str_offsets",
	}
	f.Add(uint8(0), uint8(0), uint16(0x20), []byte{1, 2, 3})
	f.Add(uint8(1), uint8(2), uint16(0), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint8(0), uint8(2), uint16(0x20), []byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(uint8(0), uint8(1), uint16(4), []byte{0x10, 0x10})
	f.Fuzz(func(t *testing.T, image, section uint8, off uint16, patch []byte) {
		data := bytes.Clone(images[int(image)%len(images)])
		ef, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if s := ef.Section(sections[int(section)%len(sections)]); s != nil && uint64(off) < s.FileSize {
			copy(data[s.Offset+uint64(off):s.Offset+s.FileSize], patch)
		}
		file, err := newFile("fuzz", data)
		if err != nil {
			t.Fatal(err)
		}
		everything(t, file, tinyAddrs...)
	})
}
