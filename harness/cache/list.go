package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// List is what the cache directory has. A directory that is not there is an empty cache. It reads the names of all files there, some
// hundred thousand with a few kernel trees, in some seconds.
func List(ctx context.Context, dir string) (verdict.Cache, error) {
	c := verdict.Cache{Schema: verdict.CacheSchema, Dir: dir, Entries: []verdict.CacheEntry{}}
	now, seen := time.Now(), map[file]bool{}
	for _, s := range shelves() {
		names, err := os.ReadDir(filepath.Join(dir, s.dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Err: err}
		}
		var found []verdict.CacheEntry
		for _, d := range names {
			if !s.is(d.Name()) {
				continue
			}
			e := s.describe(filepath.Join(dir, s.dir, d.Name()), now)
			if e.Bytes, err = onDisk(ctx, e.Path, seen); err != nil {
				return c, &blame.Error{Kind: blame.Of(err), Msg: "cache: " + err.Error(), Err: err}
			}
			if s.keep != "" && onlyHas(e.Path, s.keep) {
				continue // it was removed
			}
			c.Bytes += e.Bytes
			found = append(found, e)
		}
		slices.SortStableFunc(found, func(a, b verdict.CacheEntry) int { return b.Used.Compare(a.Used) })
		c.Entries = append(c.Entries, found...)
	}
	return c, nil
}

// describe is an entry without its size.
func (s shelf) describe(path string, now time.Time) verdict.CacheEntry {
	e := verdict.CacheEntry{Kind: s.kind, Name: filepath.Base(path), What: s.text, Path: path}
	lock := path
	if s.lock != nil {
		lock = s.lock(path)
		free, ok := kernels.Claim(lock)
		free.Close()
		e.InUse = !ok
	}
	e.Used = kernels.LastUse(path, lock)
	e.InUse = e.InUse || now.Sub(e.Used) < s.young
	if s.what != nil {
		e.What = s.what(path)
	}
	return e
}

// onlyHas reports whether a directory has nothing but one name.
func onlyHas(dir, name string) bool {
	list, err := os.ReadDir(dir)
	return err == nil && (len(list) == 0 || len(list) == 1 && list[0].Name() == name)
}
