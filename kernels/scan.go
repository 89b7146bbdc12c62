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
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
)

// racy is how young a file's last change may be, against the moment its stamp was taken, for the stamp not to be trusted the
// next time: a second change within one tick of the file system's clock leaves the stamp as it is. 2 s is FAT's tick, the coarsest.
const racy = int64(2 * time.Second)

// scanTree returns what a kernel is built from in a directory: every file but git's own and the products of an in-tree build.
// Contents are hashed where cache does not have the file's stamp. Nothing in the directory is written, no git command is run on it.
func scanTree(ctx context.Context, root string, avoid string, cache manifest) (manifest, error) {
	return (&scanner{ctx: ctx, root: root, avoid: avoid, cache: cache, found: make(manifest, len(cache)+1024)}).scan()
}

// dropProducts removes from a directory of ours everything that scanTree leaves out: an archive may have been made of a tree that was built
// in, and an out-of-tree build finds objects in its source directory too (make's VPATH).
func dropProducts(ctx context.Context, root string) error {
	found, err := (&scanner{ctx: ctx, root: root, found: make(manifest, 1024), noSums: true}).scan()
	if err != nil {
		return err
	}
	dirs := map[string]bool{".": true}
	for p := range found {
		for d := path.Dir(p); !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		_, ok := found[rel]
		switch {
		case d.IsDir() && !dirs[rel]: // an empty include/config, too, is a tree that is not clean
			if err := os.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir() || ok:
			return nil
		}
		return os.Remove(name)
	})
}

func (s *scanner) scan() (manifest, error) {
	ctx := s.ctx
	s.idle = sync.NewCond(&s.mu)
	s.queue = []scanDir{{rules: parseIgnore([]byte(products), "", nil)}}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) + 1 {
		wg.Go(s.work)
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, interrupted("source")
	}
	if s.err == nil {
		s.err = s.tracked()
	}
	return s.found, s.err
}

type scanDir struct {
	rel     string // "" or "drivers/net/"
	rules   *ignoreFile
	outside bool // reached by a link that leaves the tree
}

type scanner struct {
	ctx   context.Context
	root  string
	avoid string // a directory (the cache) that is no part of the tree, absolute
	cache manifest
	// noSums leaves the contents unread: only the names are wanted.
	noSums bool

	mu    sync.Mutex // guards all below
	idle  *sync.Cond
	queue []scanDir
	busy  int
	found manifest
	left  []string // files and "directories/" left out that git might track
	err   error

	outsideFiles, outsideBytes int64
}

func (s *scanner) work() {
	var buf []byte
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && s.busy > 0 && s.err == nil {
			s.idle.Wait()
		}
		if len(s.queue) == 0 || s.err != nil {
			s.mu.Unlock()
			s.idle.Broadcast()
			return
		}
		d := s.queue[len(s.queue)-1]
		s.queue = s.queue[:len(s.queue)-1]
		s.busy++
		s.mu.Unlock()

		if buf == nil {
			buf = make([]byte, 256<<10)
		}
		entries, dirs, left, err := s.directory(d, buf)
		if err == nil {
			err = s.ctx.Err()
		}
		s.mu.Lock()
		for _, e := range entries {
			s.found[e.Path] = e
			if d.outside {
				s.outsideFiles++
				s.outsideBytes += e.Stamp.Size
			}
		}
		if err == nil && (s.outsideFiles > maxOutsideFiles || s.outsideBytes > maxOutsideBytes) {
			err = tooMuchOutside(s.root, d.rel)
		}
		s.queue = append(s.queue, dirs...)
		s.left = append(s.left, left...)
		if s.err == nil {
			s.err = err
		}
		s.busy--
		s.mu.Unlock()
		s.idle.Broadcast()
	}
}

