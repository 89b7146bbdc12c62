package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// Remove removes an entry of a [List] of dir. It is false, and the entry is whole, when a kcatch has come to use it since.
func Remove(dir string, e verdict.CacheEntry) (removed bool, err error) {
	all := shelves()
	i := slices.IndexFunc(all, func(s shelf) bool {
		return s.kind == e.Kind && e.Path == filepath.Join(dir, s.dir, e.Name) && s.is(e.Name)
	})
	if i < 0 {
		return false, blame.New(blame.Unknown, "cache: "+e.Path+": is no entry of "+dir, "")
	}
	s := all[i]
	if s.lock != nil {
		free, ok := kernels.Claim(s.lock(e.Path))
		if !ok {
			return false, nil
		}
		defer free.Close()
	}
	if s.keep != "" {
		err = removeBut(e.Path, s.keep)
	} else {
		// Renamed first, so that nobody finds half an entry; to a name that is a leftover's, should this process be killed.
		gone := filepath.Join(filepath.Dir(e.Path), ".tmp-"+e.Name)
		if s.dir == "sources" {
			gone = e.Path + ".tmp"
		}
		if err = os.Rename(e.Path, gone); err == nil {
			err = os.RemoveAll(gone)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Err: err}
	}
	return true, nil
}

// removeBut removes what a directory has but one name.
func removeBut(dir, keep string) error {
	list, err := os.ReadDir(dir)
	for _, d := range list {
		if d.Name() != keep {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, d.Name())))
		}
	}
	return err
}
