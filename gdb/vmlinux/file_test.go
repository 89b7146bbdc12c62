package vmlinux

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

func TestOpenRefuses(t *testing.T) {
	tiny, err := os.ReadFile("testdata/tiny.elf")
	if err != nil {
		t.Fatal(err)
	}
	patched := func(off int, b ...byte) []byte {
		c := bytes.Clone(tiny)
		copy(c[off:], b)
		return c
	}
	bz := make([]byte, 1024)
	copy(bz[0x1fe:], "\x55\xaa\xeb\x66HdrS")
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "is empty"},
		{"text", []byte("#!/bin/sh\n"), "not an ELF file"},
		{"bzimage", bz, "is a bzImage; give the ELF vmlinux"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "not an ELF file (it is compressed; unpack it first)"},
		{"magic", tiny[:4], "broken or truncated ELF file"},
		{"half", tiny[:len(tiny)/2], "truncated"},
		{"no-last-byte", tiny[:len(tiny)-1], "truncated"},
		{"aarch64", patched(18, 0xb7, 0), "not an x86-64 ELF file (it is ELFCLASS64 EM_AARCH64)"},
		{"object", patched(16, 1, 0), "not a linked kernel (ELF type ET_REL)"},
		{"sections", patched(40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "truncated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.name)
			if err := os.WriteFile(path, tt.data, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path+": ") && tt.name != "empty" {
				t.Errorf("got %q, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			if blame.Of(err) != blame.Usage {
				t.Errorf("blame %s", blame.Of(err))
			}
			if strings.Contains(err.Error(), "broken or truncated") && blame.Hint(err) == "" {
				t.Errorf("no hint: %v", err)
			}
		})
	}
	pipe := filepath.Join(t.TempDir(), "pipe") // that nobody writes to
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"testdata/none", "testdata", "/dev/null", pipe} {
		if _, err := Open(path); blame.Of(err) != blame.Usage {
			t.Errorf("%s: %v (%s)", path, err, blame.Of(err))
		}
	}
}

func TestBzImage(t *testing.T) {
	k := fixtures.Find(t, fixtures.Seed61)
	_, err := Open(k.BzImage)
	if want := k.BzImage + ": is a bzImage; give the ELF vmlinux"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBootVmlinux(t *testing.T) {
	k := fixtures.Find(t, fixtures.Seed61)
	fixtures.Need(t, k.BootVmlinux != "", "boot-vmlinux", "make fixtures")
	f, err := Open(k.BootVmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, ok := f.Symbol("extract_kernel")
	if at, _ := f.SymbolAt(s.Addr + 1); !ok || at.Name != "extract_kernel" {
		t.Errorf("extract_kernel: %+v, at its second byte: %+v", s, at)
	}
}

func TestBytes(t *testing.T) {
	f := openTiny(t, "tiny")
	text, _ := f.Section(".text")
	for _, tt := range []struct {
		name string
		addr Addr
		n    int
		ok   bool
	}{
		{"start", text.Addr, 4, true},
		{"nothing", text.Addr, 0, true},
		{"all", text.Addr, int(text.Size), true},
		{"past the end", text.Addr, int(text.Size) + 1, false},
		{"negative", text.Addr, -1, false},
		{"bss", 0xffffffff81000140, 4, false},
		{"nowhere", 0x10, 1, false},
		{"wraps", ^Addr(0), 8, false},
		{"huge", text.Addr, 1 << 62, false},
	} {
		b, err := f.Bytes(tt.addr, tt.n)
		if (err == nil) != tt.ok || err == nil && len(b) != tt.n {
			t.Errorf("%s: %d bytes, %v", tt.name, len(b), err)
		}
	}
}

// The bug table is another room's, but its bytes are ours: each entry's displacement leads to a ud2, 0f 0b.
// Entry: {s32 bug_addr_disp, s32 file_disp, u16 line, u16 flags}, include/asm-generic/bug.h.
func TestBytesOfBugTable(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	s, ok := f.Section("__bug_table")
	if !ok {
		t.Fatal("no __bug_table")
	}
	for off := Addr(0); off < Addr(s.Size); off += 12 {
		b, err := f.Bytes(s.Addr+off, 12)
		if err != nil {
			t.Fatal(err)
		}
		ip := s.Addr + off + Addr(int64(int32(binary.LittleEndian.Uint32(b))))
		if insn, err := f.Bytes(ip, 2); err != nil || insn[0] != 0x0f || insn[1] != 0x0b {
			t.Fatalf("entry %d: 0x%x has % x, %v", off/12, uint64(ip), insn, err)
		}
	}
}

func TestLoadSegments(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	segs := f.LoadSegments()
	if len(segs) < 3 || segs[0].Virt != 0xffffffff81000000 || segs[0].Phys != 0x1000000 || !segs[0].Executable {
		t.Fatalf("%+v", segs)
	}
	start, end, ok := f.Text()
	if !ok || start != 0xffffffff81000000 || end <= start {
		t.Errorf("text [0x%x, 0x%x) %v", uint64(start), uint64(end), ok)
	}
	init, _ := f.Section(".init.text")
	for _, tt := range []struct {
		a    Addr
		want bool
	}{{start, true}, {end - 1, true}, {init.Addr, true}, {0, false}, {0x14790, false}, {start - 1, false}, {^Addr(0), false}} {
		if got := f.IsText(tt.a); got != tt.want {
			t.Errorf("IsText(0x%x) = %v", uint64(tt.a), got)
		}
	}
}
