package guest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayoutFor: expected values read from `info mtree -f` of QEMU 7.2 and the sources named at LayoutFor.
func TestLayoutFor(t *testing.T) {
	const gib = 1 << 30
	tests := []struct {
		machine string
		size    uint64
		want    Layout
	}{
		{"q35", gib / 4, Layout{Low: gib / 4}},
		{"q35", 0xafffffff, Layout{Low: 0xafffffff}},
		{"q35", 0xb0000000, Layout{Low: 2 * gib, High: 0x30000000}},
		{"pc-q35-7.2", 8 * gib, Layout{Low: 2 * gib, High: 6 * gib}},
		{"pc", 3 * gib, Layout{Low: 3 * gib}},
		{"pc-i440fx-7.2", 4 * gib, Layout{Low: 3 * gib, High: gib}},
		{"microvm", 3 * gib, Layout{Low: 3 * gib}},
		{"microvm", 3*gib + 1<<20, Layout{Low: 3 * gib, High: 1 << 20}},
		{"microvm", 0xe0000000, Layout{Low: 3 * gib, High: 0x20000000}},
	}
	for _, tc := range tests {
		if got := LayoutFor(tc.machine, tc.size); got != tc.want {
			t.Errorf("%s 0x%x: %v, want %v", tc.machine, tc.size, got, tc.want)
		}
	}
	l := Layout{Low: 0x1000, High: 0x1000}
	for _, tc := range []struct{ gpa, off, n uint64 }{
		{0, 0, 0x1000}, {0xfff, 0xfff, 1}, {0x1000, 0, 0}, {FourGiB - 1, 0, 0}, {FourGiB, 0x1000, 0x1000},
		{FourGiB + 0xfff, 0x1fff, 1}, {FourGiB + 0x1000, 0, 0}, {^uint64(0), 0, 0},
	} {
		if off, n := l.Offset(tc.gpa); off != tc.off || n != tc.n {
			t.Errorf("offset of 0x%x: 0x%x, 0x%x bytes; want 0x%x, 0x%x", tc.gpa, off, n, tc.off, tc.n)
		}
	}
}

func ramFile(t testing.TB, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRAM(t *testing.T) {
	path := ramFile(t, 8*pageBytes)
	if _, err := OpenRAM(path, Layout{Low: 16 * pageBytes}); err == nil || !strings.Contains(err.Error(), "0x8000 bytes, the machine has 0x10000") {
		t.Errorf("open a short file: %v", err)
	}
	if _, err := OpenRAM(path+"x", Layout{Low: 1}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open no file: %v", err)
	}
	ram, err := OpenRAM(path, Layout{Low: 4 * pageBytes, High: 4 * pageBytes})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 16)
	n, err := ram.ReadPhysical(p, 4*pageBytes-8)
	if fault, _ := errors.AsType[*FaultError](err); n != 8 || fault == nil || fault.Addr != 4*pageBytes {
		t.Errorf("read into the hole: %d, %v", n, err)
	}
	if n, err := ram.ReadPhysical(p, FourGiB); n != 16 || err != nil {
		t.Errorf("read above 4 GiB: %d, %v", n, err)
	}
	// The file is cut short under the mapping: an error, and no SIGBUS.
	if err := os.Truncate(path, pageBytes); err != nil {
		t.Fatal(err)
	}
	if _, err := ram.ReadPhysical(p, 2*pageBytes); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("read of a truncated file: %v", err)
	}
	if _, err := ram.ReadPhysical(p, 0); err != nil {
		t.Errorf("read what is left of it: %v", err)
	}
	if err := errors.Join(ram.Close(), ram.Close()); err != nil {
		t.Error(err)
	}
	if _, err := ram.ReadPhysical(p, 0); err == nil {
		t.Error("read after close")
	}
}
