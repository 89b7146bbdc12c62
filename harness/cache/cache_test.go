package cache

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"kcatch/harness/verdict"
)

// made is a cache as kcatch leaves it, with what is not its own beside it.
func made(t *testing.T) (dir string, now time.Time) {
	t.Helper()
	dir, now = t.TempDir(), time.Now()
	for name, age := range map[string]time.Duration{
		"sources/debian-6.1_1/linux/Makefile":     40 * aDay,
		"sources/debian-6.1_1.lock":               3 * aDay, // used by a build then
		"sources/debian-6.12_1.tmp/x":             2 * aDay,
		"slots/debian-6.1_1/src/Makefile":         3 * aDay,
		"slots/debian-6.1_1/obj-00/kcatch.json":   3 * aDay,
		"slots/debian-6.1_1/lock":                 3 * aDay,
		"slots/linux-0123/lock":                   9 * aDay, // was removed
		"builds/0123456789abcdef/vmlinux":         5 * aDay,
		"builds/fedcba9876543210/vmlinux":         50 * aDay,
		"builds/.tmp-123/vmlinux":                 time.Hour, // of a running build
		"builds/notes.txt":                        99 * aDay, // somebody's own
		"bisect/linux-01/tree/.git/HEAD":          7 * aDay,
		"bisect/linux-01/lock":                    7 * aDay,
		"modules/00.cpio":                         8 * aDay,
		"memo/00.json":                            6 * aDay,
		"logs/build-00.log":                       time.Hour,
		"kvm-0123.json":                           4 * aDay,
		"patch-42/mm/a.c":                         2 * aDay,
		"fixtures/seed-6.1/vmlinux":               aDay,
		"packages/linux-image-6.1/boot/vmlinuz-1": 6 * aDay,
	} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(strings.Repeat("x", 5000)), 0o666); err != nil {
			t.Fatal(err)
		}
		for at := full; at != dir; at = filepath.Dir(at) {
			if err := os.Chtimes(at, time.Time{}, now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(t, filepath.Join(dir, "builds/0123456789abcdef/build.json"), `{"release":"6.1.9","source":"deb:debian-6.1 6.1.9-1","make":["LLVM=1"]}`, now.Add(-5*aDay))
	write(t, filepath.Join(dir, "builds/fedcba9876543210/build.json"), `{"release":"6.2","source":"tree:00112233445566778899"}`, now.Add(-50*aDay))
	// A slot's source is links to the unpacked one.
	if err := os.Link(filepath.Join(dir, "sources/debian-6.1_1/linux/Makefile"), filepath.Join(dir, "slots/debian-6.1_1/src/linked")); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{
		"sources/debian-6.1_1": 40, "sources/debian-6.12_1.tmp": 2, "slots/debian-6.1_1": 3, "builds/0123456789abcdef": 5, "builds/fedcba9876543210": 50,
		"bisect/linux-01": 7, "packages/linux-image-6.1": 6, "patch-42": 2,
	} {
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, now.Add(-age*aDay)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "builds/.tmp-123"), time.Time{}, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	return dir, now
}

func write(t *testing.T, name, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Time{}, at); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string) verdict.Cache {
	t.Helper()
	c, err := List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestList(t *testing.T) {
	dir, now := made(t)
	lock, err := os.Open(filepath.Join(dir, "slots/debian-6.1_1/lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c := list(t, dir)
	var got []string
	var bytes int64
	for _, e := range c.Entries {
		line := strings.Join([]string{e.Kind, e.Name, now.Sub(e.Used).Round(time.Hour).String(), e.What}, " | ")
		if e.InUse {
			line += " | in use"
		}
		got = append(got, line)
		bytes += e.Bytes
	}
	want := []string{
		"source | debian-6.1_1 | 72h0m0s | a kernel's source, unpacked",
		"objects | debian-6.1_1 | 72h0m0s | a private source, and the objects of one configuration | in use",
		"build | 0123456789abcdef | 120h0m0s | 6.1.9 of debian-6.1 6.1.9-1, LLVM=1",
		"build | fedcba9876543210 | 1200h0m0s | 6.2 of a tree, 001122334455",
		"package | linux-image-6.1 | 144h0m0s | a distribution's kernel, for tests",
		"history | linux-01 | 168h0m0s | the private clone of a bisection",
		"modules | 00.cpio | 192h0m0s | an archive of modules for a guest",
		"memo | 00.json | 144h0m0s | what was asked before, and its answer",
		"memo | kvm-0123.json | 96h0m0s | how KVM did when it was tried out",
		"log | build-00.log | 1h0m0s | of a build that failed | in use",
		"leftover | .tmp-123 | 1h0m0s | of a kcatch that was killed | in use",
		"leftover | debian-6.12_1.tmp | 48h0m0s | of a kcatch that was killed",
		"leftover | patch-42 | 48h0m0s | of a kcatch that was killed",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if bytes != c.Bytes || bytes < 12*5000 {
		t.Errorf("%d bytes in entries, %d in all", bytes, c.Bytes)
	}
	// 5000 bytes take two blocks of 4096 on most file systems; the linked file counts once.
	source, objects := c.Entries[0].Bytes, c.Entries[1].Bytes
	if source < 5000 || objects < 3*5000 || objects > 3*5000+source+64<<10 {
		t.Errorf("the source has %d bytes, the objects %d", source, objects)
	}
	if none := list(t, filepath.Join(dir, "no such")); len(none.Entries) != 0 || none.Bytes != 0 {
		t.Errorf("a cache that is not there: %+v", none)
	}
}

func TestChoose(t *testing.T) {
	now := time.Now()
	entry := func(kind, name string, age time.Duration, bytes int64, inUse bool) verdict.CacheEntry {
		return verdict.CacheEntry{Kind: kind, Name: name, Bytes: bytes, Used: now.Add(-age), InUse: inUse}
	}
	c := verdict.Cache{Bytes: 1000, Entries: []verdict.CacheEntry{
		entry("source", "young", time.Hour, 400, false), entry("source", "old", 10*aDay, 300, false),
		entry("build", "older", 20*aDay, 100, false), entry("build", "oldest", 30*aDay, 100, true), entry("memo", "middle", 5*aDay, 100, false),
	}}
	for _, k := range []struct {
		name   string
		policy Policy
		want   string
	}{
		{"nothing", Policy{}, ""},
		{"all but what is in use", Policy{All: true}, "older old middle young"},
		{"by age", Policy{Older: 7 * aDay}, "older old"},
		{"the limit itself stays", Policy{Older: 10 * aDay}, "older"},
		{"by size", Policy{Limited: true, Size: 899}, "older old"},
		{"it is small enough", Policy{Limited: true, Size: 1000}, ""},
		{"to nothing", Policy{Limited: true}, "older old middle young"},
		{"age or size", Policy{Older: 15 * aDay, Limited: true, Size: 600}, "older old"},
		{"of a kind", Policy{All: true, Kinds: []string{"memo", "build"}}, "older middle"},
	} {
		var got []string
		for _, e := range Choose(c, k.policy, now) {
			got = append(got, e.Name)
		}
		if s := strings.Join(got, " "); s != k.want {
			t.Errorf("%s: %q goes, want %q", k.name, s, k.want)
		}
	}
}

func TestRemove(t *testing.T) {
	dir, now := made(t)
	c := list(t, dir)
	// Used since the list was made.
	lock, err := os.Open(filepath.Join(dir, "bisect/linux-01/lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, e := range Choose(c, Policy{All: true}, now) {
		removed, err := Remove(dir, e)
		if err != nil || removed == (e.Kind == "history") {
			t.Errorf("%s %s: removed %v, %v", e.Kind, e.Name, removed, err)
		}
	}
	for name, want := range map[string]bool{
		"sources/debian-6.1_1": false, "sources/debian-6.1_1.lock": true, "sources/debian-6.12_1.tmp": false,
		"slots/debian-6.1_1/src": false, "slots/debian-6.1_1/obj-00": false, "slots/debian-6.1_1/lock": true,
		"builds/0123456789abcdef": false, "builds/.tmp-0123456789abcdef": false, "builds/.tmp-123": true, "builds/notes.txt": true,
		"bisect/linux-01/tree/.git/HEAD": true, "modules/00.cpio": false, "memo/00.json": false, "logs/build-00.log": true,
		"kvm-0123.json": false, "patch-42": false, "fixtures/seed-6.1/vmlinux": true, "packages/linux-image-6.1": false,
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", name, err == nil, want)
		}
	}
	if again := list(t, dir); len(again.Entries) != 3 {
		t.Errorf("left: %+v", again.Entries)
	}
	// Nothing outside the cache, and nothing that a list did not name.
	outside := verdict.CacheEntry{Kind: "build", Name: "../../x", Path: filepath.Join(dir, "builds", "../../x")}
	if removed, err := Remove(dir, outside); err == nil || removed {
		t.Errorf("outside: %v, %v", removed, err)
	}
}
