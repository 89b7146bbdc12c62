package harness

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"kcatch/internal/fixtures"
)

// TestShelf: a file is opened once for as long as it stays the same.
func TestShelf(t *testing.T) {
	copyTo := func(path, from string) {
		in, err := os.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := os.Create(path + ".new")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	var s Shelf
	defer s.Close()
	path := filepath.Join(t.TempDir(), "vmlinux")
	if k, err := s.kernel(path); err == nil {
		t.Errorf("%s is open, and is not there", k.Path())
	}
	copyTo(path, fixtures.Find(t, fixtures.Good61).Vmlinux)
	one, err := s.kernel(path)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := s.kernel(path); err != nil || two != one {
		t.Errorf("it was opened again, %v", err)
	}
	copyTo(path, fixtures.Find(t, fixtures.Seed61).Vmlinux)
	three, err := s.kernel(path)
	if err != nil || three == one || three.BuildID() == one.BuildID() {
		t.Errorf("another file, and the kernel of the one before: %v", err)
	}
	// A guest with modules has a kernel of its own.
	b := boot{plan: Plan{Vmlinux: path, Modules: "dir", Shelf: &s}}
	if k, err := b.openKernel(); err != nil || k == three || b.shelved {
		t.Errorf("shelved %v, %v", b.shelved, err)
	} else {
		b.kernel = k
		b.closeKernel()
	}
	b = boot{plan: Plan{Vmlinux: path, Shelf: &s}}
	if b.kernel, err = b.openKernel(); err != nil || b.kernel != three {
		t.Fatal(err)
	}
	b.closeKernel()
	if _, ok := three.Symbol("start_kernel"); !ok {
		t.Error("a boot has closed what is the shelf's")
	}
}
