package bisect

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"kcatch/internal/fixtures"
)

// What decides over a boot changes the hash of a real kernel, and what does not does not.
func TestImageHash(t *testing.T) {
	data, err := os.ReadFile(fixtures.Find(t, fixtures.Good61).Vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"arch/x86/boot/main.o", "arch/x86/boot/compressed/misc.o"} {
		small, err := os.ReadFile("/bin/true") // any ELF file does for an object of the decompressor
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), small, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "vmlinux")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(b []byte, at int) {
		if _, err := file.WriteAt(b, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(release string) string {
		h, err := ImageHash(name, dir, release)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	const release, next = "6.1.192-kcatch", "6.1.193-kcatch"
	plain := hash(release)
	for section, changes := range map[string]bool{".text": true, ".init.text": true, ".data": true, ".rodata": true, ".notes": false, ".debug_info": false} {
		s := f.Section(section)
		if s == nil {
			t.Fatalf("no section %s", section)
		}
		at := int(s.Offset + s.FileSize/2)
		write([]byte{^data[at]}, at)
		if got := hash(release); (got != plain) != changes {
			t.Errorf("a byte of %s: the hash changes: %v", section, got != plain)
		}
		write(data[at:at+1], at)
	}
	n := 0
	for at := 0; ; at++ {
		i := bytes.Index(data[at:], []byte(release))
		if i < 0 {
			break
		}
		at += i
		write([]byte(next), at)
		n++
	}
	if got := hash(next); n == 0 || got != plain {
		t.Errorf("another release in %d places, the same kernel: the hash differs", n)
	}
	if hash(release) == plain {
		t.Error("a release that is not the build's is part of the kernel")
	}
	if err := os.Remove(filepath.Join(dir, "arch/x86/boot/main.o")); err != nil {
		t.Fatal(err)
	}
	if _, err := ImageHash(name, dir, ""); err == nil {
		t.Error("without the objects of arch/x86/boot there is no hash")
	}
}
