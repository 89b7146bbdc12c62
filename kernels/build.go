package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// recipe is part of every key. It goes up when a change here makes another kernel of the same inputs.
const recipe = "1"

// Build is a finished kernel in the cache.
type Build struct {
	Key     string // hex
	Dir     string // its entry
	BzImage string
	Vmlinux string
	// BootVmlinux is the decompressor's ELF, arch/x86/boot/compressed/vmlinux.
	BootVmlinux string
	Config      string
	Release     string // uname -r: 6.1.192-kcatch
	Reused      bool   // nothing was built
	Patches     []Patch

	record record
}

// recordName is a build's record in its entry, and the entry's lock, see [hold].
const recordName = "build.json"

// A record is a build's build.json.
type record struct {
	Recipe  string   `json:"recipe"`
	Release string   `json:"release"`
	Source  string   `json:"source"` // the source's identity
	Root    string   `json:"root"`   // the private source tree
	Obj     string   `json:"obj"`
	Tools   string   `json:"tools"`
	Make    []string `json:"make,omitempty"`
	Live    bool     `json:"live"` // manifest lists every file of root, not only the patched ones
	Seconds float64  `json:"seconds"`
}

// A memory is what a request came to: its key and the patches as they were applied.
type memory struct {
	Key     string  `json:"key"`
	Patches []Patch `json:"patches,omitempty"`
}

// build is one call of [Builder.Build].
type build struct {
	reporter
	cache string
	jobs  int
	req   Request
	in    inputs
	tools string // the toolchain's identity
}

// Build makes the kernel of a request, or finds it. The arguments are checked as by [Builder.Check] as far as Build needs them.
func (b *Builder) Build(ctx context.Context, req Request) (Build, error) {
	req = req.withDefaults()
	in, err := readInputs(req)
	if err != nil {
		return Build{}, err
	}
	cache, err := b.cacheDir()
	if err != nil {
		return Build{}, err
	}
	for _, d := range []string{"sources", "slots", "builds", "memo", "logs"} {
		if err := os.MkdirAll(filepath.Join(cache, d), 0o777); err != nil {
			return Build{}, infra("cache", cache, err)
		}
	}
	run := &build{reporter: reporter{to: b.Progress}, cache: cache, jobs: b.jobs(), req: req, in: in}
	// A tree that was changed between scan and copy is scanned again; someone who saves a file at that moment gets a build of it.
	for range 3 {
		out, err := run.build(ctx)
		if !errors.Is(err, errChanged) {
			return out, err
		}
	}
	return Build{}, blame.New(blame.Usage, "tree: "+req.Tree+": changes while it is being copied", "wait until whatever writes there has ended")
}

func (b *build) build(ctx context.Context) (Build, error) {
	b.progress(StageSource, 0, 0, b.req.Tree)
	var err error
	if b.tools, err = b.in.tools.identity(ctx); err != nil {
		return Build{}, err
	}
	src, err := b.source(ctx)
	if err != nil {
		return Build{}, err
	}
	memo := b.memoFile(src)
	if out, ok := b.remembered(memo); ok {
		return out, nil
	}
	used, err := b.use(ctx, src)
	if err != nil {
		return Build{}, err
	}
	defer used.Close()
	o, patches, err := b.patch(ctx, src)
	if err != nil {
		return Build{}, err
	}
	sl := b.slot(src)
	held, err := lock(ctx, sl.lock(), func() { b.progress(StageSource, 0, 0, "waiting for another kcatch that builds from this source") })
	if err != nil {
		return Build{}, err
	}
	defer held.Close()
	if out, ok := b.remembered(memo); ok { // the other kcatch has built it
		return out, nil
	}
	b.progress(StageSource, 0, 0, "copying "+b.req.Tree)
	if err := sl.sync(ctx, src, o); err != nil {
		return Build{}, err
	}
	m := maker{build: b, slot: sl, lock: held}
	config, err := m.configuration(ctx, src, o)
	if err != nil {
		return Build{}, err
	}
	key := b.key(src, o, config)
	out, ok := b.entryOf(key)
	if !ok {
		if out, err = m.make(ctx, key, src, o, config); err != nil {
			return Build{}, err
		}
	}
	out.Patches, out.Reused = patches, ok
	data, err := json.Marshal(memory{Key: key, Patches: patches})
	if err == nil {
		err = writeAtomically(memo, func(w io.Writer) error { _, err := w.Write(data); return err })
	}
	return out, infra("cache", memo, err)
}

// patch tries the patches on copies of the files that they name.
func (b *build) patch(ctx context.Context, src source) (overlay, []Patch, error) {
	if len(b.in.patches) == 0 {
		return nil, nil, nil
	}
	var names []string
	for _, p := range b.in.patches {
		names = append(names, p.Name)
	}
	b.progress(StagePatch, 0, len(names), strings.Join(names, ", "))
	scratch, err := os.MkdirTemp(b.cache, "patch-")
	if err != nil {
		return nil, nil, infra("patch", b.cache, err)
	}
	defer os.RemoveAll(scratch)
	return applyPatches(ctx, src.root, scratch, src.version, b.in.patches)
}

// hasher makes keys of fields; each is written with its length, so that no two lists of fields are the same bytes.
type hasher struct{ fields [][]byte }

