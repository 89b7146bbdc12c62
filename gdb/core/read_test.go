package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/internal/blame"
)

// built is a core made by hand.
type built struct {
	loads []elf.Prog64 // Off and Filesz are of data
	notes []byte
	data  []byte
	many  bool // the count of segments stands in section 0
}

func (b built) bytes(t testing.TB) []byte {
	t.Helper()
	head := elf.Header64{Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: headSize, Ehsize: headSize, Phentsize: progSize,
		Phnum: uint16(1 + len(b.loads))}
	copy(head.Ident[:], "\x7fELF\x02\x01\x01")
	start := uint64(headSize + progSize*(1+len(b.loads)))
	progs := []elf.Prog64{{Type: uint32(elf.PT_NOTE), Off: start, Filesz: uint64(len(b.notes))}}
	start += uint64(len(b.notes))
	for _, p := range b.loads {
		p.Type = uint32(elf.PT_LOAD)
		if p.Off != ^uint64(0) {
			p.Off += start
		}
		progs = append(progs, p)
	}
	var section []byte
	if b.many {
		section = make([]byte, 64)
		binary.LittleEndian.PutUint32(section[44:], uint32(head.Phnum))
		head.Phnum, head.Shoff = manySegments, start+uint64(len(b.data))
	}
	var out bytes.Buffer
	for _, part := range []any{head, progs, b.notes, b.data, section} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func opened(data []byte) (*File, error) {
	c := &File{memory: memory{file: bytes.NewReader(data)}, path: "vmcore", size: int64(len(data))}
	return c, c.parse()
}

var oneCPU = note(nil, "CORE", uint32(elf.NT_PRSTATUS), prstatus(1, amd64.Registers{RIP: 0xffffffff81000010}))

// TestOpen reads back what Write wrote.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	ram, err := os.Create(filepath.Join(dir, "ram"))
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	const low, high = 4 << 20, 2 << 20
	if err := ram.Truncate(low + high); err != nil {
		t.Fatal(err)
	}
	if _, err := ram.WriteAt([]byte("page of high memory"), low+0x1000); err != nil {
		t.Fatal(err)
	}
	regs := []amd64.Registers{{RIP: 0xffffffff81000010, RSP: 0xffffffff82003d30, RAX: 1, RBX: 2, RCX: 3, RDX: 4, RSI: 5, RDI: 6, RBP: 7, R8: 8, R9: 9, R10: 10,
		R11: 11, R12: 12, R13: 13, R14: 14, R15: 15, EFLAGS: 0x46, CS: 0x10, SS: 0x18, GSBase: 0xffff888000000000}, {RIP: 2}}
	path := filepath.Join(dir, "vmcore")
	err = Write(path, Machine{RAM: ram, CPUs: regs, Info: []byte("OSRELEASE=6.1.0\nNUMBER(phys_base)=-5\n"), State: []byte(`{"Form":1}`), StateRoom: 3,
		Ranges: []Range{{Size: low}, {Start: guest.FourGiB, Size: high, Offset: low}}, Image: Range{Start: 0x200000, Size: 0x100000, Virt: 0xffffffff81000000}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.CPUs) != 2 || c.CPUs[0].Registers != regs[0] || c.CPUs[1].Registers != regs[1] || c.CPUs[0].Control {
		t.Errorf("registers %+v", c.CPUs)
	}
	if c.InfoValue("OSRELEASE") != "6.1.0" || c.InfoValue("NUMBER(phys_base)") != "-5" || c.InfoValue("RELEASE") != "" || string(c.State) != `{"Form":1}` {
		t.Errorf("info %q, state %q", c.Info, c.State)
	}
	if l := c.Layout(); l != (guest.Layout{Low: low, High: high}) {
		t.Errorf("layout %v", l)
	}
	got := make([]byte, 19)
	if n, err := c.ReadPhysical(got, guest.FourGiB+0x1000); err != nil || string(got) != "page of high memory" {
		t.Errorf("read %q: %d, %v", got, n, err)
	}
	n, err := c.ReadPhysical(got, low-4)
	if fault, _ := errors.AsType[*guest.FaultError](err); n != 4 || fault == nil || fault.Addr != low || fault.Reason != guest.NoRAM {
		t.Errorf("read over the end of low memory: %d, %v", n, err)
	}
}

// TestSetState: a later state takes the place of the first one, as far as there is room, and nothing else of the file changes.
func TestSetState(t *testing.T) {
	ram, err := os.Create(filepath.Join(t.TempDir(), "ram"))
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	if _, err := ram.WriteAt(bytes.Repeat([]byte("memory. "), pageSize/8), 0); err != nil {
		t.Fatal(err)
	}
	m := Machine{RAM: ram, Ranges: []Range{{Size: pageSize}}, CPUs: []amd64.Registers{{RIP: 1}}, Info: []byte("OSRELEASE=6.1.0\n"), State: []byte("state"), StateRoom: 3}
	path := filepath.Join(t.TempDir(), "vmcore")
	if err := Write(path, m); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		set, want string
		ok        bool
	}{{"later", "later", true}, {"the last", "the last", true}, {"too large", "the last", false}, {"s", "s", true}} {
		before, _ := os.ReadFile(path)
		if err := SetState(path, []byte(tc.set)); (err == nil) != tc.ok {
			t.Errorf("%q: %v", tc.set, err)
		}
		c, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(c.State) != tc.want || c.InfoValue("OSRELEASE") != "6.1.0" || len(c.CPUs) != 1 {
			t.Errorf("%q: state %q, info %q", tc.set, c.State, c.Info)
		}
		c.Close()
		after, _ := os.ReadFile(path)
		if len(after) != len(before) || !bytes.Equal(after[len(after)-pageSize:], before[len(before)-pageSize:]) {
			t.Errorf("%q: the memory has changed", tc.set)
		}
	}
	m.State = nil
	if err := Write(path, m); err != nil {
		t.Fatal(err)
	}
	if err := SetState(path, []byte("s")); err == nil {
		t.Error("a core without a state took one")
	}
}

