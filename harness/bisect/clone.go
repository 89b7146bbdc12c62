package bisect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"kcatch/internal/blame"
)

// Source is the user's repository. It is only read, its .git too: no index is refreshed, nothing is fetched, no hook runs.
type Source struct {
	Dir    string // as it was named
	Common string // the repository's own directory, shared by its worktrees
	format string // sha1 or sha256
}

// gitEnvironment is ours without what would point git at another repository, as inside a hook.
func gitEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "GIT_") && !strings.HasPrefix(e, "GIT_CONFIG")
	})
	return append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=kcatch", "GIT_AUTHOR_EMAIL=kcatch", "GIT_COMMITTER_NAME=kcatch", "GIT_COMMITTER_EMAIL=kcatch")
}

// errGit is a git that ended badly: its last line, and its code.
type errGit struct {
	args []string
	text string
	code int
}

func (e *errGit) Error() string { return "git " + e.args[0] + ": " + e.text }

// run runs git in dir and returns its standard output.
func run(ctx context.Context, dir string, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"}, args...)...)
	cmd.Dir, cmd.Env = dir, gitEnvironment()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it removes its lock files
	cmd.WaitDelay = 10e9
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", &blame.Error{Kind: blame.Interrupted, Msg: "git: interrupted", Err: ctx.Err()}
	case errors.Is(err, exec.ErrNotFound):
		return "", blame.New(blame.Infrastructure, "bisect: not installed: git", "as root: apt-get install git")
	case errors.As(err, &exit):
		return stdout.String(), &errGit{args: args, text: lastLine(stderr.String()), code: exit.ExitCode()}
	case err != nil:
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: "git: " + err.Error(), Err: err}
	}
	return stdout.String(), nil
}

// lastLine is the last line of git's messages that says something: hints come after it.
func lastLine(text string) string {
	line := ""
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "hint:") && (line == "" || !strings.HasPrefix(line, "fatal:")) {
			line = l
		}
	}
	for _, p := range []string{"fatal: ", "error: "} {
		line = strings.TrimPrefix(line, p)
	}
	return line
}

// disk makes an infrastructure error of a git that could not write.
func disk(op, path string, err error) error {
	var g *errGit
	if blame.Of(err) != blame.Unknown && !errors.As(err, &g) {
		return err
	}
	e := &blame.Error{Kind: blame.Infrastructure, Msg: op + ": " + path + ": " + err.Error(), Err: err}
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "No space left") {
		e.Hint = "the private copy of a kernel tree and its objects take about 5 GB; free some, or set XDG_CACHE_HOME"
	}
	return e
}

// OpenSource looks at a directory that should be of a git repository.
func OpenSource(ctx context.Context, dir string) (Source, error) {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() {
		return Source{}, blame.New(blame.Usage, "--tree: "+dir+": no such directory", "name a git repository of a kernel")
	}
	out, err := run(ctx, dir, "", "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-object-format")
	var g *errGit
	if errors.As(err, &g) {
		e := blame.New(blame.Usage, "--tree: "+dir+": not a git repository", "bisect needs the history; name a clone with --tree")
		if strings.Contains(g.text, "dubious ownership") || strings.Contains(g.text, "unsafe repository") {
			e = blame.New(blame.Usage, "--tree: "+dir+": belongs to another user, so git does not read it", "git config --global --add safe.directory "+dir)
		}
		return Source{}, e
	}
	if err != nil {
		return Source{}, err
	}
	f := strings.Split(strings.TrimSpace(out), "\n")
	if len(f) != 2 {
		return Source{}, blame.New(blame.Infrastructure, "git rev-parse answers "+fmt.Sprintf("%.60q", out), "kcatch needs git 2.31 or newer")
	}
	return Source{Dir: dir, Common: f[0], format: f[1]}, nil
}

