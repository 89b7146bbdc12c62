package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kcatch/internal/blame"
)

const addLine = `--- a/mm/a.c
+++ b/mm/a.c
@@ -1,3 +1,4 @@
 int a;
+int patched;
 int b;
 int c;
`

func request(t *testing.T) (Builder, Request) {
	t.Helper()
	fakeTools(t)
	return Builder{Cache: t.TempDir(), Jobs: 1}, Request{Tree: fakeKernel(t), Base: BaseDefconfig}
}

func mustBuild(t *testing.T, b *Builder, r Request) Build {
	t.Helper()
	out, err := b.Build(t.Context(), r)
	if err != nil {
		t.Fatalf("%v\n%s", err, blame.Detail(err))
	}
	return out
}

func TestBuild(t *testing.T) {
	b, r := request(t)
	before := snapshot(t, r.Tree)
	first := mustBuild(t, &b, r)
	if first.Reused || first.Release != "6.1.9-fake" {
		t.Errorf("first build: %+v", first)
	}
	if !strings.Contains(readFile(t, first.Vmlinux), "int g;") || !strings.Contains(readFile(t, first.BzImage), "CONFIG_X86_64=y") {
		t.Error("the products are not the source's")
	}
	again := mustBuild(t, &b, r)
	if !again.Reused || again.Key != first.Key {
		t.Errorf("second build: %+v", again)
	}

	diff := filepath.Join(t.TempDir(), "add.diff")
	writeFiles(t, filepath.Dir(diff), map[string]string{"add.diff": addLine})
	p := r
	p.Patches = []string{diff}
	patched := mustBuild(t, &b, p)
	if patched.Key == first.Key || !strings.Contains(readFile(t, patched.Vmlinux), "int patched;") {
		t.Errorf("the patch is not in: %+v", patched)
	}
	if len(patched.Patches) != 1 || patched.Patches[0].Name != "add.diff" || patched.Patches[0].Files[0] != "mm/a.c" {
		t.Errorf("patches %+v", patched.Patches)
	}
	if again := mustBuild(t, &b, p); !again.Reused || len(again.Patches) != 1 {
		t.Errorf("patched again: %+v", again)
	}
	// Back to the unpatched source and on to another content of the same file: never an old object.
	if s := mustBuild(t, &b, r); s.Key != first.Key {
		t.Errorf("key %s, want %s", s.Key, first.Key)
	}
	if now := snapshot(t, r.Tree); now != before {
		t.Errorf("the source directory was touched:\n%s\nwas\n%s", now, before)
	}

	for _, c := range []struct {
		build     Build
		rel, want string
	}{
		{patched, "mm/a.c", "int patched;"}, {first, "include/linux/x.h", "#define X"}, {first, "./include/linux/x.h", "#define X"},
		{first, "include/config/kernel.release", "6.1.9-fake"},
	} {
		text, err := c.build.Source(c.rel)
		if err != nil || !strings.Contains(string(text), c.want) {
			t.Errorf("Source(%s): %q, %v", c.rel, text, err)
		}
	}
	// The private tree holds the patched file now, so the unpatched build's text is refused and not replaced by it.
	if text, err := first.Source("mm/a.c"); err == nil {
		t.Errorf("Source of a file that changed since: %q", text)
	}
	for _, rel := range []string{"../secret", "/etc/passwd", "mm/../../x", "", ".."} {
		if _, err := first.Source(rel); err == nil {
			t.Errorf("Source(%q) left the tree", rel)
		}
	}
}

