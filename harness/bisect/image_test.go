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
	obj := t.TempDir()
	small, err := os.ReadFile("/bin/true") // any ELF file does for an object of the decompressor
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"arch/x86/boot/main.o", "arch/x86/boot/compressed/misc.o"} {
		if err := os.MkdirAll(filepath.Join(obj, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(obj, name), small, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "vmlinux")
	hash := func() string {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		h, err := imageHash(name, obj, "6.1.192-kcatch")
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	flip := func(section string) {
		s := f.Section(section)
		if s == nil {
			t.Fatalf("no section %s", section)
		}
		data[s.Offset+s.FileSize/2] ^= 0xff
	}
	plain := hash()
	for section, changes := range map[string]bool{".text": true, ".init.text": true, ".data": true, ".rodata": true, ".notes": false, ".debug_info": false} {
		flip(section)
		if got := hash(); (got != plain) != changes {
			t.Errorf("a byte of %s: the hash changes: %v", section, got != plain)
		}
		flip(section)
	}
	at := bytes.Index(data, []byte("6.1.192-kcatch"))
	if at < 0 {
		t.Fatal("the release is not in the kernel")
	}
	copy(data[at:], "6.1.193-kcatch")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := imageHash(name, obj, "6.1.193-kcatch"); err != nil || got == plain && bytes.Count(data, []byte("6.1.192-kcatch")) > 0 {
		t.Errorf("only one of several mentions of the release was changed: %v %v", got == plain, err)
	}
	data = bytes.ReplaceAll(data, []byte("6.1.192-kcatch"), []byte("6.1.193-kcatch"))
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := imageHash(name, obj, "6.1.193-kcatch"); err != nil || got != plain {
		t.Errorf("another release, the same kernel: the hash differs: %v", err)
	}
	if err := os.Remove(filepath.Join(obj, "arch/x86/boot/main.o")); err != nil {
		t.Fatal(err)
	}
	if _, err := imageHash(name, obj, ""); err == nil {
		t.Error("without the objects of arch/x86/boot there is no hash")
	}
}
