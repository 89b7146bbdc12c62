package kernels

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Bounds of an archive that is unpacked. Linux 6.12 has 87,000 files and 1.5 GB.
const (
	maxTarBytes = 16 << 30
	maxTarFiles = 2_000_000
)

// errTar is an archive's own fault: cut, no archive, or one that reaches out of its directory.
type errTar struct{ error }

func tarFault(format string, args ...any) error { return errTar{fmt.Errorf(format, args...)} }

// uncompressed opens a stream of a .tar, .tar.gz, .tar.xz or .tar.zst. xz(1) is used where it is installed: it takes 5 s for a kernel,
// Go's decoder 40. close ends the process and says how it ended.
func uncompressed(ctx context.Context, r io.Reader) (_ io.Reader, close func() error, err error) {
	br := bufio.NewReaderSize(r, 1<<20)
	magic, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	none := func() error { return nil }
	switch formatOf(magic) {
	case Gzip:
		z, err := gzip.NewReader(br)
		return z, none, err
	case Zstd:
		z, err := zstd.NewReader(br, zstd.WithDecoderMaxWindow(maxDictionary))
		if err != nil {
			return nil, nil, err
		}
		return z, func() error { z.Close(); return nil }, nil
	case XZ:
		if _, err := exec.LookPath("xz"); err == nil {
			return throughXz(ctx, br)
		}
		z, err := xz.NewReader(br)
		return z, none, err
	}
	return br, none, nil
}

func throughXz(ctx context.Context, r io.Reader) (io.Reader, func() error, error) {
	cmd := command(ctx, "", "xz", "-dc", "-T0")
	cmd.Stdin = r
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	return out, func() error {
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return tarFault("xz: %s", lastLine([]byte(stderr.String())))
		}
		return nil
	}, nil
}

// untar unpacks a stream into dir, a new directory. Names that leave it and links out of it are refused, so that a hostile archive
// writes nowhere else: links are made last, when nothing is written any more. tick is called with the number of files.
func untar(ctx context.Context, r io.Reader, dir string, tick func(files int)) error {
	u := unpacker{dir: dir, links: map[string]string{}, made: map[string]bool{}}
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		if n%512 == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tick(n)
		}
		h, err := t.Next()
		if err == io.EOF {
			if n == 0 {
				return tarFault("it has no files")
			}
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return tarFault("not a tar archive, or cut off: %w", err)
		}
		if n > maxTarFiles {
			return tarFault("more than %d files", maxTarFiles)
		}
		if err := u.entry(h, t); err != nil {
			return err
		}
	}
	return u.symlinks()
}

// symlinks makes the links, through an os.Root: several that each stay inside can lead out one behind the other.
func (u *unpacker) symlinks() error {
	if len(u.links) == 0 {
		return nil
	}
	root, err := os.OpenRoot(u.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	names := make([]string, 0, len(u.links))
	for name := range u.links {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				return err
			}
			return tarFault("it has a link behind a link or a file: %s", clip(name))
		}
		if err := root.Symlink(u.links[name], name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

type unpacker struct {
	dir   string
	links map[string]string
	made  map[string]bool // directories that are there
	bytes int64
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	name := path.Clean(strings.TrimPrefix(h.Name, "./"))
	if name == "." || h.Typeflag == tar.TypeXGlobalHeader { // git archive: the commit's name, as pax_global_header
		return nil
	}
	if !localName(name) {
		return tarFault("it has a name outside its directory: %s", clip(h.Name))
	}
	full := filepath.Join(u.dir, name)
	switch h.Typeflag {
	case tar.TypeDir:
		return u.mkdir(name)
	case tar.TypeReg:
		if h.Size > maxSource {
			return tarFault("a file of %d MB is in no kernel: %s", h.Size>>20, clip(name))
		}
		if u.bytes += h.Size; u.bytes > maxTarBytes {
			return tarFault("more than %d GB", int64(maxTarBytes)>>30)
		}
		if err := u.parent(name); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if h.Mode&0o100 != 0 {
			mode = 0o755
		}
		delete(u.links, name)
		f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		var pe *fs.PathError
		if err != nil && !errors.As(err, &pe) { // reading failed, not writing
			return tarFault("cut off in %s: %w", clip(name), err)
		}
		return err
	case tar.TypeSymlink:
		if !localName(path.Join(path.Dir(name), h.Linkname)) || path.IsAbs(h.Linkname) {
			return tarFault("it has a link out of its directory: %s -> %s", clip(name), clip(h.Linkname))
		}
		u.links[name] = h.Linkname
		return nil
	case tar.TypeLink:
		target := path.Clean(strings.TrimPrefix(h.Linkname, "./"))
		if !localName(target) {
			return tarFault("it has a link out of its directory: %s -> %s", clip(name), clip(h.Linkname))
		}
		if err := u.parent(name); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(u.dir, target), full); err != nil && errors.Is(err, fs.ErrNotExist) {
			return tarFault("a hard link to a file that is not before it: %s", clip(name))
		} else {
			return err
		}
	}
	return nil // devices, pipes: nothing a kernel is built from
}

func (u *unpacker) parent(name string) error {
	if d := path.Dir(name); d != "." {
		return u.mkdir(d)
	}
	return nil
}

func (u *unpacker) mkdir(name string) error {
	if u.made[name] {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(u.dir, name), 0o755); err != nil {
		if isNotDir(err) {
			return tarFault("%s is a file and a directory", clip(name))
		}
		return err
	}
	u.made[name] = true
	return nil
}

// topDirectory is the directory with the kernel in an unpacked archive: dir itself, or the only directory in it.
func topDirectory(dir string) string {
	for range 3 {
		if _, err := os.Stat(filepath.Join(dir, "Makefile")); err == nil {
			return dir
		}
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != 1 || !list[0].IsDir() {
			return dir
		}
		dir = filepath.Join(dir, list[0].Name())
	}
	return dir
}
