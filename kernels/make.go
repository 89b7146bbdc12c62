package kernels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// A maker runs make on a slot. The slot's lock is held, and make inherits it: should this process be killed, the lock lives as long as make.
type maker struct {
	*build
	slot slot
	lock *os.File
}

// buildTime is the time in every kernel's banner. A real one would make each build differ, and ccache and the build-id with it.
const buildTime = "Mon Jan  1 00:00:00 UTC 2024"

// environment is what make sees of ours: kbuild takes KCFLAGS, LOCALVERSION, ARCH, V and more from there, and what is in no key must not
// change the kernel.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case name == "PATH", name == "HOME", name == "TMPDIR", name == "USER", name == "LD_LIBRARY_PATH", name == "CPATH",
			name == "C_INCLUDE_PATH", name == "LIBRARY_PATH", name == "PKG_CONFIG_PATH", strings.HasPrefix(name, "CCACHE_"),
			strings.HasPrefix(name, "XDG_"):
			env = append(env, e)
		}
	}
	return append(env, "LC_ALL=C", "KBUILD_BUILD_TIMESTAMP="+buildTime, "KBUILD_BUILD_USER=kcatch", "KBUILD_BUILD_HOST=kcatch",
		"KBUILD_BUILD_VERSION=1")
}

// ccacheSettings are for a ccache that is installed. They win over its configuration, and over a CCACHE_ variable of the user's.
//
// Never its depend mode, although a miss then costs 6 % over the bare compiler instead of 15 %: it does not see .incbin, and gives the
// decompressor's piggy.o of another kernel (seen with ccache 4.7.5).
//
// Without the directory in the hash, the object trees of one source share what they have in common: each configuration has a tree of its
// own. All that an object says of its directory is DW_AT_comp_dir, and gdb/vmlinux asks each unit for its own. Objects of another source
// are not shared: base_dir would, but then __FILE__ begins with "../src/", which -fmacro-prefix-map does not know, and is in the image.
var ccacheSettings = []string{"CCACHE_NODEPEND=1", "CCACHE_NOHASHDIR=1"}

// run runs make in the object tree obj.
func (m maker) run(ctx context.Context, obj string, log *makeLog, args ...string) error {
	all := []string{"-C", m.slot.src(), "O=" + obj, fmt.Sprintf("-j%d", m.jobs)}
	if runtime.GOARCH != "amd64" {
		all = append(all, "ARCH=x86_64")
	}
	all = append(all, m.req.Make...)
	if _, err := exec.LookPath("ccache"); err == nil && filepath.Base(first(m.in.tools.cc)) != "ccache" {
		all = append(all, "CC=ccache "+m.in.tools.cc) // the last CC= wins
	}
	cmd := command(ctx, m.slot.dir, "make", append(all, args...)...)
	cmd.Env = append(environment(), "GIT_CEILING_DIRECTORIES="+m.slot.dir)
	cmd.Env = append(cmd.Env, ccacheSettings...)
	cmd.Stdout, cmd.Stderr = log, log // one writer: os/exec gives both streams one pipe, and their lines stay in order
	if m.lock != nil {
		cmd.ExtraFiles = []*os.File{m.lock}
	}
	err := cmd.Run()
	log.flush()
	if errors.Is(err, exec.ErrNotFound) {
		return blame.New(blame.Infrastructure, "build: not installed: make", "as root: apt-get install make")
	}
	return err
}

// An objTree is the note in an object tree about what it was made with.
type objTree struct {
	Tools string   `json:"tools"`
	Make  []string `json:"make"`
	Steps int      `json:"steps"` // lines of a build from nothing; 0 until there was one
	// Busy is set while make runs. A tree that is found busy had its make killed, see unfinished.
	Busy bool `json:"busy"`
}

func readObjTree(dir string) (t objTree, ok bool) {
	data, err := os.ReadFile(filepath.Join(dir, "kcatch.json"))
	return t, err == nil && json.Unmarshal(data, &t) == nil
}

func (t objTree) write(dir string) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return writeAtomically(filepath.Join(dir, "kcatch.json"), func(w io.Writer) error { _, err := w.Write(data); return err })
}

