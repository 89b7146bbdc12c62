package kernels

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
)

// A source is a kernel tree that is ready to be built from.
type source struct {
	// slot names its private copy under slots/.
	slot string
	// identity changes when and only when the content does: a package's version, a tarball's or a directory's hash.
	identity string
	// root is the tree, without patches. It is only read.
	root    string
	version version
	// files are those of a directory that may change under us; nil for a package or a tarball.
	files manifest
}

func (s source) live() bool { return s.files != nil }

// SourceInfo describes a TREE that has a name.
type SourceInfo struct {
	Name string
	Text string
}

// Sources lists the TREEs that can be named without having them.
func Sources() []SourceInfo {
	return []SourceInfo{
		{"debian-6.1", "Debian's linux-source-6.1, the newest in the package lists"},
		{"debian-6.12", "Debian's linux-source-6.12, the newest in the package lists"},
	}
}

// DefaultTree is the TREE of a request that names none.
const DefaultTree = "debian-6.1"

func isPackaged(tree string) bool {
	for _, s := range Sources() {
		if s.Name == tree {
			return true
		}
	}
	return false
}

var tarName = regexp.MustCompile(`\.(tar|tar\.xz|tar\.gz|tar\.zst|txz|tgz)$`)

// checkTree says what is wrong with a TREE before anything is downloaded or copied.
func checkTree(tree string) error {
	if isPackaged(tree) {
		return nil // what it takes to get one is asked in [Builder.debian], when it is not there yet
	}
	st, err := os.Stat(tree)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsRune(tree, '/'):
		return &blame.Error{Kind: blame.Usage, Msg: "tree: " + tree + ": no such file or directory, and no source of that name", Err: err,
			Hint: "TREE is debian-6.1, debian-6.12, a directory with a kernel source, or a tarball of one"}
	case err != nil:
		return &blame.Error{Kind: blame.Usage, Msg: "tree: " + tree + ": " + cause(err), Err: err}
	case st.IsDir():
		_, err := treeVersion(tree)
		return err
	case !st.Mode().IsRegular() || !tarName.MatchString(tree):
		return blame.New(blame.Usage, "tree: "+tree+": neither a directory nor a .tar.xz, .tar.gz or .tar.zst",
			"TREE is debian-6.1, debian-6.12, a directory with a kernel source, or a tarball of one")
	}
	f, err := os.Open(tree)
	if err != nil {
		return &blame.Error{Kind: blame.Usage, Msg: "tree: " + tree + ": " + cause(err), Err: err}
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	switch formatOf(head[:n]) {
	case Gzip, XZ, Zstd:
		return nil
	}
	if n < 262 || string(head[257:262]) != "ustar" {
		return blame.New(blame.Usage, "tree: "+tree+": not a tar archive", "")
	}
	return nil
}

// source makes the tree of a request ready: downloads, unpacks or scans it.
func (b *build) source(ctx context.Context) (source, error) {
	if isPackaged(b.req.Tree) {
		return b.debian(ctx, b.req.Tree)
	}
	abs, err := filepath.Abs(b.req.Tree)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return source{}, &blame.Error{Kind: blame.Usage, Msg: "tree: " + b.req.Tree + ": " + cause(err), Err: err}
	}
	if st, err := os.Stat(abs); err == nil && st.IsDir() {
		return b.directory(ctx, abs)
	}
	return b.tarball(ctx, abs)
}

// directory scans a tree that is the user's.
func (b *build) directory(ctx context.Context, dir string) (source, error) {
	v, err := treeVersion(dir)
	if err != nil {
		return source{}, err
	}
	s := source{slot: slotName(filepath.Base(dir), dir), root: dir, version: v}
	sl := b.slot(s)
	if err := os.MkdirAll(sl.dir, 0o777); err != nil {
		return source{}, infra("source", sl.dir, err)
	}
	stamps, err := readManifest(sl.stamps())
	if err != nil {
		stamps = nil // none yet, or damaged: everything is read again
	}
	if s.files, err = scanTree(ctx, dir, b.cache, stamps); err != nil {
		return source{}, err
	}
	if !sameStamps(stamps, s.files) {
		if err := writeManifest(sl.stamps(), s.files); err != nil {
			return source{}, infra("source", sl.stamps(), err)
		}
	}
	id := s.files.identity()
	s.identity = "tree:" + hex.EncodeToString(id[:])
	return s, nil
}

func sameStamps(a, b manifest) bool {
	if len(a) != len(b) {
		return false
	}
	for p, e := range b {
		if a[p] != e {
			return false
		}
	}
	return true
}

// tarball unpacks an archive once by its content.
func (b *build) tarball(ctx context.Context, name string) (source, error) {
	id, err := b.fileIdentity(name)
	if err != nil {
		return source{}, &blame.Error{Kind: blame.Usage, Msg: "tree: " + name + ": " + cause(err), Err: err}
	}
	key := "tar-" + hex.EncodeToString(id[:12])
	dir := filepath.Join(b.cache, "sources", key)
	s := source{slot: key, identity: "tar:" + hex.EncodeToString(id[:])}
	err = b.entry(ctx, dir, func(tmp string) error {
		f, err := os.Open(name)
		if err != nil {
			return &blame.Error{Kind: blame.Usage, Msg: "tree: " + name + ": " + cause(err), Err: err}
		}
		defer f.Close()
		if err := b.unpack(ctx, f, tmp, name); err != nil {
			return err
		}
		if _, err := treeVersionAs(topDirectory(tmp), name); err != nil {
			return err
		}
		return infra("unpack "+filepath.Base(name), tmp, dropProducts(ctx, topDirectory(tmp)))
	})
	if err != nil {
		return source{}, err
	}
	s.root = topDirectory(dir)
	s.version, err = treeVersion(s.root)
	return s, err
}

// unpack unpacks a compressed tar archive; name is for messages.
func (b *build) unpack(ctx context.Context, r io.Reader, dir, name string) error {
	z, end, err := uncompressed(ctx, r)
	if err != nil {
		return &blame.Error{Kind: blame.Usage, Msg: "tree: " + name + ": " + err.Error(), Err: err}
	}
	err = untar(ctx, z, dir, func(n int) { b.progress(StageSource, n, 0, "unpacking "+filepath.Base(name)) })
	if err != nil {
		// Nobody reads on; ending xz now and not at the end of its stream.
		if c, ok := z.(io.Closer); ok {
			c.Close()
		}
		_ = end()
	} else {
		err = end()
	}
	var te errTar
	if errors.As(err, &te) {
		return &blame.Error{Kind: blame.Usage, Msg: "tree: " + name + ": " + te.Error(), Err: err}
	}
	return infra("unpack "+filepath.Base(name), dir, err)
}

// fileIdentity is a file's hash, remembered by its stamp.
func (b *build) fileIdentity(name string) (sum, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return sum{}, err
	}
	type memory struct {
		Stamp stamp
		Sum   sum
	}
	memo := filepath.Join(b.cache, "memo", slotName("file", name)+".json")
	if data, err := os.ReadFile(memo); err == nil {
		var m memory
		if json.Unmarshal(data, &m) == nil && m.Stamp == stampOf(&st) {
			return m.Sum, nil
		}
	}
	h, err := hashFile(name, make([]byte, 1<<20))
	if err != nil {
		return sum{}, err
	}
	if data, err := json.Marshal(memory{stampOf(&st), h}); err == nil {
		_ = os.MkdirAll(filepath.Dir(memo), 0o777)
		_ = writeAtomically(memo, func(w io.Writer) error { _, err := w.Write(data); return err }) // a memory, not a result
	}
	return h, nil
}
