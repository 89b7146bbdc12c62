// History makes a git repository of Debian's linux-source-6.1 with 21 commits on top, has kcatch bisect find the one that
// kills the boot, and prints what that took.
//
//	make bisect                          go run ./internal/history
//	go run ./internal/history -compare   then the same by git bisect run and a shell script that greps the console
//	go run ./internal/history -dir D     keep repository, cache and log in D; the next run starts from its objects
//
// It builds real kernels: the first takes minutes, each step after it seconds. It needs "make fixtures" (for the source)
// and 5 GB. The commits are in story.go: one is the culprit, an early death in mm; nine in a row die earlier of something else, around the
// middle; two of them do not build; eight touch nothing that is built; one changes only a comment.
//
// The exit code is 0 when the answer is the planted commit, verified by its parent and its revert.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kcatch/harness/verdict"
)

func main() {
	dir := flag.String("dir", "", "a directory for repository, cache and log; default: a temporary one")
	beside := flag.Bool("compare", false, "find it with git bisect run and a shell script too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *beside); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, beside bool) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "kcatch-history-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	source, err := findSource()
	if err != nil {
		return err
	}
	repo := filepath.Join(dir, "linux.git")
	if _, err := os.Stat(repo); err != nil {
		begin := time.Now()
		if err := makeRepository(ctx, source, repo); err != nil {
			return errors.Join(err, os.RemoveAll(repo))
		}
		fmt.Printf("repository of %d commits in %s\n", len(story)+1, time.Since(begin).Round(time.Second))
	}
	kcatch := filepath.Join(dir, "kcatch")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", kcatch, "./cmd/kcatch").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	planted, err := exec.CommandContext(ctx, "git", "-C", repo, "rev-parse", "culprit").Output()
	if err != nil {
		return err
	}
	begin := time.Now()
	cmd := exec.CommandContext(ctx, kcatch, "bisect", "good", "bad", "--tree", repo, "--accel", "tcg", "--json", filepath.Join(dir, "result.json"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kcatch bisect: %w", err)
	}
	took := time.Since(begin)
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		return err
	}
	var res verdict.Bisect
	if err := json.Unmarshal(data, &res); err != nil {
		return err
	}
	fmt.Printf("\n%d commits, %d inert, %d builds, %d boots, %s in all\n", res.Commits, res.Inert, res.Builds, res.Boots, took.Round(time.Second))
	want := strings.TrimSpace(string(planted))
	if beside {
		if err := compare(ctx, dir, repo, want, runtime.NumCPU()); err != nil {
			return err
		}
	}
	if res.Culprit != want {
		return fmt.Errorf("the answer is %s, and %s was planted", res.Culprit, want)
	}
	if v := res.Verified; v.Parent != "good" || v.Culprit != "bad" || v.Revert != "good" {
		return fmt.Errorf("verified %+v", v)
	}
	return nil
}

// findSource is the newest Debian 6.1 source in the cache.
func findSource() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	list, err := filepath.Glob(filepath.Join(cache, "kcatch", "sources", "debian-6.1_*", "linux-source-6.1"))
	if err != nil || len(list) == 0 {
		return "", errors.New("no source of debian-6.1 in the cache: run make fixtures")
	}
	return list[len(list)-1], nil
}

// makeRepository streams the tree and the story into git.
func makeRepository(ctx context.Context, source, repo string) error {
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", "--bare", "-b", "main", repo).CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, "git", "-C", repo, "-c", "core.compression=1", "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	err = errors.Join(tell(w, source), w.Flush(), in.Close())
	if werr := cmd.Wait(); werr != nil {
		return fmt.Errorf("git fast-import: %w\n%s", werr, said.Bytes())
	}
	return err
}

// tell writes the stream: git-fast-import(1).
func tell(w *bufio.Writer, source string) error {
	header := func(n int, subject string) {
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter A U Thor <author@example.com> %d +0000\ndata %d\n%s\n", 1700000000+3600*n, len(subject), subject)
	}
	header(0, "Linux 6.1, as Debian has it")
	err := filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, name)
		if err != nil || d.IsDir() || left(rel) {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		mode, data := "644", []byte(nil)
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			text, err := os.Readlink(name)
			if err != nil {
				return err
			}
			mode, data = "120000", []byte(text)
		default:
			if st.Mode()&0o100 != 0 {
				mode = "755"
			}
			if data, err = os.ReadFile(name); err != nil {
				return err
			}
		}
		return put(w, mode, rel, data)
	})
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\nreset refs/tags/good\nfrom refs/heads/main\n\n")
	texts := map[string]string{}
	for i, c := range story {
		header(i+1, c.subject)
		text, ok := texts[c.file]
		if data, err := os.ReadFile(filepath.Join(source, c.file)); !ok && err == nil {
			text = string(data)
		}
		if text, err = c.edit(text); err != nil {
			return fmt.Errorf("%s: %s: %w", c.subject, c.file, err)
		}
		texts[c.file] = text
		if err := put(w, "644", c.file, []byte(text)); err != nil {
			return err
		}
		fmt.Fprintln(w)
		if c.culprit {
			fmt.Fprint(w, "reset refs/tags/culprit\nfrom refs/heads/main\n\n")
		}
	}
	fmt.Fprint(w, "reset refs/tags/bad\nfrom refs/heads/main\n\n")
	return nil
}

func put(w io.Writer, mode, name string, data []byte) error {
	if _, err := fmt.Fprintf(w, "M %s inline %s\ndata %d\n", mode, name, len(data)); err != nil {
		return err
	}
	_, err := w.Write(append(data, '\n'))
	return err
}

// left reports whether a file of the tree is left out: what no x86 kernel of the tiny configuration is made of, but for what kconfig
// and make read. Half of the tree's files are.
func left(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, "Kconfig") || strings.HasPrefix(base, "Makefile") || base == "Kbuild" || strings.HasPrefix(name, e1000) {
		return false
	}
	for _, dir := range []string{"Documentation/", "drivers/gpu/drm/", "drivers/net/ethernet/", "drivers/net/wireless/", "drivers/media/",
		"drivers/staging/", "drivers/infiniband/", "drivers/scsi/", "drivers/iio/", "sound/", "tools/testing/", "tools/perf/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	arch, ok := strings.CutPrefix(name, "arch/")
	return ok && strings.Contains(arch, "/") && !strings.HasPrefix(arch, "x86/")
}