// directory reads one directory.
func (s *scanner) directory(d scanDir, buf []byte) (entries []entry, dirs []scanDir, left []string, err error) {
	f, err := os.Open(filepath.Join(s.root, d.rel))
	if err != nil {
		return nil, nil, nil, unreadable(s.root, strings.TrimSuffix(d.rel, "/"), err)
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, nil, nil, unreadable(s.root, d.rel, err)
	}
	made := map[string]bool{} // NAME for each .NAME.cmd: kbuild made it (scripts/Kbuild.include, if_changed)
	for _, e := range list {
		name := e.Name()
		if inner, ok := strings.CutSuffix(name, ".cmd"); ok && len(inner) > 1 && inner[0] == '.' {
			made[inner[1:]] = true
		}
		if name == ".gitignore" && d.rel != "" && e.Type().IsRegular() {
			if d.rules, err = readIgnore(filepath.Join(s.root, d.rel, name), d.rel, d.rules); err != nil {
				return nil, nil, nil, unreadable(s.root, d.rel+name, err)
			}
		}
	}
	for _, e := range list {
		name, rel := e.Name(), d.rel+e.Name()
		switch {
		case name == ".git" || refusedByMake(rel):
			continue
		case e.IsDir():
			switch {
			case s.avoid != "" && filepath.Join(s.root, rel) == s.avoid || s.isObjectTree(rel):
			case d.rules.verdict(rel, name, true) > 0:
				left = append(left, rel+"/")
			default:
				dirs = append(dirs, scanDir{rel + "/", d.rules, d.outside})
			}
			continue
		case e.Type()&fs.ModeSymlink != 0 && s.leadsOut(d.rel, rel):
			dirs = append(dirs, scanDir{rel + "/", d.rules, true})
			continue
		case e.Type()&^fs.ModeSymlink != 0: // a socket, a pipe, a device
			continue
		case made[name] || d.rules.verdict(rel, name, false) > 0:
			left = append(left, rel)
			continue
		}
		ent, err := s.file(int(f.Fd()), rel, name, d.outside, buf)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the directory was read
		}
		if err != nil {
			return nil, nil, nil, unreadable(s.root, rel, err)
		}
		entries = append(entries, ent)
	}
	return entries, dirs, left, nil
}

// isObjectTree reports whether a directory is the output of "make O=": it has a .config and a "source" link to its tree.
func (s *scanner) isObjectTree(rel string) bool {
	st, err := os.Lstat(filepath.Join(s.root, rel, "source"))
	if err != nil || st.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	_, err = os.Lstat(filepath.Join(s.root, rel, ".config"))
	return err == nil
}

// file makes the entry of one file, from the cache where its stamp is there. A link that leaves the tree, or stands outside it, is the file
// that it leads to.
func (s *scanner) file(dir int, rel, name string, outside bool, buf []byte) (entry, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return entry{}, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		text, err := linkText(s.root, rel)
		if err != nil {
			return entry{}, err
		}
		var to unix.Stat_t
		if !outside && !filepath.IsAbs(text) || unix.Fstatat(dir, name, &to, 0) != nil || to.Mode&unix.S_IFMT != unix.S_IFREG {
			return entry{Path: rel, Kind: kindLink, Stamp: stampOf(&st), Sum: sha256.Sum256([]byte(text))}, nil
		}
		st = to
	}
	e := entry{Path: rel, Kind: kindFile, Stamp: stampOf(&st)}
	if st.Mode&0o100 != 0 {
		e.Kind = kindExec
	}
	if old, ok := s.cache[rel]; ok && old.Stamp == e.Stamp && old.Kind != kindLink && old.Sum != (sum{}) {
		e.Sum = old.Sum
		return e, nil
	}
	if s.noSums {
		return e, nil
	}
	now := time.Now().UnixNano()
	var err error
	if e.Sum, err = hashFile(filepath.Join(s.root, rel), buf); err != nil {
		return entry{}, err
	}
	if now-e.Stamp.Ctime < racy {
		e.Stamp.Ino = 0 // matches no file, so the next scan looks again
	}
	return e, nil
}

// tracked takes the files that were left out and that git tracks.
func (s *scanner) tracked() error {
	if len(s.left) == 0 {
		return nil
	}
	names, err := trackedFiles(s.root)
	if err != nil || len(names) == 0 {
		return nil // no index that we can read: the rules alone decide
	}
	left := make(map[string]bool, len(s.left))
	for _, l := range s.left {
		left[l] = true
	}
	buf := make([]byte, 64<<10)
	for _, n := range names {
		out := left[n]
		for i := range len(n) {
			out = out || n[i] == '/' && left[n[:i+1]]
		}
		if !out || !localName(n) {
			continue
		}
		dir, err := os.Open(filepath.Join(s.root, path.Dir(n)))
		if err != nil {
			continue
		}
		e, err := s.file(int(dir.Fd()), n, path.Base(n), false, buf)
		dir.Close()
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted in the working tree
		case err != nil:
			return unreadable(s.root, n, err)
		default:
			s.found[n] = e
		}
	}
	return nil
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Ino: st.Ino}
}

func hashFile(name string, buf []byte) (sum, error) {
	f, err := os.Open(name)
	if err != nil {
		return sum{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf); err != nil {
		return sum{}, err
	}
	return sum(h.Sum(nil)), nil
}

func unreadable(root, rel string, err error) error {
	if errors.Is(err, context.Canceled) {
		return interrupted("source")
	}
	return &blame.Error{Kind: blame.Usage, Msg: fmt.Sprintf("tree: %s: %s", filepath.Join(root, rel), cause(err)), Err: err,
		Hint: "the whole tree must be readable; check its owner and modes"}
}
