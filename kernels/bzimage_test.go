package kernels

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// vmlinuxWith makes the smallest ELF with a build-id: header, one PT_NOTE, the note.
func vmlinuxWith(id []byte) []byte {
	var b bytes.Buffer
	h := elf.Header64{Type: 2, Machine: 62, Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 4096, Filesz: uint64(32 + len(id))})
	b.Write(make([]byte, 4096-b.Len()))
	b.WriteString("\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00Xen\x00")
	binary.Write(&b, binary.LittleEndian, [3]uint32{4, uint32(len(id)), 3})
	b.WriteString("GNU\x00")
	b.Write(id)
	code := make([]byte, 1<<19) // enough E8 and E9 for xz's x86 filter, in runs that exercise its memory
	rand.New(rand.NewSource(1)).Read(code)
	for i := range code {
		switch {
		case code[i] < 40:
			code[i] = 0xe8 + code[i]&1
		case code[i] < 100:
			code[i] = -(code[i] & 1)
		}
	}
	b.Write(code)
	return b.Bytes()
}

// imageWith makes a boot image around a payload.
func imageWith(payload []byte) []byte {
	img := make([]byte, 1024+16)
	img[offSetupSects] = 1
	binary.LittleEndian.PutUint16(img[offBootFlag:], 0xaa55)
	copy(img[offMagic:], "HdrS")
	binary.LittleEndian.PutUint16(img[offProtocol:], 0x20f)
	binary.LittleEndian.PutUint16(img[offKernelVersion:], 0x100)
	copy(img[0x300:], "6.1.9-test (a@b) #1 SMP\x00")
	binary.LittleEndian.PutUint32(img[offAlignment:], 0x200000)
	binary.LittleEndian.PutUint64(img[offPrefAddress:], 0x1000000)
	binary.LittleEndian.PutUint32(img[offInitSize:], 0x800000)
	binary.LittleEndian.PutUint32(img[offPayloadOffset:], 16)
	binary.LittleEndian.PutUint32(img[offPayloadLength:], uint32(len(payload)))
	return append(img, payload...)
}

func TestBzImage(t *testing.T) {
	id := bytes.Repeat([]byte{0xab, 0xcd}, 10)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(vmlinuxWith(id))
	w.Close()
	b, err := ParseBzImage(imageWith(z.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if b.KernelVersion() != "6.1.9-test" || b.Alignment != 0x200000 || b.PrefAddress != 0x1000000 || b.InitSize != 0x800000 || b.Format != Gzip || b.Protocol != 0x20f {
		t.Errorf("%+v", b)
	}
	if got, err := b.BuildID(); err != nil || got != hex.EncodeToString(id) {
		t.Errorf("build-id %s, %v", got, err)
	}
}

// Each compressor as the kernel's build calls it (scripts/Makefile.lib), with the 4 bytes of size_append behind it.
func TestPayloadFormats(t *testing.T) {
	id := bytes.Repeat([]byte{1, 2}, 10)
	raw := filepath.Join(t.TempDir(), "vmlinux")
	elf := vmlinuxWith(id)
	if err := os.WriteFile(raw, elf, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format Format
		cmd    string
		size   bool
	}{
		{Gzip, "gzip -n -f -9 -c", false}, {Bzip2, "bzip2 -9 -c", true}, {LZMA, "xz --format=lzma -9 -c", true}, {XZ, "xz --check=crc32 --x86 --lzma2=dict=32MiB -c", true},
		{LZ4, "lz4 -l -9 -c", true}, {Zstd, "zstd -19 -q -c", true}, {LZO, "lzop -9", true}, {Plain, "cat", false},
	} {
		t.Run(c.format.String(), func(t *testing.T) {
			tool, _, _ := strings.Cut(c.cmd, " ")
			_, err := exec.LookPath(tool)
			fixtures.Need(t, err == nil, tool, "make test-deps")
			payload, err := exec.Command("sh", "-c", c.cmd+" < "+raw).Output()
			if err != nil {
				t.Fatal(err)
			}
			if c.size {
				payload = binary.LittleEndian.AppendUint32(payload, uint32(len(elf)))
			}
			b, err := ParseBzImage(imageWith(payload))
			if err != nil {
				t.Fatal(err)
			}
			if b.Format != c.format {
				t.Errorf("format %v", b.Format)
			}
			if got, err := b.BuildID(); err != nil || got != hex.EncodeToString(id) {
				t.Errorf("build-id %s, %v", got, err)
			}
			r, err := b.Payload()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, elf) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(elf))
			}
			cut, err := ParseBzImage(imageWith(payload[:len(payload)/2]))
			if err == nil {
				_, err = cut.BuildID()
			}
			_ = err // a cut payload may still hold the note; it must only not panic
		})
	}
}

