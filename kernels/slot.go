package kernels

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// A slot is the private copy of one source with the objects built from it. It is used under its lock.
//
//	slots/ID/src/        the source, patches applied; only this package writes there, make does not
//	slots/ID/manifest    what src holds (of a packaged source: only what differs from the package)
//	slots/ID/stamps      the stat cache of a directory that was named as TREE
//	slots/ID/obj-CONF/   an object tree for each configuration
//	slots/ID/lock        flock
type slot struct{ dir string }

func (s slot) src() string      { return filepath.Join(s.dir, "src") }
func (s slot) manifest() string { return filepath.Join(s.dir, "manifest") }
func (s slot) stamps() string   { return filepath.Join(s.dir, "stamps") }
func (s slot) lock() string     { return filepath.Join(s.dir, "lock") }

// errChanged says that a file of the user's tree changed between the scan and the copy.
var errChanged = errors.New("changed while it was being copied")

// sync makes src hold src's files with the overlay on top, and writes only what differs from what it holds, so that make sees only that
// as newer. A file that goes back to an old content gets a new time, not its old one: objects of the other content are younger.
func (s slot) sync(ctx context.Context, from source, o overlay) error {
	have, err := s.holds(ctx, from)
	if err != nil {
		return err
	}
	want := make(manifest, len(from.files)+len(o))
	for p, e := range from.files {
		want[p] = e
	}
	for p, f := range o {
		want[p] = entry{Path: p, Kind: f.Kind, Sum: sha256.Sum256(f.Data)}
	}
	var write, remove []string
	next := make(manifest, len(want))
	for p, w := range want {
		if h, ok := have[p]; ok && h.Kind == w.Kind && h.Sum == w.Sum && h.Sum != (sum{}) {
			next[p] = h
			continue
		}
		if w.Kind == kindGone {
			remove = append(remove, p)
		} else {
			write = append(write, p)
		}
		next[p] = entry{Path: p, Kind: w.Kind} // being written: a zero sum
	}
	var restore []string
	for p := range have {
		if _, ok := want[p]; ok {
			continue
		}
		if !from.live() {
			if _, err := os.Lstat(filepath.Join(from.root, p)); err == nil {
				restore = append(restore, p)
				next[p] = entry{Path: p, Kind: kindFile}
				continue
			}
		}
		remove = append(remove, p)
	}
	if len(write)+len(remove)+len(restore) == 0 {
		return nil
	}
	again, err := s.shadowed(from, want, have, append(append([]string(nil), write...), restore...))
	if err != nil {
		return infra("source", s.src(), err)
	}
	for _, p := range again {
		next[p] = entry{Path: p, Kind: kindFile}
		if _, ok := want[p]; ok {
			write = append(write, p)
		} else {
			restore = append(restore, p)
		}
	}
	// The journal: until the end, what is about to change counts as unknown content, so that an interrupted sync is finished by the next.
	for _, p := range remove {
		if _, ok := next[p]; !ok {
			next[p] = entry{Path: p, Kind: kindFile}
		}
	}
	if err := writeManifest(s.manifest(), next); err != nil {
		return infra("source", s.dir, err)
	}
	sort.Strings(write)
	for _, p := range remove {
		if err := s.remove(p); err != nil {
			return infra("source", s.src(), err)
		}
		if w, ok := want[p]; ok {
			next[p] = w
		} else {
			delete(next, p)
		}
	}
	for i, p := range append(write, restore...) {
		if i%256 == 0 && ctx.Err() != nil {
			return interrupted("source")
		}
		dst := filepath.Join(s.src(), p)
		f, patched := o[p]
		var err error
		if patched {
			err = writeOverlayFile(dst, f)
		} else {
			err = copyFile(from.root, p, dst, want[p])
		}
		if errors.Is(err, errChanged) {
			return err
		}
		if err != nil {
			return infra("source", dst, err)
		}
		if i < len(write) {
			e := want[p]
			e.Stamp = stamp{}
			next[p] = e
		} else {
			delete(next, p)
		}
	}
	return infra("source", s.dir, writeManifest(s.manifest(), next))
}