func TestBuildSeesEveryChange(t *testing.T) {
	b, r := request(t)
	keys := map[string]string{mustBuild(t, &b, r).Key: "as it is"}
	step := func(what string, do func()) {
		do()
		out := mustBuild(t, &b, r)
		if was, ok := keys[out.Key]; ok {
			t.Errorf("%s: same key as %s", what, was)
		}
		keys[out.Key] = what
	}
	step("a changed file", func() { writeFiles(t, r.Tree, map[string]string{"mm/a.c": "int other;\n"}) })
	step("an untracked file", func() { writeFiles(t, r.Tree, map[string]string{"drivers/new/new.c": "int n;\n"}) })
	step("a deleted file", func() { os.RemoveAll(filepath.Join(r.Tree, "include")) })
	step("a mode", func() { os.Chmod(filepath.Join(r.Tree, "mm/a.c"), 0o755) })
	step("a link", func() { os.Symlink("a.c", filepath.Join(r.Tree, "mm/b.c")) })
	step("a fragment", func() {
		writeFiles(t, r.Tree+"-x", map[string]string{"f.config": "CONFIG_FOO=y\n"})
		r.Base = filepath.Join(r.Tree+"-x", "f.config")
		writeFiles(t, r.Tree+"-x", map[string]string{"f.config": "CONFIG_X86_64=y\nCONFIG_FOO=y\n"})
	})
	step("an argument of make", func() { r.Make = []string{"KCFLAGS=-O1"} })
	slots, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "src"))
	if len(slots) != 1 {
		t.Fatalf("slots: %v", slots)
	}
	if _, err := os.Stat(filepath.Join(slots[0], "include")); err == nil {
		t.Error("a deleted directory is still in the private copy")
	}
}

// A changed .c does not run kconfig again; a changed Kconfig does, by the tree or by a patch.
func TestConfigurationIsRemembered(t *testing.T) {
	b, r := request(t)
	confs := func() int {
		list, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "confs"))
		return strings.Count(readFile(t, list[0]), "conf")
	}
	mustBuild(t, &b, r)
	for _, c := range []struct {
		file string
		want int
	}{{"mm/a.c", 1}, {"mm/Kconfig.debug", 2}, {"include/linux/x.h", 2}, {"scripts/cc-version.sh", 3}, {"arch/x86/configs/x86_64_defconfig", 4}} {
		writeFiles(t, r.Tree, map[string]string{c.file: "changed\n"})
		if out := mustBuild(t, &b, r); out.Reused {
			t.Errorf("%s: not built", c.file)
		}
		if got := confs(); got != c.want {
			t.Errorf("%s: kconfig ran %d times, want %d", c.file, got, c.want)
		}
	}
	diff := filepath.Join(t.TempDir(), "k.diff")
	writeFiles(t, filepath.Dir(diff), map[string]string{"k.diff": "--- a/Kconfig\n+++ b/Kconfig\n@@ -1,2 +1,3 @@\n config X86_64\n+\t# x\n \tbool\n"})
	r.Patches = []string{diff}
	mustBuild(t, &b, r)
	if got := confs(); got != 5 {
		t.Errorf("a patched Kconfig: kconfig ran %d times", got)
	}
}

func TestCompileError(t *testing.T) {
	b, r := request(t)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "BREAK\n"})
	_, err := b.Build(t.Context(), r)
	wantBlame(t, err, blame.Build, "build: mm/a.c:2:7: error: expected ';' before 'int'", "log: "+b.Cache)
	log := strings.TrimPrefix(blame.Hint(err), "log: ")
	if !strings.Contains(readFile(t, log), "another") {
		t.Error("the log is not whole")
	}
	noHalfEntries(t, b.Cache)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "int fixed;\n"})
	mustBuild(t, &b, r)
}

func TestDiskFull(t *testing.T) {
	b, r := request(t)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "FULL\n"})
	_, err := b.Build(t.Context(), r)
	wantBlame(t, err, blame.Infrastructure, "no space left on device", b.Cache, "GB")
	wantBlame(t, infra("source", b.Cache, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), blame.Infrastructure, "no space left", "GB")
	noHalfEntries(t, b.Cache)
}