func (h *hasher) add(fields ...string) {
	for _, f := range fields {
		h.fields = append(h.fields, []byte(f))
	}
}

func (h *hasher) sum() string {
	s := sha256.New()
	for _, f := range h.fields {
		fmt.Fprintf(s, "%d\n", len(f))
		s.Write(f)
	}
	return hex.EncodeToString(s.Sum(nil)[:16])
}

// memoFile is where what a request came to is remembered: everything that decides the final configuration and the patched files.
func (b *build) memoFile(src source) string {
	var h hasher
	h.add("memo", recipe, src.identity, b.tools, b.in.base, string(b.in.baseText))
	for _, p := range b.in.patches {
		h.add("patch", p.Name)
		for _, f := range p.forms {
			h.add(f.Path, string(f.Data))
		}
	}
	for _, f := range b.in.fragments {
		h.add("fragment", string(f.text))
	}
	h.add("make")
	h.add(b.req.Make...)
	return filepath.Join(b.cache, "memo", h.sum()+".json")
}

func (b *build) key(src source, o overlay, config []byte) string {
	var h hasher
	h.add("build", recipe, src.identity, b.tools, string(config), "make")
	h.add(b.req.Make...)
	for _, p := range o.names() {
		h.add(p, string(o[p].Kind), string(o[p].Data))
	}
	return h.sum()
}

// remembered finds the entry of a request without making anything.
func (b *build) remembered(memo string) (Build, bool) {
	data, err := os.ReadFile(memo)
	if err != nil {
		return Build{}, false
	}
	var m memory
	if json.Unmarshal(data, &m) != nil {
		return Build{}, false
	}
	out, ok := b.entryOf(m.Key)
	out.Reused, out.Patches = true, m.Patches
	return out, ok
}

// entryOf opens the entry of a key.
func (b *build) entryOf(key string) (Build, bool) {
	if key == "" || fileName(key) != key {
		return Build{}, false
	}
	dir := filepath.Join(b.cache, "builds", key)
	if !hold(filepath.Join(dir, recordName)) {
		return Build{}, false
	}
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return Build{}, false
	}
	out := Build{
		Key: key, Dir: dir,
		BzImage:     filepath.Join(dir, "bzImage"),
		Vmlinux:     filepath.Join(dir, "vmlinux"),
		BootVmlinux: filepath.Join(dir, "boot-vmlinux"),
		Config:      filepath.Join(dir, "config"),
	}
	if json.Unmarshal(data, &out.record) != nil {
		return Build{}, false
	}
	out.Release = out.record.Release
	for _, f := range []string{out.BzImage, out.Vmlinux, out.Config} {
		if _, err := os.Stat(f); err != nil {
			return Build{}, false // someone tidied up
		}
	}
	// The entry's time says when it was last used.
	_ = os.Chtimes(dir, time.Time{}, time.Now())
	return out, true
}

// Source is the text of a file as it was built: "mm/page_alloc.c", or a generated one ("include/generated/asm-offsets.h").
// Files that a patch changed are kept in the entry; the others come from the private source tree and are refused with an error when
// they have changed there since. rel is relative to the kernel tree and never leaves it.
func (b Build) Source(rel string) ([]byte, error) {
	rel = filepath.ToSlash(filepath.Clean(strings.TrimPrefix(rel, "./")))
	if !localName(rel) {
		return nil, fmt.Errorf("source: %s: outside the kernel tree", clip(rel))
	}
	read := func(dir string) ([]byte, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		f, err := readTreeFile(root, rel)
		if err == nil && f.Kind == kindLink { // of generated trees and shared headers; os.Root keeps it inside
			f.Data, err = fs.ReadFile(root.FS(), rel)
		}
		return f.Data, err
	}
	if data, err := read(filepath.Join(b.Dir, "patched")); err == nil {
		return data, nil
	}
	data, err := read(b.record.Root)
	if err != nil {
		if made, merr := read(b.record.Obj); merr == nil {
			return made, nil
		}
		return nil, fmt.Errorf("source: %s: %s", rel, cause(err))
	}
	if b.record.Live {
		m, err := readManifest(filepath.Join(b.Dir, "manifest"))
		if err != nil {
			return nil, fmt.Errorf("source: %s: the build does not say which content it had: %w", rel, err)
		}
		if e, ok := m[rel]; ok && e.Kind != kindLink && sha256.Sum256(data) != e.Sum {
			return nil, fmt.Errorf("source: %s: has changed since this kernel was built", rel)
		}
	}
	return data, nil
}

// file writes the entry of a finished make.
func (b *build) file(tmp string, r record, o overlay) error {
	for _, p := range o.names() {
		if f := o[p]; f.Kind != kindGone {
			if err := writeOverlayFile(filepath.Join(tmp, "patched", p), f); err != nil {
				return err
			}
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(tmp, recordName), append(data, '\n'), 0o666)
}

// copyInto copies a build's product. The object tree is written in place by the next make (objtool and sorttable change vmlinux), so it is no link.
func copyInto(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}

// sameFile reports whether a file has exactly this content.
func sameFile(name string, data []byte) bool {
	have, err := os.ReadFile(name)
	return err == nil && bytes.Equal(have, data)
}
