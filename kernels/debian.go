package kernels

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// debian makes one of Debian's kernel sources ready. The package lists decide which version; they are asked again only when they have
// changed, since that takes apt a second. Without apt, or without a network, the newest that is unpacked serves.
func (b *build) debian(ctx context.Context, tree string) (source, error) {
	pkg := "linux-source-" + strings.TrimPrefix(tree, "debian-")
	have := b.unpacked(tree)
	if have != "" && !b.listsChanged(tree) {
		return b.debianSource(tree, have)
	}
	deb, err := b.candidate(ctx, pkg, have != "")
	if err != nil {
		if have != "" && blame.Of(err) != blame.Interrupted {
			return b.debianSource(tree, have)
		}
		return source{}, err
	}
	dir := b.sourceDir(tree, deb.version)
	err = b.entry(ctx, dir, func(tmp string) error { return b.fetch(ctx, pkg, deb, tmp) })
	if err != nil {
		if have != "" && blame.Of(err) == blame.Infrastructure {
			b.progress(StageSource, 0, 0, "no new "+pkg+" ("+err.Error()+"), taking "+have)
			return b.debianSource(tree, have)
		}
		return source{}, err
	}
	b.rememberLists(tree)
	return b.debianSource(tree, deb.version)
}

func (b *build) sourceDir(tree, version string) string {
	return filepath.Join(b.cache, "sources", tree+"_"+fileName(version))
}

func (b *build) debianSource(tree, version string) (source, error) {
	dir := b.sourceDir(tree, version)
	s := source{slot: filepath.Base(dir), identity: "deb:" + tree + " " + version, root: topDirectory(dir)}
	var err error
	s.version, err = treeVersion(s.root)
	return s, err
}

// unpacked is the version of the youngest source of that name in the cache, or nothing.
func (b *build) unpacked(tree string) string {
	list, err := filepath.Glob(filepath.Join(b.cache, "sources", tree+"_*"))
	if err != nil || len(list) == 0 {
		return ""
	}
	var dirs []string
	times := map[string]time.Time{}
	for _, d := range list {
		if st, err := os.Stat(d); err == nil && st.IsDir() && filepath.Ext(d) != ".tmp" && filepath.Ext(d) != ".deb" {
			dirs, times[d] = append(dirs, d), st.ModTime()
		}
	}
	if len(dirs) == 0 {
		return ""
	}
	sort.Slice(dirs, func(i, j int) bool { return times[dirs[i]].After(times[dirs[j]]) })
	return strings.TrimPrefix(filepath.Base(dirs[0]), tree+"_")
}

// aptLists is where apt keeps the package lists; its time changes when apt-get update brings a new one.
const aptLists = "/var/lib/apt/lists"

func (b *build) listsFile(tree string) string { return filepath.Join(b.cache, "memo", tree+".lists") }

func (b *build) listsChanged(tree string) bool {
	st, err := os.Stat(aptLists)
	if err != nil {
		return false
	}
	seen, err := os.ReadFile(b.listsFile(tree))
	return err != nil || string(seen) != st.ModTime().UTC().String()
}

func (b *build) rememberLists(tree string) {
	if st, err := os.Stat(aptLists); err == nil {
		_ = os.MkdirAll(filepath.Dir(b.listsFile(tree)), 0o777)
		_ = os.WriteFile(b.listsFile(tree), []byte(st.ModTime().UTC().String()), 0o666) // a memory, not a result
	}
}

// A debFile is what apt would download.
type debFile struct {
	name    string // linux-source-6.1_6.1.192-2_all.deb
	version string
	size    int64 // bytes
}

// candidate asks apt which version of pkg is the newest. haveOne says that an error is not the end, so that no list is fetched for it.
func (b *build) candidate(ctx context.Context, pkg string, haveOne bool) (debFile, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return debFile{}, blame.New(blame.Usage, "tree: "+b.req.Tree+": this machine has no apt to get "+pkg+" with",
			"name a TREE: a directory with a kernel source, or a tarball from https://kernel.org")
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		return debFile{}, blame.New(blame.Infrastructure, "source: dpkg-deb is missing", "as root: apt-get install dpkg")
	}
	b.progress(StageSource, 0, 0, "asking apt for "+pkg)
	deb, out, err := aptCandidate(ctx, pkg)
	if err == nil || haveOne || ctx.Err() != nil {
		if ctx.Err() != nil {
			err = interrupted("source")
		}
		return deb, err
	}
	if os.Geteuid() == 0 {
		b.progress(StageSource, 0, 0, "apt-get update")
		up, uerr := output(ctx, "/", nil, "apt-get", "update", "-q")
		if ctx.Err() != nil {
			return debFile{}, interrupted("source")
		}
		if deb, out, err = aptCandidate(ctx, pkg); err == nil {
			return deb, nil
		}
		if uerr != nil {
			out = up
		}
	}
	return debFile{}, &blame.Error{
		Kind: blame.Infrastructure, Msg: fmt.Sprintf("source: %s: apt does not have it: %s", pkg, aptError(out)), Err: err,
		Hint: "as root: apt-get update; or name a TREE (a directory or a tarball)", Detail: string(out),
	}
}

