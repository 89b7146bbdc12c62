package harness

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestSourceOfAForeignVmlinux: the chain of an early exception is rehearsed while the boot goes on and asks for source, too. The race
// detector is what tells.
func TestSourceOfAForeignVmlinux(t *testing.T) {
	b := &boot{plan: Plan{Vmlinux: t.TempDir() + "/vmlinux"}}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				if _, err := b.source("mm/mm_init.c"); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("source: %v", err)
				}
				b.patched("mm/mm_init.c", "x")
			}
		})
	}
	wg.Wait()
}

// TestSourcesOfABuild: the tiny kernel lies in the cache, and its patched file is given as it was built; nothing outside of its tree is.
func TestSourcesOfABuild(t *testing.T) {
	k := fixtures.Find(t, fixtures.Seed61)
	f, err := vmlinux.Open(k.Vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	id := f.BuildID()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := Sources(k.Vmlinux, id)("include/linux/page-flags.h")
	if err != nil || !strings.Contains(string(text), "VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page)") {
		t.Errorf("the patched file: %d bytes, %v", len(text), err)
	}
	for _, c := range []struct{ vmlinux, id, file, want string }{
		{k.Vmlinux, id, "../../../etc/passwd", "outside the kernel tree"},
		{k.Vmlinux, "1234", "mm/page_alloc.c", "is of another build: build-id " + id},
		{k.Vmlinux + "-none", "", "mm/page_alloc.c", "no such file"},
		{"", "", "mm/page_alloc.c", "is not known"},
	} {
		if text, err := Sources(c.vmlinux, c.id)(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %d bytes, %v", c, len(text), err)
		}
	}
}

// TestSourceOfATree: files inside the tree that a vmlinux names, none newer than it, and no device.
func TestSourceOfATree(t *testing.T) {
	tree := t.TempDir()
	elf := filepath.Join(tree, "vmlinux")
	for _, name := range []string{"old.c", "vmlinux", "new.c"} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(tree, "new.c"), time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(tree, "fifo.c"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := treeSource(tree+"/", elf, "old.c"); err != nil || string(text) != "old.c" {
		t.Errorf("old.c: %q, %v", text, err)
	}
	for _, c := range []struct{ prefix, file, want string }{
		{tree + "/", "new.c", "has changed since"}, {tree + "/", "fifo.c", "not a regular file"}, {tree + "/", "../x", "does not exist"},
		{"", "old.c", "does not exist"}, {tree + "/", "none.c", "no such file"},
	} {
		if text, err := treeSource(c.prefix, elf, c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v; want %q", c.file, text, err, c.want)
		}
	}
}
