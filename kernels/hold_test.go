package kernels

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// claim looks whether a lock file can be claimed, and gives it free again.
func claim(t *testing.T, pattern string) bool {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %v, %v", pattern, list, err)
	}
	f, ok := Claim(list[0])
	f.Close()
	return ok
}

// TestARunningBuildIsHeld: of a build that runs neither the source nor the objects can be claimed, and of one that this process was
// given not the entry.
func TestARunningBuildIsHeld(t *testing.T) {
	b, r := request(t)
	writeFiles(t, r.Tree, map[string]string{"mm/a.c": "/* SLOW */\n"})
	archive := filepath.Join(t.TempDir(), "linux.tar")
	if out, err := exec.Command("tar", "-C", filepath.Dir(r.Tree), "-cf", archive, "linux").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.Tree = archive
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := b.Build(ctx, r)
		ended <- err
	}()
	started := filepath.Join(b.Cache, "slots", "*", "started")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if list, _ := filepath.Glob(started); len(list) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("make was never started")
		}
	}
	source, objects := filepath.Join(b.Cache, "sources", "*.lock"), filepath.Join(b.Cache, "slots", "*", "lock")
	if claim(t, source) || claim(t, objects) {
		t.Error("the source or the objects of a running build can be removed")
	}
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("the build was not interrupted")
	}
	if !claim(t, source) || !claim(t, objects) {
		t.Error("the source or the objects are held by nobody")
	}
}

func TestABuildIsHeld(t *testing.T) {
	b, r := request(t)
	out := mustBuild(t, &b, r)
	record := filepath.Join(out.Dir, recordName)
	if claim(t, record) || !held(record) {
		t.Error("a build that was handed out can be removed")
	}
	// As it is when the process ends.
	holds.files[record].Close()
	delete(holds.files, record)
	f, ok := Claim(record)
	if !ok {
		t.Fatal("nobody holds it, and it cannot be claimed")
	}
	if again, ok := b.remember(t, r); ok {
		t.Errorf("a build that is being removed was handed out: %+v", again)
	}
	if err := os.RemoveAll(out.Dir); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if anew := mustBuild(t, &b, r); anew.Reused || claim(t, record) {
		t.Errorf("after the removal: %+v, held %v", anew, held(record))
	}
	if held(filepath.Join(b.Cache, "no", "such")) {
		t.Error("what is not there is held")
	}
}

// remember is the request's entry, if there is one for it.
func (b *Builder) remember(t *testing.T, r Request) (Build, bool) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(b.Cache, "builds"))
	if err != nil || len(list) != 1 {
		t.Fatalf("builds: %v, %v", list, err)
	}
	return (&build{cache: b.Cache, req: r}).entryOf(list[0].Name())
}

// TestPrunedInBetween: a source that went between its unpacking and its use is known to be gone, so that it is unpacked again.
func TestPrunedInBetween(t *testing.T) {
	cache := t.TempDir()
	run := &build{cache: cache}
	src := source{slot: "tar-1", root: filepath.Join(cache, "sources", "tar-1", "linux")}
	if f, err := run.use(t.Context(), src); !errors.Is(err, errChanged) {
		t.Errorf("use of a source that is gone: %v, %v", f, err)
	}
	if err := os.MkdirAll(src.root, 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := run.use(t.Context(), src)
	if err != nil || claim(t, filepath.Join(cache, "sources", "*.lock")) {
		t.Errorf("use of a source that is there: %v", err)
	}
	f.Close()
}