// aptCandidate reads
//
//	'http://deb.debian.org/...' linux-source-6.1_6.1.192-2_all.deb 139331676 SHA256:ae95fe63...
func aptCandidate(ctx context.Context, pkg string) (debFile, []byte, error) {
	out, err := output(ctx, "/", nil, "apt-get", "download", "-q", "--print-uris", pkg)
	if err != nil {
		return debFile{}, out, err
	}
	for l := range strings.Lines(string(out)) {
		f := strings.Fields(l)
		if len(f) < 3 || !strings.HasPrefix(f[1], pkg+"_") || strings.ContainsRune(f[1], '/') {
			continue
		}
		parts := strings.Split(f[1], "_")
		size, err := strconv.ParseInt(f[2], 10, 64)
		if len(parts) == 3 && err == nil {
			return debFile{name: f[1], version: parts[1], size: size}, out, nil
		}
	}
	return debFile{}, out, errors.New("no uri")
}

func aptError(out []byte) string {
	for l := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(l, "E: "); ok {
			return clip(rest)
		}
	}
	return lastLine(out)
}

// fetch downloads the package into dir and unpacks the source from it, also there. apt checks the signature and the hash.
func (b *build) fetch(ctx context.Context, pkg string, deb debFile, dir string) error {
	if free, ok := freeSpace(dir); ok && free < uint64(spaceNeeded) {
		return diskFull("source", b.cache)
	}
	dl := dir + ".deb"
	if err := os.MkdirAll(dl, 0o777); err != nil {
		return infra("download", dl, err)
	}
	defer os.RemoveAll(dl)
	file := filepath.Join(dl, deb.name)
	stop := b.watchFile(file, deb)
	out, err := output(ctx, dl, nil, "apt-get", "download", "-q", pkg+"="+unescape(deb.version))
	stop()
	if ctx.Err() != nil {
		return interrupted("download")
	}
	if err != nil {
		if strings.Contains(string(out), "No space left") {
			return diskFull("download", b.cache)
		}
		return &blame.Error{Kind: blame.Infrastructure, Msg: "download: " + deb.name + ": " + aptError(out), Err: err, Detail: string(out),
			Hint: "is there a network? or name a TREE (a directory or a tarball)"}
	}
	if _, err := os.Stat(file); err != nil {
		list, _ := filepath.Glob(filepath.Join(dl, "*.deb"))
		if len(list) != 1 {
			return blame.New(blame.Infrastructure, "download: "+deb.name+": apt-get left no such file", "")
		}
		file = list[0]
	}
	return b.unpackDeb(ctx, file, dir)
}

// unescape turns the %3a of a file name back into an epoch's colon.
func unescape(version string) string { return strings.ReplaceAll(version, "%3a", ":") }

// unpackDeb unpacks the linux-source-*.tar.xz in a package, streamed: dpkg-deb --fsys-tarfile | the member | xz -dc.
func (b *build) unpackDeb(ctx context.Context, file, dir string) error {
	cmd := command(ctx, "/", "dpkg-deb", "--fsys-tarfile", file)
	var stderr strings.Builder
	cmd.Stderr, cmd.Env = &stderr, cEnv()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return infra("unpack", file, err)
	}
	defer func() {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}()
	t := tar.NewReader(out)
	for {
		h, err := t.Next()
		switch {
		case ctx.Err() != nil:
			return interrupted("unpack")
		case err == io.EOF:
			return blame.New(blame.Infrastructure, "unpack: "+filepath.Base(file)+": no linux-source archive in it", "")
		case err != nil:
			return &blame.Error{Kind: blame.Infrastructure, Msg: "unpack: " + filepath.Base(file) + ": " + err.Error(), Err: err, Detail: stderr.String()}
		}
		base := filepath.Base(h.Name)
		if h.Typeflag == tar.TypeReg && strings.HasPrefix(base, "linux-source-") && strings.Contains(base, ".tar") {
			return b.unpack(ctx, t, dir, base)
		}
	}
}

// watchFile reports a download's progress by its file's size: apt-get itself draws for a terminal only.
func (b *build) watchFile(name string, deb debFile) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var size int64
			if st, err := os.Stat(name); err == nil {
				size = st.Size()
			}
			b.progress(StageSource, int(size>>20), int(deb.size>>20), "downloading "+deb.name+" (MB)")
			select {
			case <-done:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }
}
