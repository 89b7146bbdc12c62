package images

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
	"kcatch/internal/ko"
)

// TestPackDebian packs a part of Debian's module trees that needs nothing of the rest (6.1: plain .ko; 6.12: .ko.xz). The oracle of modules.dep is busybox's
// depmod, which matches the symbols that modules export and use, where ours goes by .modinfo.
func TestPackDebian(t *testing.T) {
	// All of them take their time, with xz and with gzip: 6.12 goes without its file systems, which are two thirds of these.
	for name, parts := range map[string][]string{fixtures.Cloud61: {"arch", "crypto", "lib", "fs"}, fixtures.Cloud612: {"arch", "crypto", "lib"}} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			fixtures.Need(t, k.Modules != "", "the modules of "+name, "make fixtures")
			tree, err := FindModules(k.Modules)
			if err != nil {
				t.Fatal(err)
			}
			if tree.Release != filepath.Base(k.Modules) {
				t.Errorf("release %q, want that of %s", tree.Release, k.Modules)
			}
			tree.Files = slices.DeleteFunc(tree.Files, func(f ko.File) bool {
				part, _, _ := strings.Cut(strings.TrimPrefix(f.Rel, "kernel/"), "/")
				return !slices.Contains(parts, part)
			})
			if len(tree.Files) < 100 {
				t.Fatalf("%d modules", len(tree.Files))
			}
			plain := unpackTo(t, tree, 1<<30)
			base := filepath.Join(plain, "lib/modules", tree.Release)
			got := readDependencies(t, filepath.Join(base, "modules.dep"))
			if len(got) != len(tree.Files) {
				t.Errorf("modules.dep has %d lines for %d modules", len(got), len(tree.Files))
			}
			out, err := exec.Command(busybox(t), "depmod", "-b", plain, tree.Release).CombinedOutput() // writes over ours
			if err != nil {
				t.Fatalf("busybox depmod: %v\n%s", err, out)
			}
			want := readDependencies(t, filepath.Join(base, "modules.dep"))
			for m, needs := range want {
				if !slices.Equal(slices.Sorted(slices.Values(needs)), slices.Sorted(slices.Values(got[m]))) {
					t.Errorf("%s: %q, depmod has %q", m, got[m], needs)
				}
				for i, d := range got[m] { // what stands further back is loaded first
					for _, later := range got[m][:i] {
						if slices.Contains(got[d], later) {
							t.Errorf("%s: %s stands before %s, which needs it", m, later, d)
						}
					}
				}
			}
			if name == fixtures.Cloud612 {
				return // xz takes its time; once is enough
			}
			var size int64
			for _, f := range tree.Files {
				size += f.Size
			}
			b, err := tree.Pack(uint64(size) / 2)
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(b)) > size/2+2<<20 || !bytes.Contains(b, []byte("kernel/fs/xfs/xfs.ko.gz: kernel/lib/libcrc32c.ko.gz\n")) {
				t.Errorf("%d bytes, or modules.dep does not name what is there", len(b))
			}
			for _, m := range read(t, b) {
				if !strings.HasSuffix(m.name, "/xfs.ko.gz") {
					continue
				}
				z, err := gzip.NewReader(bytes.NewReader(m.data))
				if err != nil {
					t.Fatal(err)
				}
				data, err := io.ReadAll(z)
				want, werr := os.ReadFile(filepath.Join(k.Modules, "kernel/fs/xfs/xfs.ko"))
				if err != nil || werr != nil || !bytes.Equal(data, want) { // Debian's are signed, and so stay as they are
					t.Errorf("xfs.ko.gz is not xfs.ko: %v, %v", err, werr)
				}
			}
			if _, err := tree.Pack(uint64(size) / 8); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "do not fit") {
				t.Errorf("an eighth is enough: %v", err)
			}
		})
	}
}