func TestMakeKilled(t *testing.T) {
	b, r := request(t)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "KILLED\n"})
	_, err := b.Build(t.Context(), r)
	wantBlame(t, err, blame.Infrastructure, "make was killed")
	objs, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "obj-*", "kcatch.json"))
	if len(objs) != 1 || !strings.Contains(readFile(t, objs[0]), `"busy":true`) {
		t.Fatalf("the object tree is not marked: %v", objs)
	}
	// What that make may have written goes, what it found stays.
	obj := filepath.Dir(objs[0])
	writeFiles(t, obj, map[string]string{"mm/half.o": "half", "mm/old.o": "old"})
	if err := os.Chtimes(filepath.Join(obj, "mm/old.o"), time.Time{}, time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "int mended;\n"})
	mustBuild(t, &b, r)
	if _, err := os.Stat(filepath.Join(obj, "mm/half.o")); err == nil {
		t.Error("half an object is still there")
	}
	if _, err := os.Stat(filepath.Join(obj, "mm/old.o")); err != nil {
		t.Error("an object from before was lost")
	}
	if strings.Contains(readFile(t, objs[0]), `"busy":true`) {
		t.Error("the object tree is still marked")
	}
}

func TestInterrupt(t *testing.T) {
	b, r := request(t)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "SLOW\n"})
	ctx, cancel := context.WithCancel(t.Context())
	b.Progress = func(p Progress) {
		if p.Stage == StageBuild && p.Done == 2 {
			go func() {
				for range 1000 { // until the child that is to be ended too is there
					if list, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "child")); len(list) == 1 {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
			}()
		}
	}
	_, err := b.Build(ctx, r)
	wantBlame(t, err, blame.Interrupted)
	noHalfEntries(t, b.Cache)
	child, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "child"))
	pid := 0
	for _, c := range strings.TrimSpace(readFile(t, child[0])) {
		pid = pid*10 + int(c-'0')
	}
	for range 500 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		if stat, err := os.ReadFile("/proc/" + strings.TrimSpace(readFile(t, child[0])) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return // ended; nobody reaps it here
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("make's child %d is still running", pid)
}

// TestInterruptEverywhere ends the context at each step that reports progress; each leaves a cache that the next build can use.
func TestInterruptEverywhere(t *testing.T) {
	b, r := request(t)
	writeFiles(t, filepath.Dir(r.Tree), map[string]string{"add.diff": addLine})
	r.Patches = []string{filepath.Join(filepath.Dir(r.Tree), "add.diff")}
	for n := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		b.Progress = func(Progress) {
			if seen == n {
				cancel()
			}
			seen++
		}
		_, err := b.Build(ctx, r)
		cancel()
		noHalfEntries(t, b.Cache)
		if err == nil {
			if n < 4 {
				t.Errorf("only %d steps seen", n)
			}
			return
		}
		if blame.Of(err) != blame.Interrupted {
			t.Fatalf("cancelled at step %d: %v: %v", n, blame.Of(err), err)
		}
	}
	t.Error("never came to the end")
}

func TestTwoBuildersAtOnce(t *testing.T) {
	b, r := request(t)
	var waited atomic.Bool
	var wg sync.WaitGroup
	keys := make([]string, 4)
	for i := range keys {
		one := Builder{Cache: b.Cache, Jobs: 1, Progress: func(p Progress) {
			if strings.Contains(p.Note, "waiting for another kcatch") {
				waited.Store(true)
			}
		}}
		wg.Go(func() {
			out, err := one.Build(t.Context(), r)
			if err != nil {
				t.Error(err)
			}
			keys[i] = out.Key
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Errorf("keys %v", keys)
		}
	}
	runs, _ := filepath.Glob(filepath.Join(b.Cache, "slots", "*", "runs"))
	if len(runs) != 1 || readFile(t, runs[0]) != "run\n" {
		t.Errorf("make ran %q times", readFile(t, runs[0]))
	}
}

// noHalfEntries checks that every entry of the cache is whole.
func noHalfEntries(t *testing.T, cache string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(cache, "builds"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if _, err := os.Stat(filepath.Join(cache, "builds", e.Name(), "build.json")); err != nil {
			t.Errorf("half an entry: %s", e.Name())
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "patch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
