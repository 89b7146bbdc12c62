package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kcatch/gdb/amd64"
)

// words takes numbers from the fuzzer's bytes; past their end all are zero.
type words []byte

func (w *words) byte() int {
	if len(*w) == 0 {
		return 0
	}
	b := (*w)[0]
	*w = (*w)[1:]
	return int(b)
}

// word is eight bytes, or, so that ranges within the RAM are not one in 2^64, a small number of pages or of bytes.
func (w *words) word() uint64 {
	switch w.byte() % 4 {
	case 0:
		return uint64(w.byte()) * pageSize
	case 1:
		return uint64(w.byte())
	case 2:
		return uint64(w.byte()) << 56 // where sums overflow
	}
	var b [8]byte
	for i := range b {
		b[i] = byte(w.byte())
	}
	return binary.LittleEndian.Uint64(b[:])
}

func (w *words) piece() Range {
	return Range{Start: w.word(), Size: w.word(), Offset: w.word(), Virt: w.word()}
}

// fuzzRAM is the RAM file of the fuzzer's machines: 64 pages with data in some, zeros written in one, holes elsewhere,
// and an end that is no page's.
const fuzzRAM = 64*pageSize - 100

func makeFuzzRAM(t testing.TB, dir string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ram"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(fuzzRAM); err != nil {
		t.Fatal(err)
	}
	for i, page := range []int64{0, 1, 7, 8, 9, 40, 62} {
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(i)}, pageSize), page*pageSize); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// FuzzCore: an error and no file, or a core that debug/elf reads back to the last byte: every range as a segment with the
// RAM's content, the kernel's own mapping where it lies in one, a note for each vCPU and the VMCOREINFO.
func FuzzCore(f *testing.F) {
	f.Add([]byte{})
	// Two ranges of 4 and 60 pages, split at 4 GiB as a real machine's; an image in the first; one vCPU; a note.
	f.Add([]byte("\x02" + "\x00\x00\x00\x04\x00\x00\x00\x00" + "\x03\x00\x00\x00\x00\x01\x00\x00\x00\x00\x3b\x00\x04\x03\x00\x00\x00\x00\x81\x88\xff\xff" +
		"\x00\x01\x00\x02\x00\x00\x01\x00" + "\x01OSRELEASE=6.1\n"))
	f.Add([]byte("\x01\x02\xff\x02\xff\x02\xff\x02\xff\x02\xff\x02\xff\x01\x01")) // sums that overflow
	f.Add([]byte("\x01\x00\x00\x00\x40\x00\x00"))                                 // past the end of the RAM file
	dir := f.TempDir()
	ram, path := makeFuzzRAM(f, dir), filepath.Join(dir, "vmcore")
	f.Fuzz(func(t *testing.T, data []byte) {
		w := words(data)
		m := Machine{RAM: ram}
		for range w.byte() % 5 {
			m.Ranges = append(m.Ranges, w.piece())
		}
		m.Image = w.piece()
		for i := range w.byte() % 4 {
			m.CPUs = append(m.CPUs, amd64.Registers{RIP: w.word(), RSP: w.word(), R15: uint64(i), CS: uint16(w.word())})
		}
		if len(w) > 0 {
			m.Info = w
		}
		if err := Write(path, m); err != nil {
			if _, serr := os.Lstat(path); serr == nil {
				t.Fatalf("%+v: a file is left behind the error %v", m, err)
			}
			return
		}
		defer os.Remove(path)
		if err := readBack(path, m); err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
	})
}

// readBack compares a core with what it was made of.
func readBack(path string, m Machine) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	want := 1 + len(m.Ranges)
	if m.Image.Size > 0 {
		want++
	}
	if f.Type != elf.ET_CORE || f.Machine != elf.EM_X86_64 || len(f.Progs) != want {
		return fmt.Errorf("type %v, machine %v, %d segments of %d", f.Type, f.Machine, len(f.Progs), want)
	}
	for i, r := range m.Ranges {
		p := f.Progs[1+i]
		if p.Type != elf.PT_LOAD || p.Paddr != r.Start || p.Vaddr != r.Virt || p.Memsz != r.Size {
			return fmt.Errorf("range %d: segment %+v", i, p.ProgHeader)
		}
		if err := sameBytes(p, m.RAM, r.Offset, r.Size); err != nil {
			return fmt.Errorf("range %d: %w", i, err)
		}
	}
	if m.Image.Size > 0 {
		if err := imageBack(f.Progs[want-1], m); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	return notesBack(f.Progs[0], m)
}

// imageBack wants the mapping with the bytes of the range that it lies in; PT_NULL where it lies in none.
func imageBack(p *elf.Prog, m Machine) error {
	inside := false
	for _, r := range m.Ranges {
		end, iend := r.Start+r.Size, m.Image.Start+m.Image.Size
		if end < r.Start || iend < m.Image.Start || m.Image.Start < r.Start || iend > end {
			continue
		}
		inside = true
		if p.Paddr == m.Image.Start && p.Vaddr == m.Image.Virt && sameBytes(p, m.RAM, r.Offset+m.Image.Start-r.Start, m.Image.Size) == nil {
			return nil
		}
	}
	if inside || p.Type != elf.PT_NULL {
		return fmt.Errorf("segment %+v", p.ProgHeader)
	}
	return nil
}

func sameBytes(p *elf.Prog, ram io.ReaderAt, at, size uint64) error {
	got, want := make([]byte, size), make([]byte, size)
	if _, err := io.ReadFull(p.Open(), got); err != nil {
		return err
	}
	if _, err := ram.ReadAt(want, int64(at)); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("0x%x bytes differ from the RAM's at 0x%x", size, at)
	}
	return nil
}

// notesBack reads the notes by elf(5): namesz, descsz, type, the name and the description padded to four bytes.
func notesBack(p *elf.Prog, m Machine) error {
	data, err := io.ReadAll(p.Open())
	if err != nil {
		return err
	}
	pad := func(n int) int { return (n + 3) &^ 3 }
	next := func() (name string, desc []byte, err error) {
		if len(data) < 12 {
			return "", nil, io.ErrUnexpectedEOF
		}
		n, d := int(binary.LittleEndian.Uint32(data)), int(binary.LittleEndian.Uint32(data[4:]))
		if 12+pad(n)+pad(d) > len(data) || n < 1 {
			return "", nil, fmt.Errorf("note with a name of %d and a text of %d bytes: %w", n, d, io.ErrUnexpectedEOF)
		}
		name, desc = string(data[12:12+n-1]), data[12+pad(n):12+pad(n)+d]
		data = data[12+pad(n)+pad(d):]
		return name, desc, nil
	}
	for i, r := range m.CPUs {
		name, desc, err := next()
		if err != nil {
			return err
		}
		if name != "CORE" || len(desc) != prstatusSize || binary.LittleEndian.Uint64(desc[prReg+16*8:]) != r.RIP ||
			binary.LittleEndian.Uint64(desc[prReg:]) != r.R15 || binary.LittleEndian.Uint32(desc[prPid:]) != uint32(i+1) {
			return fmt.Errorf("vCPU %d: note %s % x", i, name, desc)
		}
	}
	if m.Info != nil {
		name, desc, err := next()
		if err != nil || name != "VMCOREINFO" || !bytes.Equal(desc, m.Info) {
			return fmt.Errorf("note %s %q, %v", name, desc, err)
		}
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes behind the notes", len(data))
	}
	return nil
}