// shadowed are the files, not written anyhow, that a header which is new in the tree may hide: those of the same name. An object says
// which headers it was made of, not in which directories the compiler looked for them in vain, so make does not see that it
// would find another one now. Written again, they are newer than every object made of them.
func (s slot) shadowed(from source, want, have manifest, writing []string) ([]string, error) {
	if objs, _ := filepath.Glob(filepath.Join(s.dir, "obj-*", "kcatch.json")); len(objs) == 0 {
		return nil, nil
	}
	fresh, taken := map[string]bool{}, map[string]bool{}
	for _, p := range writing {
		taken[p] = true
		was, ok := have[p]
		there := ok && was.Kind != kindGone && was.Sum != (sum{}) // without a sum: an interrupted sync, which may have made it
		if !ok && !from.live() {
			_, err := os.Lstat(filepath.Join(from.root, p))
			there = err == nil
		}
		if strings.HasSuffix(p, ".h") && !there {
			fresh[path.Base(p)] = true
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	var again []string
	if from.live() {
		for p, e := range want {
			if fresh[path.Base(p)] && !taken[p] && e.Kind != kindGone && e.Kind != kindLink {
				again = append(again, p)
			}
		}
		return again, nil
	}
	err := filepath.WalkDir(from.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !fresh[d.Name()] {
			return err
		}
		p, err := filepath.Rel(from.root, name)
		if err == nil && !taken[p] && want[p].Kind != kindGone {
			again = append(again, p)
		}
		return err
	})
	return again, err
}

// holds makes sure that there is a src and returns what it holds. A damaged or missing manifest costs a fresh copy.
func (s slot) holds(ctx context.Context, from source) (manifest, error) {
	have, err := readManifest(s.manifest())
	_, serr := os.Stat(s.src())
	if err == nil && serr == nil {
		return have, nil
	}
	if err := s.clear(); err != nil {
		return nil, infra("source", s.dir, err)
	}
	tmp := filepath.Join(s.dir, "src.tmp")
	if from.live() {
		err = os.MkdirAll(tmp, 0o777)
	} else {
		err = linkTree(ctx, from.root, tmp)
	}
	if err == nil {
		err = os.Rename(tmp, s.src())
	}
	if err == nil {
		err = writeManifest(s.manifest(), manifest{})
	}
	return manifest{}, infra("source", s.dir, err)
}

// clear removes src and with it the object trees, whose objects are no longer known to be of this source.
func (s slot) clear() error {
	list, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.IsDir() {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a path of src and the directories that it leaves empty.
func (s slot) remove(p string) error {
	err := os.RemoveAll(filepath.Join(s.src(), p))
	if err != nil && !isNotDir(err) {
		return err
	}
	for dir := filepath.Dir(p); dir != "."; dir = filepath.Dir(dir) {
		if os.Remove(filepath.Join(s.src(), dir)) != nil {
			break
		}
	}
	return nil
}

// writeOverlayFile replaces dst, never writes into it: it may be a hard link to the packaged source.
func writeOverlayFile(dst string, f overlayFile) error {
	return replace(dst, func(tmp string) error {
		if f.Kind == kindLink {
			return os.Symlink(string(f.Data), tmp)
		}
		return os.WriteFile(tmp, f.Data, modeOf(f.Kind))
	})
}

// copyFile copies root/rel to dst. When want has a stamp, the file must still have it after the copy.
func copyFile(root, rel, dst string, want entry) error {
	name := filepath.Join(root, rel)
	st, err := os.Lstat(name)
	if err != nil {
		if want.Path != "" && errors.Is(err, fs.ErrNotExist) {
			return errChanged
		}
		return err
	}
	kind := want.Kind
	if kind == 0 {
		kind = kindFile
		if st.Mode()&fs.ModeSymlink != 0 {
			kind = kindLink
		} else if st.Mode()&0o100 != 0 {
			kind = kindExec
		}
	}
	return replace(dst, func(tmp string) error {
		if kind == kindLink {
			text, err := linkText(root, rel)
			if err != nil {
				return err
			}
			return os.Symlink(text, tmp)
		}
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeOf(kind))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in) // copy_file_range, which shares blocks where the file system can
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err == nil && want.Stamp.Ino == 0 && want.Sum != (sum{}) { // a stamp that does not tell: changed just before the scan
			if is, herr := hashFile(tmp, make([]byte, 64<<10)); herr != nil || is != want.Sum {
				return errors.Join(herr, errChanged)
			}
		}
		if err != nil || want.Stamp == (stamp{}) {
			return err
		}
		var now unix.Stat_t
		if err := unix.Fstat(int(in.Fd()), &now); err != nil {
			return err
		}
		is := stampOf(&now)
		if want.Stamp.Ino == 0 { // the stamp of a file that was changed just before the scan
			is.Ino = 0
		}
		if is != want.Stamp {
			return errChanged
		}
		return nil
	})
}

func modeOf(kind byte) fs.FileMode {
	if kind == kindExec {
		return 0o755
	}
	return 0o644
}

// replace makes a file beside dst and renames it over it. dst may be a directory that became a file.
func replace(dst string, fill func(tmp string) error) error {
	dir := filepath.Dir(dst)
	tmp := filepath.Join(dir, fmt.Sprintf(".kcatch-%d.tmp", os.Getpid()))
	err := fill(tmp)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		os.Remove(tmp)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		err = fill(tmp)
	}
	if err == nil {
		err = os.Rename(tmp, dst)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.EISDIR) {
			if err = os.RemoveAll(dst); err == nil {
				err = os.Rename(tmp, dst)
			}
		}
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// linkTree copies a tree by hard links: 80,000 files in a second or two and no room. Where the file system has none, it copies.
func linkTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(dst, 0o777)
		case d.Type()&fs.ModeSymlink != 0:
			text, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return os.Symlink(text, dst)
		}
		if err := os.Link(p, dst); err == nil || errors.Is(err, unix.ENOSPC) {
			return err
		}
		return copyFile(from, rel, dst, entry{})
	})
}