// unpackTo packs a tree and writes what is in the archive into a directory.
func unpackTo(t *testing.T, tree ModuleTree, room uint64) string {
	t.Helper()
	b, err := tree.Pack(room)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, m := range read(t, b) {
		p := filepath.Join(dir, m.name)
		switch m.mode &^ 0o7777 {
		case modeDir:
			err = os.MkdirAll(p, 0o755)
		case modeRegular:
			err = os.WriteFile(p, m.data, 0o644)
		case modeSymlink:
			if m.name != "sbin/modprobe" || string(m.data) != "../bin/busybox" {
				t.Errorf("%s -> %s", m.name, m.data)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readDependencies(t *testing.T, path string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	deps := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		m, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%s: %q", path, line)
		}
		deps[m] = strings.Fields(needs)
	}
	return deps
}

// TestPackOwn: a module as its build leaves it lands without its debug information, and with the sections that the kernel
// reads unchanged.
func TestPackOwn(t *testing.T) {
	for _, name := range []string{fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			fixtures.Need(t, k.FaultyModules != "", "the faulty module of "+name, "make fixtures")
			tree, err := FindModules(k.FaultyModules)
			if err != nil {
				t.Fatal(err)
			}
			was, err := os.ReadFile(filepath.Join(k.FaultyModules, "kcatch_mod.ko"))
			if err != nil {
				t.Fatal(err)
			}
			dir := unpackTo(t, tree, 1<<20)
			is, err := os.ReadFile(filepath.Join(dir, "lib/modules", tree.Release, "kcatch_mod.ko"))
			if err != nil {
				t.Fatal(err)
			}
			if len(is) > len(was)/4 {
				t.Errorf("%d of %d bytes are left", len(is), len(was))
			}
			a, err := elf.NewFile(bytes.NewReader(was))
			if err != nil {
				t.Fatal(err)
			}
			b, err := elf.NewFile(bytes.NewReader(is))
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range a.Sections {
				if strings.Contains(s.Name, ".debug_") {
					if b.Sections[i].Type != elf.SHT_NULL || b.Sections[i].Size != 0 {
						t.Errorf("%s is still there", s.Name)
					}
					continue
				}
				want, err1 := s.Data()
				got, err2 := b.Sections[i].Data()
				if s.Type != elf.SHT_NOBITS && (err1 != nil || err2 != nil || !bytes.Equal(want, got)) || s.Flags != b.Sections[i].Flags || s.Link != b.Sections[i].Link {
					t.Errorf("%s has changed", s.Name)
				}
			}
		})
	}
}

func TestFindModulesRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("empty/readme", "")
	write("text/x.ko", "no module")
	write("cut/x.ko.xz", "\xfd7zXZ\x00")
	write("cutgz/x.ko.gz", "\x1f\x8b")
	write("debug/x.ko.debug", "no module")
	program, err := os.ReadFile(busybox(t))
	if err != nil {
		t.Fatal(err)
	}
	write("program/x.ko", string(program))
	for name, want := range map[string]string{
		"nonexistent": "no such file", "empty": "no modules in it", "text": "x.ko: not a module", "cut": "x.ko.xz: unpack module",
		"cutgz": "x.ko.gz: unpack module", "program": "not a module of an x86-64 kernel", "debug": "no modules in it",
	} {
		_, err := FindModules(filepath.Join(dir, name))
		if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}

// TestDependencies: the tree's own modules.dep counts where it has a module, and a ring ends.
func TestDependencies(t *testing.T) {
	mods := []packed{
		{path: "a.ko", name: "a", info: ko.Info{Depends: []string{"b", "c"}}}, {path: "b.ko", name: "b", info: ko.Info{Depends: []string{"c", "nowhere"}}},
		{path: "c.ko.gz", name: "c", info: ko.Info{}}, {path: "d.ko", name: "d", info: ko.Info{}},
		{path: "r1.ko", name: "r1", info: ko.Info{Depends: []string{"r2"}}}, {path: "r2.ko", name: "r2", info: ko.Info{Depends: []string{"r1"}}},
	}
	const want = "a.ko: b.ko c.ko.gz\nb.ko: c.ko.gz\nc.ko.gz:\nd.ko: a.ko b.ko c.ko.gz\nr1.ko: r2.ko\nr2.ko: r1.ko\n"
	if got := string(dependencies(mods, map[string][]string{"d.ko": {"a.ko"}})); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