// unfinished removes what a make that was killed has written in an object tree: it may have left half an object, newer than its source, which
// the next make would take for a whole one. The note's own time is when that make began.
func unfinished(dir string) error {
	const tick = 2 * time.Second // the coarsest file system's
	note := filepath.Join(dir, "kcatch.json")
	began, err := os.Stat(note)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == note {
			return err
		}
		st, err := d.Info()
		if err != nil || st.ModTime().Before(began.ModTime().Add(-tick)) {
			return err
		}
		return os.Remove(name)
	})
}

func (t objTree) fits(tools string, args []string) bool {
	return !t.Busy && t.Tools == tools && strings.Join(t.Make, "\x00") == strings.Join(args, "\x00")
}

// make builds and files the entry of key.
func (m maker) make(ctx context.Context, key string, src source, o overlay, config []byte) (Build, error) {
	start := time.Now()
	if final, err := kconfig.Parse(bytes.NewReader(config)); err == nil {
		if err := checkTools(final); err != nil {
			return Build{}, err
		}
	}
	obj, note, err := m.objects(ctx, config)
	if err != nil {
		return Build{}, err
	}
	fresh := note.Steps == 0
	builds := filepath.Join(m.cache, "builds")
	tmp, err := os.MkdirTemp(builds, ".tmp-")
	if err != nil {
		return Build{}, infra("build", builds, err)
	}
	defer os.RemoveAll(tmp)
	logName := filepath.Join(m.cache, "logs", "build-"+key+".log")
	logFile, err := os.Create(logName)
	if err != nil {
		return Build{}, infra("build", logName, err)
	}
	defer logFile.Close()
	total := 0
	if fresh {
		total = m.estimate(config)
	}
	m.progress(StageBuild, 0, total, "make")
	log := &makeLog{src: m.slot.src(), file: logFile, tick: func(n int, what string) { m.progress(StageBuild, n, total, what) }}
	note.Busy = true
	if err := note.write(obj); err != nil {
		return Build{}, infra("build", obj, err)
	}
	err = m.run(ctx, obj, log, "bzImage", "vmlinux")
	if !killed(err) {
		note.Busy = false
		if err == nil && fresh {
			note.Steps = log.steps
		}
		if werr := note.write(obj); err == nil && werr != nil {
			return Build{}, infra("build", obj, werr)
		}
	}
	if err != nil {
		return Build{}, m.failure(ctx, "build", log, err, logName)
	}
	if log.fileErr != nil {
		return Build{}, infra("build", logName, log.fileErr)
	}
	release, err := os.ReadFile(filepath.Join(obj, "include/config/kernel.release"))
	if err != nil {
		return Build{}, infra("build", obj, err)
	}
	for _, f := range [][2]string{{"arch/x86/boot/bzImage", "bzImage"}, {"vmlinux", "vmlinux"}, {"arch/x86/boot/compressed/vmlinux", "boot-vmlinux"}, {".config", "config"}} {
		if err := copyInto(filepath.Join(obj, f[0]), filepath.Join(tmp, f[1])); err != nil {
			return Build{}, infra("build", filepath.Join(tmp, f[1]), err)
		}
	}
	if err := belongTogether(filepath.Join(tmp, "bzImage"), filepath.Join(tmp, "vmlinux")); err != nil {
		return Build{}, errors.Join(err, os.RemoveAll(obj))
	}
	if err := copyInto(logName, filepath.Join(tmp, "build.log")); err != nil {
		return Build{}, infra("build", tmp, err)
	}
	if src.live() {
		if err := copyInto(m.slot.manifest(), filepath.Join(tmp, "manifest")); err != nil {
			return Build{}, infra("build", tmp, err)
		}
	}
	r := record{
		Recipe: recipe, Release: strings.TrimSpace(string(release)), Source: src.identity, Root: m.slot.src(), Obj: obj,
		Tools: m.tools, Make: m.req.Make, Live: src.live(), Seconds: time.Since(start).Seconds(),
	}
	if !src.live() { // unpatched files are read from the package, which does not change
		r.Root = src.root
	}
	if err := m.file(tmp, r, o); err != nil {
		return Build{}, infra("build", tmp, err)
	}
	if err := os.Chmod(tmp, 0o777); err != nil { // MkdirTemp's is private
		return Build{}, infra("build", tmp, err)
	}
	dir := filepath.Join(builds, key)
	if _, err := os.Stat(dir); err == nil { // an entry that lost a file, see entryOf
		if err := os.RemoveAll(dir); err != nil {
			return Build{}, infra("build", dir, err)
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, ok := m.entryOf(key); !ok {
			return Build{}, infra("build", dir, err)
		}
	}
	os.Remove(logName)
	tidy(m.cache, time.Now())
	out, ok := m.entryOf(key)
	if !ok {
		return Build{}, blame.New(blame.Infrastructure, "build: "+dir+": is gone right after it was made", "")
	}
	return out, nil
}

// killed reports whether make ended without the chance to remove the targets it was writing.
func killed(err error) bool {
	var ee *exec.ExitError
	if !errors.As(err, &ee) {
		return err != nil
	}
	ws, ok := ee.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// maxTrees is how many object trees a slot keeps; a tiny one has 0.6 GB.
const maxTrees = 4

// objects makes ready the object tree of a configuration: its own, a copy of the nearest one, or an empty one.
func (m maker) objects(ctx context.Context, config []byte) (dir string, note objTree, err error) {
	var h hasher
	h.add(string(config), m.tools)
	h.add(m.req.Make...)
	dir = filepath.Join(m.slot.dir, "obj-"+h.sum()[:16])
	defer func() {
		if err != nil {
			err = infra("build", dir, err)
		}
	}()
	t, ok := readObjTree(dir)
	if ok && t.Busy {
		m.progress(StageConfigure, 0, 0, "clearing up after a make that was killed")
		if err := unfinished(dir); err != nil {
			return "", note, err
		}
		t.Busy = false
		if err := t.write(dir); err != nil {
			return "", note, err
		}
	}
	if ok && t.fits(m.tools, m.req.Make) {
		note = t
	} else {
		if err := os.RemoveAll(dir); err != nil {
			return "", note, err
		}
		near, t := m.nearest(dir, config)
		tmp := dir + ".tmp"
		if err := os.RemoveAll(tmp); err != nil {
			return "", note, err
		}
		if near == "" {
			err = os.MkdirAll(tmp, 0o777)
			t = objTree{Tools: m.tools, Make: m.req.Make}
		} else {
			m.progress(StageConfigure, 0, 0, "starting from the nearest objects")
			err = copyTree(ctx, near, tmp)
		}
		if err == nil {
			err = t.write(tmp)
		}
		if err == nil {
			err = os.Rename(tmp, dir)
		}
		if err != nil {
			os.RemoveAll(tmp)
			return "", note, err
		}
		note = t
		m.prune(dir)
	}
	// A .config with another time costs kbuild its syncconfig, and nothing else changes with it; the same one keeps its time.
	if name := filepath.Join(dir, ".config"); !sameFile(name, config) {
		if err := os.WriteFile(name, config, 0o666); err != nil {
			return "", note, err
		}
	}
	return dir, note, nil
}

// nearest is the object tree of this slot and toolchain whose configuration differs in the fewest symbols, if that is fewer than a third.
func (m maker) nearest(dir string, config []byte) (string, objTree) {
	want, err := kconfig.Parse(bytes.NewReader(config))
	if err != nil {
		return "", objTree{}
	}
	list, _ := filepath.Glob(filepath.Join(m.slot.dir, "obj-*"))
	best, bestDir, note := want.Len()/3, "", objTree{}
	for _, d := range list {
		t, ok := readObjTree(d)
		if d == dir || !ok || !t.fits(m.tools, m.req.Make) || t.Steps == 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(d, ".config"))
		if err != nil {
			continue
		}
		have, err := kconfig.Parse(bytes.NewReader(text))
		if err != nil {
			continue
		}
		if n := differing(want, have); n < best {
			best, bestDir, note = n, d, t
		}
	}
	return bestDir, note
}

func differing(a, b kconfig.Config) int {
	n := 0
	for _, o := range a.Options() {
		if b.Value(o.Symbol) != o.Value {
			n++
		}
	}
	for _, o := range b.Options() {
		if _, ok := a.Get(o.Symbol); !ok && o.Value != "n" {
			n++
		}
	}
	return n
}

// prune removes the object trees that were used longest ago.
func (m maker) prune(keep string) {
	list, _ := filepath.Glob(filepath.Join(m.slot.dir, "obj-*"))
	for {
		oldest, when, n := "", time.Now(), 0
		for _, d := range list {
			st, err := os.Stat(filepath.Join(d, "kcatch.json"))
			if err != nil {
				continue
			}
			n++
			if d != keep && st.ModTime().Before(when) {
				oldest, when = d, st.ModTime()
			}
		}
		if n <= maxTrees || oldest == "" || os.RemoveAll(oldest) != nil {
			return
		}
	}
}

// estimate is how many lines make will print for a build from nothing: what another configuration of this source took, else a rule of thumb.
func (m maker) estimate(config []byte) int {
	list, _ := filepath.Glob(filepath.Join(m.slot.dir, "obj-*"))
	set := bytes.Count(config, []byte("=y\n"))
	for _, d := range list {
		if t, ok := readObjTree(d); ok && t.Steps > 0 {
			text, err := os.ReadFile(filepath.Join(d, ".config"))
			if n := bytes.Count(text, []byte("=y\n")); err == nil && n > 0 {
				return t.Steps * set / n
			}
		}
	}
	return stepsPerSymbol * set
}

// stepsPerSymbol: make prints 1,429 lines for the 470 options that are y in tiny on 6.1.192.
const stepsPerSymbol = 3

// copyTree copies an object tree with its times; cp shares the blocks where the file system can.
func copyTree(ctx context.Context, from, to string) error {
	out, err := output(ctx, "/", nil, "cp", "-a", "--reflink=auto", from, to)
	if err != nil && strings.Contains(string(out), "No space left") {
		return syscall.ENOSPC
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("cp: %s", lastLine(out))
	}
	return err
}

// failure turns a make that ended badly into an error: what the compiler said first, or whose fault else it is.
func (m maker) failure(ctx context.Context, op string, log *makeLog, err error, logName string) error {
	var be *blame.Error
	switch {
	case ctx.Err() != nil:
		return interrupted(op)
	case log.full:
		return diskFull(op, m.cache)
	case errors.As(err, &be):
		return err
	case killed(err):
		return &blame.Error{Kind: blame.Infrastructure, Msg: op + ": make was killed", Err: err, Hint: "out of memory? try fewer jobs", Detail: log.tail()}
	}
	msg := op + ": " + log.first
	if log.first == "" {
		msg = op + ": make failed: " + lastLine([]byte(log.detail()))
	}
	hint := "the tree does not build with this configuration and compiler (" + m.tools + ")"
	if logName != "" {
		hint = "log: " + logName
	}
	e := &blame.Error{Kind: blame.Build, Msg: msg, Hint: hint, Detail: log.detail(), Err: err}
	if need, ok := log.missingTool(); ok {
		e.Kind, e.Hint = blame.Infrastructure, "as root: apt-get install --no-install-recommends "+need
	}
	return e
}

// belongTogether makes sure that a bzImage holds the kernel of a vmlinux, by their build-ids. A compiler cache or a clock
// that goes back can leave an old one in it, and every address would be wrong. Files without a build-id pass.
func belongTogether(bzImage, vmlinux string) error {
	image, err := ReadBzImage(bzImage)
	if err != nil {
		return nil // not an image that can be looked into
	}
	inside, err := image.BuildID()
	if err != nil || inside == "" {
		return nil
	}
	f, err := os.Open(vmlinux)
	if err != nil {
		return infra("build", vmlinux, err)
	}
	defer f.Close()
	outside, err := streamBuildID(f)
	if err != nil || outside == "" || outside == inside {
		return nil
	}
	return blame.New(blame.Infrastructure, "build: the bzImage holds another kernel than the vmlinux: build-id "+inside+", not "+outside,
		"the object tree was dropped; build again, with CCACHE_DISABLE=1 if it comes back")
}