// Resolve is the object name of a revision; what names it in a message: GOOD, BAD.
func (s Source) Resolve(ctx context.Context, what, rev string) (string, error) {
	out, err := run(ctx, s.Dir, "", "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	var g *errGit
	if errors.As(err, &g) {
		hint := "git -C " + s.Dir + " log shows what there is; a tag or branch that is not here yet needs git fetch"
		if s.shallow() {
			hint = "the clone is shallow: git fetch --unshallow"
		}
		return "", blame.New(blame.Usage, what+": unknown revision: "+rev, hint)
	}
	return strings.TrimSpace(out), err
}

func (s Source) shallow() bool {
	_, err := os.Stat(filepath.Join(s.Common, "shallow"))
	return err == nil
}

// Dirty is how many tracked files differ from what is checked out.
func (s Source) Dirty(ctx context.Context) int {
	out, err := run(ctx, s.Dir, "", "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
	if err != nil {
		return 0 // a bare repository has none
	}
	return strings.Count(out, "\n")
}

// Clone is a private repository that borrows the objects of a Source, with a work tree of its own.
type Clone struct {
	Dir    string // the work tree
	source Source
	lock   *os.File
	// unclean is set while the work tree may hold files that no commit has there: a git that was killed left them. They would be
	// built, as a user's untracked files are.
	unclean bool
}

// OpenClone makes the clone of a source in the cache, or finds it again: the work tree of the last bisection is near this one's, and
// its kernels are built from the objects that are there. Only one process may have it.
func OpenClone(ctx context.Context, s Source, cache string) (*Clone, error) {
	id := sha256.Sum256([]byte(s.Common))
	name := filepath.Base(strings.TrimSuffix(s.Common, "/.git"))
	home := filepath.Join(cache, "bisect", name+"-"+hex.EncodeToString(id[:6]))
	c := &Clone{Dir: filepath.Join(home, "tree"), source: s, unclean: true}
	if err := os.MkdirAll(home, 0o777); err != nil {
		return nil, disk("bisect", home, err)
	}
	var err error
	if c.lock, err = os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return nil, disk("bisect", home, err)
	}
	if err := syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		c.Close()
		return nil, blame.New(blame.Infrastructure, "bisect: another kcatch bisects this repository", "wait until it has ended, or bisect a clone of the repository")
	}
	if err := c.init(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close gives the clone free.
func (c *Clone) Close() error { return c.lock.Close() }

// init makes the repository by hand: "git clone --shared" of a shallow repository copies it, and would take branches along.
func (c *Clone) init(ctx context.Context) error {
	dot := filepath.Join(c.Dir, ".git")
	if _, err := os.Stat(filepath.Join(dot, "HEAD")); err != nil || c.orphaned(ctx) {
		if err := os.RemoveAll(c.Dir); err != nil {
			return disk("bisect", c.Dir, err)
		}
		if _, err := run(ctx, filepath.Dir(c.Dir), "", "init", "-q", "--template=", "--object-format="+c.source.format, c.Dir); err != nil {
			return disk("bisect", c.Dir, err)
		}
	}
	_ = os.Remove(filepath.Join(dot, "index.lock")) // of a git that was killed; the lock is ours
	for _, kv := range [][2]string{{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"advice.detachedHead", "false"}, {"core.autocrlf", "false"}} {
		if _, err := run(ctx, c.Dir, "", "config", kv[0], kv[1]); err != nil {
			return disk("bisect", c.Dir, err)
		}
	}
	info := filepath.Join(dot, "objects", "info")
	err := os.MkdirAll(info, 0o777)
	if err == nil {
		err = os.WriteFile(filepath.Join(info, "alternates"), []byte(filepath.Join(c.source.Common, "objects")+"\n"), 0o666)
	}
	if err == nil { // without it, git would take the end of a shallow history for damage
		var data []byte
		data, err = os.ReadFile(filepath.Join(c.source.Common, "shallow"))
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.Remove(filepath.Join(dot, "shallow")); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else if err == nil {
			err = os.WriteFile(filepath.Join(dot, "shallow"), data, 0o666)
		}
	}
	if err != nil {
		return disk("bisect", c.Dir, err)
	}
	return nil
}

// orphaned reports whether what is checked out is no longer in the repository that lends its objects: another one has taken its place.
func (c *Clone) orphaned(ctx context.Context) bool {
	head, err := os.ReadFile(filepath.Join(c.Dir, ".git", "HEAD"))
	if err != nil || !objectName(strings.TrimSpace(string(head))) {
		return err != nil
	}
	_, err = run(ctx, c.Dir, "", "cat-file", "-e", "HEAD^{tree}")
	return err != nil
}

// Range is what lies between two ends.
type Range struct {
	Graph *Graph
	Bases []string // merge bases to be tried first; none when the old end is an ancestor of the new one
}

// Range lists the commits that the new end has and the old end has not. paths, when there are any, leave out those that do not touch them.
func (c *Clone) Range(ctx context.Context, old, now string, firstParent bool, paths []string) (Range, error) {
	var r Range
	if old == now {
		return r, blame.New(blame.Usage, "GOOD and BAD are the same commit: "+short(old), "name two")
	}
	out, err := run(ctx, c.Dir, "", "merge-base", "--all", old, now)
	var g *errGit
	if errors.As(err, &g) && g.code == 1 && g.text == "" { // with a commit that is missing it is 1 too, and git says so
		if c.source.shallow() {
			return r, c.lacksHistory()
		}
		return r, blame.New(blame.Usage, "GOOD and BAD have no common ancestor", "bisect needs one history that has both")
	}
	if err != nil {
		return r, c.unreadable(err)
	}
	bases := strings.Fields(out)
	if slices.Contains(bases, now) {
		return r, blame.New(blame.Usage, "nothing lies between: "+short(now)+" is an ancestor of "+short(old),
			"GOOD comes first and is the older one; with --fixed it is the newer one")
	}
	if !slices.Contains(bases, old) {
		r.Bases = bases
	}
	args := []string{"rev-list", "--topo-order", "--parents"}
	if firstParent {
		args = append(args, "--first-parent")
	}
	args = append(args, now, "^"+old)
	if len(paths) > 0 {
		args = append(append(args, "--"), paths...)
	}
	if out, err = run(ctx, c.Dir, "", args...); err != nil {
		return r, c.unreadable(err)
	}
	if r.Graph, err = ParseGraph(out, firstParent); err != nil {
		return r, &blame.Error{Kind: blame.Infrastructure, Msg: "git rev-list: " + err.Error(), Err: err}
	}
	if r.Graph.Len() == 0 {
		return r, blame.New(blame.Usage, "no commit between GOOD and BAD touches "+strings.Join(paths, " "), "paths are relative to the top of the tree")
	}
	if data, err := os.ReadFile(filepath.Join(c.source.Common, "shallow")); err == nil {
		for _, id := range strings.Fields(string(data)) {
			if _, cut := r.Graph.Find(id); cut {
				return r, c.lacksHistory()
			}
		}
	}
	r.Graph.Crown(now)
	return r, nil
}

func (c *Clone) lacksHistory() error {
	return blame.New(blame.Usage, "the clone is shallow and lacks the history between GOOD and BAD", "git -C "+c.source.Dir+" fetch --unshallow")
}

// unreadable is an error of a history that is not all there.
func (c *Clone) unreadable(err error) error {
	var g *errGit
	if !errors.As(err, &g) {
		return err
	}
	return &blame.Error{Kind: blame.Usage, Msg: "the history between GOOD and BAD cannot be read: " + g.text, Err: err,
		Hint: "a partial clone lacks objects: git fetch --refetch, or clone without --filter; git fsck finds damage"}
}

// Checkout makes the work tree that of a commit. Files that are the same in both keep their times.
func (c *Clone) Checkout(ctx context.Context, commit string) error {
	_ = os.Remove(filepath.Join(c.Dir, ".git", "REVERT_HEAD"))
	if _, err := run(ctx, c.Dir, "", "checkout", "-q", "--force", "--detach", commit); err != nil {
		c.unclean = true
		return disk("check out "+short(commit), c.Dir, err)
	}
	if c.unclean {
		if _, err := run(ctx, c.Dir, "", "clean", "-ffdxq"); err != nil {
			return disk("check out "+short(commit), c.Dir, err)
		}
		c.unclean = false
	}
	return nil
}

// Revert makes the work tree that of a commit with another one taken out. The error is [ErrConflict] when that is not clean.
func (c *Clone) Revert(ctx context.Context, on, culprit string) error {
	if err := c.Checkout(ctx, on); err != nil {
		return err
	}
	c.unclean = true
	_, err := run(ctx, c.Dir, "", "revert", "--no-commit", culprit)
	if err == nil {
		return nil
	}
	var g *errGit
	if !errors.As(err, &g) {
		return err
	}
	if _, rerr := run(ctx, c.Dir, "", "reset", "-q", "--hard"); rerr != nil {
		return disk("revert", c.Dir, rerr)
	}
	if strings.Contains(g.text, "is a merge") {
		return fmt.Errorf("%w: it is a merge", ErrConflict)
	}
	return ErrConflict
}

// Parents are all parents of a commit.
func (c *Clone) Parents(ctx context.Context, commit string) ([]string, error) {
	out, err := run(ctx, c.Dir, "", "rev-list", "--parents", "--max-count=1", commit)
	if err != nil {
		return nil, c.unreadable(err)
	}
	return strings.Fields(out)[1:], nil
}

// About is what people want to know of a commit.
type About struct {
	Subject, Author, Date string
	Diffstat              []string
}

// About describes a commit.
func (c *Clone) About(ctx context.Context, commit string) (About, error) {
	out, err := run(ctx, c.Dir, "", "show", "--no-show-signature", "--no-patch", "--format=%s%n%an <%ae>%n%aI", commit)
	if err != nil {
		return About{}, c.unreadable(err)
	}
	f := append(strings.Split(strings.TrimRight(out, "\n"), "\n"), "", "", "")
	a := About{Subject: f[0], Author: f[1], Date: f[2]}
	if out, err = run(ctx, c.Dir, "", "diff-tree", "--root", "--no-commit-id", "-r", "--diff-merges=first-parent", "--stat=100", commit); err != nil {
		return a, c.unreadable(err)
	}
	for l := range strings.Lines(out) {
		a.Diffstat = append(a.Diffstat, strings.TrimRight(l, "\n"))
	}
	return a, nil
}

// Subject is the first line of a commit's message; empty when it cannot be read.
func (c *Clone) Subject(commit string) string {
	out, err := run(context.Background(), c.Dir, "", "show", "--no-show-signature", "--no-patch", "--format=%s", commit)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// Touched are the files that each commit changed from its parent, a merge from its first one.
func (c *Clone) Touched(ctx context.Context, commits []string) (map[string][]string, error) {
	out, err := run(ctx, c.Dir, strings.Join(commits, "\n")+"\n", "diff-tree", "--stdin", "--root", "--diff-merges=first-parent", "-r", "--name-only", "--no-renames", "-z")
	if err != nil {
		return nil, c.unreadable(err)
	}
	asked := make(map[string]bool, len(commits))
	for _, c := range commits {
		asked[c] = true
	}
	touched, at := map[string][]string{}, ""
	for field := range strings.SplitSeq(out, "\x00") { // a commit, then its files
		switch {
		case asked[field]:
			at = field
		case field != "" && at != "":
			touched[at] = append(touched[at], field)
		}
	}
	return touched, nil
}

// IsAncestor reports whether a commit is another one or before it.
func (c *Clone) IsAncestor(ctx context.Context, commit, of string) (bool, error) {
	_, err := run(ctx, c.Dir, "", "merge-base", "--is-ancestor", commit, of)
	var g *errGit
	if errors.As(err, &g) && g.code == 1 {
		return false, nil
	}
	return err == nil, err
}

// isKernel refuses a repository whose commit is no kernel.
func (c *Clone) isKernel(ctx context.Context, commit string) error {
	need := []string{"Makefile", "Kbuild", "Kconfig", "arch/x86/Makefile"}
	out, err := run(ctx, c.Dir, "", append([]string{"ls-tree", "--name-only", commit, "--"}, need...)...)
	if err != nil {
		return c.unreadable(err)
	}
	have := strings.Split(out, "\n")
	for _, n := range need {
		if !slices.Contains(have, n) {
			return blame.New(blame.Usage, "--tree: "+c.source.Dir+": not a kernel tree: "+short(commit)+" has no "+n, "name a git repository of a kernel with --tree")
		}
	}
	return nil
}
