package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"kcatch/gdb/amd64"
)

// TestWrite reads a core back with debug/elf: the segments of a split machine, the kernel's own mapping, the registers, the
// note; and what is zero takes no disk.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	ram, err := os.Create(filepath.Join(dir, "ram"))
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	const low, high = 64 << 20, 32 << 20
	if err := ram.Truncate(low + high); err != nil {
		t.Fatal(err)
	}
	page := bytes.Repeat([]byte("kcatch"), 700)[:pageSize]
	for _, at := range []int64{0x3000, 0x200000, low + 0x5000} {
		if _, err := ram.WriteAt(page, at); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "vmcore")
	info := []byte("OSRELEASE=6.1.0\nKERNELOFFSET=1c00000\n")
	err = Write(path, Machine{RAM: ram, Info: info, CPUs: []amd64.Registers{{RIP: 0xffffffff81000010, RSP: 0xffffffff82003d30, R15: 15}, {}},
		Ranges: []Range{{Size: low, Virt: 0xffff888000000000}, {Start: 4 << 30, Size: high, Offset: low, Virt: 0xffff888100000000}},
		Image:  Range{Start: 0x200000, Size: 0x100000, Virt: 0xffffffff81000000}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Type != elf.ET_CORE || f.Machine != elf.EM_X86_64 || len(f.Progs) != 4 {
		t.Fatalf("type %v, machine %v, %d segments", f.Type, f.Machine, len(f.Progs))
	}
	for _, want := range []struct {
		prog             int
		vaddr, paddr, at uint64
	}{{1, 0xffff888000000000, 0, 0x3000}, {2, 0xffff888100000000, 4 << 30, 0x5000}, {3, 0xffffffff81000000, 0x200000, 0}} {
		p := f.Progs[want.prog]
		got := make([]byte, pageSize)
		if _, err := p.ReadAt(got, int64(want.at)); err != nil || !bytes.Equal(got, page) || p.Vaddr != want.vaddr || p.Paddr != want.paddr {
			t.Errorf("segment %d: %+v, the page is there: %v, %v", want.prog, p.ProgHeader, bytes.Equal(got, page), err)
		}
	}
	notes, err := io.ReadAll(f.Progs[0].Open())
	if err != nil || !bytes.Contains(notes, info) || bytes.Count(notes, []byte("CORE\x00")) != 2 {
		t.Errorf("notes %q, %v", notes, err)
	}
	regs := notes[12+8+prReg:]
	if binary.LittleEndian.Uint64(regs) != 15 || binary.LittleEndian.Uint64(regs[16*8:]) != 0xffffffff81000010 || binary.LittleEndian.Uint64(regs[19*8:]) != 0xffffffff82003d30 {
		t.Errorf("registers % x", regs[:27*8])
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes on disk for three pages, %v", st.Blocks*512, err)
	}
}

func TestWriteLeavesNothingBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vmcore")
	ram, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	if err := Write(path, Machine{RAM: ram, Ranges: []Range{{Size: 1 << 20}}}); err == nil {
		t.Error("a RAM that cannot be read was written")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a partial core is left")
	}
}

// A RAM file that is shorter than the machine is an error: what is not there must not be taken for zeros.
func TestTruncatedRAM(t *testing.T) {
	dir := t.TempDir()
	ram := makeFuzzRAM(t, dir)
	path := filepath.Join(dir, "vmcore")
	m := Machine{RAM: ram, Ranges: []Range{{Size: 60 * pageSize}}}
	if err := Write(path, m); err != nil {
		t.Fatal(err)
	}
	if err := ram.Truncate(30 * pageSize); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, m); err == nil {
		t.Error("a core of RAM that is not there")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a partial core is left")
	}
}
