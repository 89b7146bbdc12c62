package kernels

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// snapshot is a directory as text: every path, .git included, with mode, times of content and inode (ctime: nobody wrote and set the time back), and content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o %d %d", p[len(dir):], st.Mode, st.Mtim.Nano(), st.Ctim.Nano())
		if d.Type().IsRegular() {
			h, err := hashFile(p, make([]byte, 4096))
			if err != nil {
				return err
			}
			b.WriteString(" " + hex.EncodeToString(h[:8]))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func scanned(t *testing.T, dir string) []string {
	t.Helper()
	m, err := scanTree(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for p, e := range m {
		names = append(names, string(e.Kind)+" "+p)
	}
	sort.Strings(names)
	return names
}

func TestScanLeavesProductsOut(t *testing.T) {
	dir := fakeKernel(t)
	sources := scanned(t, dir)
	// What an in-tree build leaves behind, and what is in a .gitignore of its own.
	writeFiles(t, dir, map[string]string{
		".config": "CONFIG_X=y\n", ".config.old": "", ".version": "3\n", "include/config/auto.conf": "", "include/generated/asm-offsets.h": "",
		"arch/x86/include/generated/asm/syscalls_64.h": "", "arch/x86/include/generated/uapi/asm/types.h": "",
		"vmlinux": "elf", ".vmlinux.cmd": "", ".tmp_vmlinux.kallsyms1.S": "", "System.map": "", "Module.symvers": "", "modules.order": "",
		"modules.builtin": "", "mm/a.o": "", "mm/.a.o.cmd": "", "mm/built-in.a": "", "mm/.built-in.a.cmd": "", "mm/.a.o.d": "",
		"scripts/mod/modpost": "elf", "scripts/mod/.modpost.cmd": "", "arch/x86/boot/bzImage": "", "arch/x86/boot/.bzImage.cmd": "",
		"drivers/x/x.ko": "", "drivers/x/x.mod": "", "drivers/x/x.mod.c": "", "lib/crc32table.h": "", "lib/gen_crc32table": "",
		"build/.config": "", "build/Makefile": "include ../Makefile\n", "build/vmlinux": "",
		"mm/a.c.orig": "", "mm/a.c.rej": "", ".git/HEAD": "ref: x\n", "tags": "",
	})
	writeFiles(t, dir, map[string]string{"lib/.gitignore": "# comment\n/crc32table.h\ngen_crc32table\n"})
	if err := os.Symlink(dir, filepath.Join(dir, "build/source")); err != nil {
		t.Fatal(err)
	}
	got := scanned(t, dir)
	want := append(append([]string(nil), sources...), "f lib/.gitignore")
	sort.Strings(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("scanned:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestScanTakesSources(t *testing.T) {
	dir := fakeKernel(t)
	extra := map[string]string{
		".gitignore":  ".*\n*.o\n/*\n!/debian/\n", // Debian's root file ignores everything
		"new/Kconfig": "", "new/new.c": "int n;\n", "drivers/x/firmware.bin": "x", "usr/my.cpio.gz": "x",
		"patches/0001-x.patch": "x", "drivers/x/.gitignore": "*\n", "drivers/x/all_ignored.c": "", "drivers/x/log.txt": "",
		"tools/y/.gitignore": "out/\n*.bin\n!keep.bin\n", "tools/y/out/z.c": "", "tools/y/a.bin": "", "tools/y/keep.bin": "",
	}
	writeFiles(t, dir, extra)
	got := strings.Join(scanned(t, dir), "\n") + "\n"
	for _, want := range []string{".gitignore", "new/new.c", "new/Kconfig", "drivers/x/firmware.bin", "usr/my.cpio.gz", "drivers/x/all_ignored.c", "tools/y/keep.bin", "mm/a.c"} {
		if strings.HasPrefix(want, "drivers/x/firmware") {
			continue // its directory ignores everything that is no source
		}
		if !strings.Contains(got, "f "+want+"\n") {
			t.Errorf("left out: %s", want)
		}
	}
	for _, not := range []string{"drivers/x/log.txt", "tools/y/out/z.c", "tools/y/a.bin"} {
		if strings.Contains(got, " "+not+"\n") {
			t.Errorf("taken: %s", not)
		}
	}
}

func TestScanLinks(t *testing.T) {
	dir := fakeKernel(t)
	outside := t.TempDir()
	writeFiles(t, outside, map[string]string{"x.c": "int outside;\n", "d/y.c": "int y;\n", "e/z.h": "#define Z 1\n"})
	for name, target := range map[string]string{"d/back": ".", "d/z.h": "../e/z.h"} {
		if err := os.Symlink(target, filepath.Join(outside, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"mm/rel": "a.c", "mm/abs": filepath.Join(dir, "include/linux/x.h"), "mm/dangling": "nothing", "mm/out.c": filepath.Join(outside, "x.c"),
		"mm/outdir": filepath.Join(outside, "d"), "loop": ".", "mm/up": filepath.Dir(dir),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(scanned(t, dir), "\n") + "\n"
	for _, want := range []string{"l mm/rel", "l mm/abs", "l mm/dangling", "f mm/out.c", "f mm/outdir/y.c", "f mm/outdir/z.h", "l mm/outdir/back", "l loop", "l mm/up"} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	src := copied(t, dir)
	for name, want := range map[string]string{"mm/rel": "a.c", "mm/abs": "../include/linux/x.h", "loop": ".", "mm/up": filepath.Dir(dir)} {
		if text, err := os.Readlink(filepath.Join(src, name)); err != nil || text != want {
			t.Errorf("%s -> %q, %v; want %q", name, text, err, want)
		}
	}
	for name, want := range map[string]string{"mm/out.c": "int outside;\n", "mm/outdir/y.c": "int y;\n", "mm/outdir/z.h": "#define Z 1\n"} {
		if got := readFile(t, filepath.Join(src, name)); got != want {
			t.Errorf("%s has %q: a link out of the tree was not followed", name, got)
		}
	}
	// A driver that is developed elsewhere: a change there is a change of the tree.
	m, err := scanTree(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	was := m.identity()
	for _, name := range []string{"x.c", "d/y.c", "e/z.h"} {
		writeFiles(t, outside, map[string]string{name: "changed\n"})
		if m, err = scanTree(t.Context(), dir, "", m); err != nil {
			t.Fatal(err)
		}
		if m.identity() == was {
			t.Errorf("a change of %s outside the tree is not seen", name)
		}
		was = m.identity()
	}
}

// copied syncs a directory into a fresh slot and returns the copy.
func copied(t *testing.T, dir string) string {
	t.Helper()
	m, err := scanTree(t.Context(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := slot{t.TempDir()}
	if err := s.sync(t.Context(), source{root: dir, files: m}, nil); err != nil {
		t.Fatal(err)
	}
	return s.src()
}

func TestScanGit(t *testing.T) {
	_, err := exec.LookPath("git")
	fixtures.Need(t, err == nil, "git", "make test-deps")
	for _, indexVersion := range []string{"2", "3", "4"} {
		t.Run("index v"+indexVersion, func(t *testing.T) {
			dir := fakeKernel(t)
			git := func(args ...string) {
				t.Helper()
				cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@x", "-c", "index.version=" + indexVersion}, args...)...)
				cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			writeFiles(t, dir, map[string]string{"lib/tracked.o": "blob", "lib/.gitignore": "*.bin\nprebuilt/\n", "lib/fw.bin": "fw", "lib/prebuilt/p.h": "p", ".config": "C\n"})
			git("init", "-q")
			git("add", "-f", ".")
			if indexVersion == "3" { // an intent-to-add entry has the extended flags
				writeFiles(t, dir, map[string]string{"lib/late.o": "x"})
				git("add", "-N", "-f", "lib/late.o")
			}
			git("commit", "-qm", "x")
			writeFiles(t, dir, map[string]string{"mm/a.c": "int changed;\n", "untracked/u.c": "", "lib/other.o": "", "lib/other.bin": ""})
			before := snapshot(t, dir)
			got := strings.Join(scanned(t, dir), "\n") + "\n"
			src := copied(t, dir)
			if after := snapshot(t, dir); after != before {
				t.Errorf("the repository was touched:\n%s\nwas\n%s", after, before)
			}
			want := []string{"lib/tracked.o", "lib/fw.bin", "lib/prebuilt/p.h", "untracked/u.c", "mm/a.c"}
			if indexVersion == "3" {
				want = append(want, "lib/late.o")
			}
			for _, w := range want {
				if !strings.Contains(got, "f "+w+"\n") {
					t.Errorf("left out: %s", w)
				}
			}
			for _, not := range []string{"lib/other.o", "lib/other.bin", ".config", ".git"} {
				if strings.Contains(got, " "+not+"\n") || strings.Contains(got, " "+not+"/") {
					t.Errorf("taken: %s", not)
				}
			}
			if readFile(t, filepath.Join(src, "mm/a.c")) != "int changed;\n" {
				t.Error("the copy has the committed file, not the working one")
			}
		})
	}
}

func TestScanUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		// root reads everything; the message is that of a directory in a file's place
		_, err := scanTree(t.Context(), filepath.Join(t.TempDir(), "nothing"), "", nil)
		wantBlame(t, err, blame.Usage, "no such file")
		return
	}
	dir := fakeKernel(t)
	if err := os.Chmod(filepath.Join(dir, "mm/a.c"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := scanTree(t.Context(), dir, "", nil)
	wantBlame(t, err, blame.Usage, "mm/a.c", "permission denied")
}

func TestSyncWritesOnlyChanges(t *testing.T) {
	dir := fakeKernel(t)
	s := slot{t.TempDir()}
	sync := func(o overlay) map[string]int64 {
		t.Helper()
		m, err := scanTree(context.Background(), dir, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.sync(context.Background(), source{root: dir, files: m}, o); err != nil {
			t.Fatal(err)
		}
		times := map[string]int64{}
		for p := range m {
			if st, err := os.Stat(filepath.Join(s.src(), p)); err == nil {
				times[p] = st.ModTime().UnixNano()
			}
		}
		return times
	}
	changed := func(a, b map[string]int64) string {
		var names []string
		for p := range b {
			if a[p] != b[p] {
				names = append(names, p)
			}
		}
		sort.Strings(names)
		return strings.Join(names, " ")
	}
	t0 := sync(nil)
	t1 := sync(nil)
	if c := changed(t0, t1); c != "" {
		t.Errorf("written again: %s", c)
	}
	o := overlay{"mm/a.c": {Kind: kindFile, Data: []byte("patched")}, "mm/new.c": {Kind: kindFile, Data: []byte("new")}, "include/linux/x.h": {Kind: kindGone}}
	t2 := sync(o)
	if c := changed(t1, t2); c != "mm/a.c" {
		t.Errorf("written: %s", c)
	}
	if _, err := os.Stat(filepath.Join(s.src(), "include")); err == nil {
		t.Error("a deleted file's directory is still there")
	}
	t3 := sync(nil)
	if c := changed(t2, t3); c != "include/linux/x.h mm/a.c" {
		t.Errorf("written: %s", c)
	}
	if t3["mm/a.c"] < t2["mm/a.c"] {
		t.Error("a file that went back has an old time: make would keep the object of the patched one")
	}
	if _, err := os.Stat(filepath.Join(s.src(), "mm/new.c")); err == nil {
		t.Error("the overlay's new file is still there")
	}
	// A file that became a directory, and back.
	os.Remove(filepath.Join(dir, "Kconfig"))
	writeFiles(t, dir, map[string]string{"Kconfig/sub": "x"})
	sync(nil)
	os.RemoveAll(filepath.Join(dir, "Kconfig"))
	writeFiles(t, dir, map[string]string{"Kconfig": "file"})
	sync(nil)
	if readFile(t, filepath.Join(s.src(), "Kconfig")) != "file" {
		t.Error("Kconfig is not a file again")
	}
	// Half a sync: the journal knows nothing of the files' content, so they are written again.
	m, _ := readManifest(s.manifest())
	e := m["mm/a.c"]
	e.Sum = sum{}
	m["mm/a.c"] = e
	writeManifest(s.manifest(), m)
	os.WriteFile(filepath.Join(s.src(), "mm/a.c"), []byte("ha"), 0o644)
	sync(nil)
	if readFile(t, filepath.Join(s.src(), "mm/a.c")) == "ha" {
		t.Error("half a file was kept")
	}
}

// A new header may hide another of its name, further down the compiler's search path, and make does not know: the other one gets a new time, so that
// what was made of it is made again.
func TestSyncShadowedHeader(t *testing.T) {
	age := func(s slot) int64 {
		t.Helper()
		st, err := os.Stat(filepath.Join(s.src(), "include/linux/x.h"))
		if err != nil {
			t.Fatal(err)
		}
		return st.ModTime().UnixNano()
	}
	for _, name := range []string{"directory", "package"} {
		t.Run(name, func(t *testing.T) {
			dir := fakeKernel(t)
			from := source{root: dir, identity: "deb"}
			if name == "directory" {
				m, err := scanTree(t.Context(), dir, "", nil)
				if err != nil {
					t.Fatal(err)
				}
				from = source{root: dir, files: m}
			}
			s := slot{t.TempDir()}
			sync := func(o overlay) int64 {
				t.Helper()
				if err := s.sync(t.Context(), from, o); err != nil {
					t.Fatal(err)
				}
				return age(s)
			}
			first := sync(nil)
			writeFiles(t, s.dir, map[string]string{"obj-1/kcatch.json": "{}"})
			if got := sync(overlay{"mm/x.c": {Kind: kindFile, Data: []byte("1")}, "mm/y.h": {Kind: kindFile, Data: []byte("1")}}); got != first {
				t.Error("written for files of other names")
			}
			shadow := overlay{"mm/x.h": {Kind: kindFile, Data: []byte("1")}}
			second := sync(shadow)
			if second == first {
				t.Error("mm/x.h is new, and include/linux/x.h kept its time")
			}
			shadow["mm/x.h"] = overlayFile{Kind: kindFile, Data: []byte("2")}
			if got := sync(shadow); got != second {
				t.Error("written for a header that is not new")
			}
			if readFile(t, filepath.Join(s.src(), "include/linux/x.h")) != readFile(t, filepath.Join(dir, "include/linux/x.h")) {
				t.Error("not the tree's text")
			}
		})
	}
}

// A packaged source is shared by hard links: patching the copy must not change the package, and taking the patch out brings its text back.
func TestSyncPackaged(t *testing.T) {
	dir := fakeKernel(t)
	s := slot{t.TempDir()}
	src := source{root: dir, identity: "deb"}
	before := readFile(t, filepath.Join(dir, "mm/a.c"))
	o := overlay{"mm/a.c": {Kind: kindFile, Data: []byte("patched")}, "mm/new.c": {Kind: kindFile, Data: []byte("new")}, "Kbuild": {Kind: kindGone}}
	if err := s.sync(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	if readFile(t, filepath.Join(s.src(), "mm/a.c")) != "patched" || readFile(t, filepath.Join(dir, "mm/a.c")) != before {
		t.Error("the overlay is not in the copy alone")
	}
	if _, err := os.Stat(filepath.Join(s.src(), "Kbuild")); err == nil {
		t.Error("a deleted file is there")
	}
	if err := s.sync(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	if readFile(t, filepath.Join(s.src(), "mm/a.c")) != before {
		t.Error("the package's text did not come back")
	}
	if _, err := os.Stat(filepath.Join(s.src(), "Kbuild")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.src(), "mm/new.c")); err == nil {
		t.Error("the patch's new file is still there")
	}
	m, err := readManifest(s.manifest())
	if err != nil || len(m) != 0 {
		t.Errorf("manifest %v, %v", m, err)
	}
}

func FuzzManifest(f *testing.F) {
	name := filepath.Join(f.TempDir(), "m")
	if err := writeManifest(name, manifest{"a/b": {Path: "a/b", Kind: kindFile, Sum: sum{1}, Stamp: stamp{1, 2, 3, 4}}}); err != nil {
		f.Fatal(err)
	}
	data, _ := os.ReadFile(name)
	f.Add(data)
	f.Add(data[:30])
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil && m != nil {
			t.Error("an error and a value")
		}
		for p := range m {
			if !localName(p) {
				t.Errorf("a path outside the tree: %q", p)
			}
		}
	})
}

func FuzzGitIndex(f *testing.F) {
	f.Add([]byte("DIRC\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) { parseIndex(data) })
}