// TestMemory: overlapping pieces, pages of zeros that are left out, device memory, and the count of segments beside the header.
func TestMemory(t *testing.T) {
	b := built{notes: oneCPU, data: []byte("abcdefghijklmnop"), many: true, loads: []elf.Prog64{
		{Paddr: 0x1000, Filesz: 8, Memsz: 8},
		{Paddr: 0x1004, Off: 4, Filesz: 8, Memsz: 12},            // the same bytes again, and more, and zeros
		{Paddr: 0xfee00000, Off: ^uint64(0), Memsz: 0x1000},      // QEMU's mark of no RAM
		{Paddr: 1 << 50, Off: 0, Filesz: 1, Memsz: 1},            // nowhere
		{Paddr: 0x2000, Filesz: 8, Memsz: 4},                     // more than there is
		{Paddr: guest.FourGiB - 2, Off: 12, Filesz: 4, Memsz: 4}, // on both sides
	}}
	c, err := opened(b.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		at   uint64
		want string
		n    int
	}{
		{0x1000, "abcdefghijkl\x00\x00\x00\x00", 16}, {0x1006, "ghij", 4}, {0x100b, "l\x00\x00\x00\x00?", 5}, {0xfff, "?", 0}, {guest.FourGiB - 2, "mnop", 4},
		{0xfee00000, "?", 0}, {0x2000, "?", 0}, {1 << 50, "?", 0}, {^uint64(0), "??", 0},
	} {
		p := bytes.Repeat([]byte("?"), len(tc.want))
		if n, err := c.ReadPhysical(p, tc.at); n != tc.n || string(p) != tc.want || (err == nil) != (n == len(p)) {
			t.Errorf("0x%x: %q, %d, %v; want %q, %d", tc.at, p, n, err, tc.want, tc.n)
		}
	}
	if l := c.Layout(); l != (guest.Layout{Low: guest.FourGiB, High: 2}) {
		t.Errorf("layout %v", l)
	}
}

// qemuState is a QEMUCPUState with the fields that are read.
func qemuState(cs uint32) []byte {
	b := make([]byte, qemuGSBase+8)
	le := binary.LittleEndian
	le.PutUint32(b, 1)
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint32(b[qemuSegments+8:], cs)
	for i, v := range []uint64{amd64.CR0PE | amd64.CR0PG, 0, 0x30, 0x1234000, amd64.CR4PAE} {
		le.PutUint64(b[qemuCR+8*i:], v)
	}
	le.PutUint32(b[qemuSegments+qemuSegment*segIDT+4:], 0xfff)
	le.PutUint64(b[qemuSegments+qemuSegment*segIDT+16:], 0xfffffe0000000000)
	le.PutUint64(b[qemuSegments+qemuSegment*segGS+16:], 0xffff888000001000)
	le.PutUint64(b[qemuGSBase:], 7)
	return b
}

