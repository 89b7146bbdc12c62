package kernels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// slotName is a readable and unique file name for a path.
func slotName(base, path string) string {
	h := sha256.Sum256([]byte(path))
	return fileName(base) + "-" + hex.EncodeToString(h[:6])
}

// fileName keeps what is harmless in a file name, in make's arguments and in a shell: make has no way to quote a blank or a colon.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-+~", r):
			return r
		}
		return '_'
	}, s)
	return strings.TrimLeft(s[:min(len(s), 60)], ".-~")
}

func (b *build) slot(s source) slot { return slot{filepath.Join(b.cache, "slots", s.slot)} }

// entry makes the cache entry dir unless it is there: fill gets an empty directory beside it, which is renamed into place
// when fill succeeds and removed when it does not. Two processes that want one entry wait for each other.
func (b *build) entry(ctx context.Context, dir string, fill func(tmp string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	held, err := lock(ctx, dir+".lock", func() { b.progress(StageSource, 0, 0, "waiting for another kcatch") })
	if err != nil {
		return err
	}
	defer held.Close()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp := dir + ".tmp"
	if err := os.RemoveAll(tmp); err != nil { // of a process that was killed
		return infra("cache", tmp, err)
	}
	defer os.RemoveAll(tmp)
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return infra("cache", tmp, err)
	}
	if err := fill(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return infra("cache", dir, err)
	}
	return nil
}