// Oracle: readelf -n vmlinux and the release in the file names (binutils 2.40).
func TestRealBzImage(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			b, err := ReadBzImage(k.BzImage)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.BuildID()
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.Open(k.Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			notes, err := f.Section(".notes").Data()
			if err != nil {
				t.Fatal(err)
			}
			if want, _ := gnuBuildID(notes); got != want || got == "" {
				t.Errorf("build-id %s, vmlinux has %s", got, want)
			}
			if !strings.HasPrefix(b.KernelVersion(), "6.1") {
				t.Errorf("version %q", b.Version)
			}
		})
	}
}

// TestUnpack: the payload is the whole vmlinux without symbols; packed by lzop (1.04) it comes back the same.
func TestUnpack(t *testing.T) {
	b, err := ReadBzImage(fixtures.Find(t, fixtures.Seed61).BzImage)
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := b.Unpack()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(kernel))
	if err != nil || f.Section(".orc_unwind") == nil || f.Section(".symtab") != nil {
		t.Fatalf("%v: no stripped vmlinux", err)
	}
	lzop, err := exec.LookPath("lzop")
	fixtures.Need(t, err == nil, "lzop", "make test-deps")
	cmd := exec.Command(lzop, "-9")
	cmd.Stdin = bytes.NewReader(kernel)
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newLZOPayload(packed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, kernel) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(kernel))
	}
}

// FuzzLZO1X: damaged blocks are errors, or no longer than they say.
func FuzzLZO1X(f *testing.F) {
	f.Add([]byte{0x14, 'a', 'b', 'c', 0x20, 0x05, 0x00, 0x00, 0x11, 0x00, 0x00}, 100)
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		size &= lzoBlock - 1
		if out, err := unpackLZO1X(nil, src, size); err == nil && len(out) != size {
			t.Fatalf("%d bytes of %d", len(out), size)
		}
	})
}

func TestNotABzImage(t *testing.T) {
	dir := t.TempDir()
	cut := imageWith(make([]byte, 100))
	old := imageWith(make([]byte, 100))
	old[offProtocol], old[offProtocol+1] = 0x06, 0x02
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty": {nil, "the file is empty"}, "elf": {vmlinuxWith(nil), "ELF"}, "text": {[]byte("hello"), "5 bytes"}, "script": {[]byte("#!/bin/sh\n"), "script"},
		"cpio": {[]byte("070701000"), "cpio"}, "gz": {[]byte("\x1f\x8b\x08aaaa"), "gzip"}, "zeros": {make([]byte, 4096), "HdrS"},
		"cut": {cut[:len(cut)-50], "cut off"}, "old": {old, "too old"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadBzImage(file)
		wantBlame(t, err, blame.Usage, file, c.want)
	}
	_, err := ReadBzImage(dir)
	wantBlame(t, err, blame.Usage, "not a regular file")
	_, err = ReadBzImage(filepath.Join(dir, "none"))
	wantBlame(t, err, blame.Usage, "no such file")
}

func FuzzBzImage(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(vmlinuxWith([]byte("0123456789"))[:5000])
	w.Close()
	f.Add(imageWith(z.Bytes()))
	for _, magic := range magics {
		f.Add(imageWith([]byte(magic.magic + "0123456789abcdef0123456789")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBzImage(data)
		if err != nil {
			if b != nil {
				t.Error("error and value")
			}
			return
		}
		b.KernelVersion()
		if id, err := b.BuildID(); (err == nil) == (id == "") {
			t.Error("error and value, or neither")
		}
	})
}