func TestQEMUNote(t *testing.T) {
	b := built{notes: note(note(bytes.Clone(oneCPU), "QEMU", 0, qemuState(flagsLong)), "QEMU", 0, qemuState(0)), data: []byte("x"), loads: []elf.Prog64{{Filesz: 1, Memsz: 1}}}
	c, err := opened(b.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	want := CPU{Control: true, IDTBase: 0xfffffe0000000000, IDTLimit: 0xfff, Registers: amd64.Registers{RIP: 0xffffffff81000010, CR0: amd64.CR0PE | amd64.CR0PG,
		CR2: 0x30, CR3: 0x1234000, CR4: amd64.CR4PAE, EFER: amd64.EFERLME | amd64.EFERLMA, GSBase: 0xffff888000001000, KernelGSBase: 7}}
	if len(c.CPUs) != 1 || c.CPUs[0] != want {
		t.Errorf("%+v, want %+v", c.CPUs, want)
	}
}

// TestRefusals: what is no core of ours to read is said in one line.
func TestRefusals(t *testing.T) {
	good := built{notes: oneCPU, data: []byte("0123456789"), loads: []elf.Prog64{{Filesz: 10, Memsz: 10}}}
	changed := func(at int, v byte) []byte {
		b := good.bytes(t)
		b[at] = v
		return b
	}
	whole := good.bytes(t)
	for _, tc := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "is empty", nil}, {"text", "not a core: no ELF file", []byte("hello, this is no core")},
		{"kdump", "a kdump-compressed dump, not an ELF core", []byte("KDUMP   " + strings.Repeat("\x00", 100))}, {"diskdump", "diskdump", []byte("DISKDUMP")},
		{"flattened", "flattened", []byte("makedumpfile\x00\x00\x00\x00")}, {"a few bytes of one", "truncated core", whole[:20]},
		{"without its segments", "its segments' headers", whole[:70]}, {"without its notes", "its notes", whole[:200]},
		{"without its end", " with its memory", whole[:len(whole)-3]}, {"32 bits", "32 bits", changed(4, 1)}, {"big-endian", "big-endian", changed(5, 2)},
		{"a program", "not a core", changed(16, 2)}, {"arm64", "EM_AARCH64", changed(18, 183)}, {"odd headers", "program headers of 12 bytes", changed(54, 12)},
		{"no memory", "without memory", built{notes: oneCPU}.bytes(t)},
		{"a process", "a core of a process, not of a machine", built{notes: note(bytes.Clone(oneCPU), "CORE", ntAuxv, make([]byte, 32)), data: []byte("x"), loads: []elf.Prog64{{Filesz: 1, Memsz: 1}}}.bytes(t)},
		{"no registers", "without the registers", built{data: []byte("x"), loads: []elf.Prog64{{Filesz: 1, Memsz: 1}}}.bytes(t)},
	} {
		_, err := opened(tc.data)
		if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "vmcore: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	if _, err := Open(t.TempDir()); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "a directory") {
		t.Errorf("a directory: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pipe); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a named pipe that nobody writes to: %v", err)
	}
	if _, err := Open("no/such/core"); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}

// FuzzOpen: whatever the file says, it is refused or it can be read, and both end.
func FuzzOpen(f *testing.F) {
	b := built{notes: note(note(bytes.Clone(oneCPU), "QEMU", 0, qemuState(flagsLong)), "VMCOREINFO", 0, []byte("OSRELEASE=6.1\n")), data: []byte("0123456789"),
		loads: []elf.Prog64{{Filesz: 10, Memsz: 12}, {Paddr: 4, Filesz: 3, Memsz: 3}}}
	f.Add(b.bytes(f), uint64(3))
	b.many = true
	f.Add(b.bytes(f), uint64(11))
	f.Fuzz(func(t *testing.T, data []byte, at uint64) {
		c, err := opened(data)
		if err != nil {
			if blame.Of(err) != blame.Usage || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			return
		}
		if len(c.CPUs) == 0 {
			t.Error("no registers and no error")
		}
		c.InfoValue("OSRELEASE")
		if l := c.Layout(); l.Low > guest.FourGiB || l.High > maxPhysical {
			t.Errorf("layout %v", l)
		}
		p := make([]byte, 20)
		if n, err := c.ReadPhysical(p, at); (err == nil) != (n == len(p)) || n > len(p) {
			t.Errorf("read 0x%x: %d, %v", at, n, err)
		}
	})
}
