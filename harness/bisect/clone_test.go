package bisect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// kernelish is what passes for a kernel tree where nothing is built.
func kernelish() map[string]string {
	return map[string]string{
		"Makefile": "VERSION = 6\nPATCHLEVEL = 1\n", "Kbuild": "#\n", "Kconfig": "#\n", "arch/x86/Makefile": "#\n", "scripts/Kbuild.include": "#\n",
		"state": "lives\n", "mm/a.c": "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
	}
}

// story is a history with a culprit (5), a decoy (7), a commit that does not build (4), and a branch.
//
//	0 - 1 - 2 - 3 - 4 - 5 - 6 - 7 - 8 ---- 10 - 11
//	                 \                    /
//	                  9 ------------------
func story() []commit {
	c := []commit{{files: kernelish()}}
	for i := 1; i < 12; i++ {
		c = append(c, commit{parents: []int{i - 1}, files: map[string]string{fmt.Sprintf("f%d", i): "x"}})
	}
	c[9].parents, c[10].parents = []int{4}, []int{8, 9}
	c[4].files["broken"] = "x"
	c[5].files = map[string]string{"state": "dies\n", "broken": "", "mm/a.c": "1\n2\n3\n4\nbug\n6\n7\n8\n9\n"}
	c[9].files["broken"] = ""
	c[10].files["state"] = "dies\n" // as git merges it
	c[10].files["mm/a.c"] = "1\n2\n3\n4\nbug\n6\n7\n8\n9\n"
	c[7].files["decoy"] = "x"
	c[8].files["decoy"] = ""
	return c
}

// bench is a session over a real clone, with boots that read what is checked out.
type testbench struct {
	*session
	cache string
	boots []string
	stop  func() // called after each boot
}

func openBench(t testing.TB, h history, req Request) (*testbench, error) {
	t.Helper()
	b := &testbench{session: &session{req: req}, cache: filepath.Join(filepath.Dir(h.dir), "cache")}
	ctx := context.Background()
	var err error
	if b.source, err = OpenSource(ctx, req.Tree); err != nil {
		return b, err
	}
	if b.good, err = b.source.Resolve(ctx, "GOOD", req.Good); err != nil {
		return b, err
	}
	if b.bad, err = b.source.Resolve(ctx, "BAD", req.Bad); err != nil {
		return b, err
	}
	if b.clone, err = OpenClone(ctx, b.source, b.cache); err != nil {
		return b, err
	}
	t.Cleanup(func() { b.clone.Close() })
	if err := b.clone.isKernel(ctx, b.bad); err != nil {
		return b, err
	}
	b.span, err = b.clone.Range(ctx, b.oldEnd(), b.newEnd(), req.FirstParent, req.Paths)
	return b, err
}

// run searches; the kernel of a commit is what its work tree says.
func (b *testbench) run(ctx context.Context, log *Log, recorded []Record) (verdict.Bisect, error) {
	kernel := func() (Kernel, error) {
		if _, err := os.Stat(filepath.Join(b.clone.Dir, "broken")); err == nil {
			return Kernel{}, blame.New(blame.Build, "build: broken", "")
		}
		state, err := os.ReadFile(filepath.Join(b.clone.Dir, "state"))
		k := Kernel{Built: true}
		k.Plan.Kernel = strings.TrimSpace(string(state))
		if _, derr := os.Stat(filepath.Join(b.clone.Dir, "decoy")); derr == nil {
			k.Plan.Kernel = "decoy"
		}
		return k, err
	}
	r := Runner{
		Options: Options{Good: b.good, Bad: b.bad, Fixed: b.req.Fixed, Match: MatchSignature, Confidence: 0.99, Jobs: 1, Bases: b.span.Bases},
		Graph:   b.span.Graph, Log: log, Recorded: recorded, Pause: func(context.Context) {},
		Lab: Lab{
			Build: func(ctx context.Context, id string) (Kernel, error) {
				if err := b.clone.Checkout(ctx, id); err != nil {
					return Kernel{}, err
				}
				return kernel()
			},
			Revert: func(ctx context.Context, on, culprit string) (Kernel, error) {
				if err := b.clone.Revert(ctx, on, culprit); err != nil {
					return Kernel{}, err
				}
				return kernel()
			},
			Boot: func(ctx context.Context, id string, k Kernel, _ int) (verdict.Result, error) {
				b.boots = append(b.boots, id)
				if b.stop != nil {
					b.stop()
				}
				if ctx.Err() != nil {
					return verdict.Result{}, ctx.Err()
				}
				switch k.Plan.Kernel {
				case "dies":
					return verdict.Result{Verdict: verdict.Bad, Signature: theBug, Summary: "bug"}, nil
				case "decoy":
					return verdict.Result{Verdict: verdict.Bad, Signature: theDecoy, Summary: "decoy"}, nil
				}
				return verdict.Result{Verdict: verdict.Good, Summary: "reached init"}, nil
			},
			Parents: b.clone.Parents, Subject: b.clone.Subject,
		},
	}
	return r.Run(ctx)
}

// listing is every file below dir with its size, mode and time.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		fmt.Fprintln(&b, name, st.Mode(), st.Size(), st.ModTime().UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Nothing of the user's repository changes, .git included, with a changed file in it that git status would refresh the index for.
func TestUsersRepositoryIsUntouched(t *testing.T) {
	h := makeHistory(t, story())
	if err := os.WriteFile(filepath.Join(h.dir, "mm/a.c"), []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour) // the index does not know this time: a refresh would write it
	if err := os.Chtimes(filepath.Join(h.dir, "Kbuild"), past, past); err != nil {
		t.Fatal(err)
	}
	before := listing(t, h.dir)
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.source.Dirty(context.Background()); n != 1 {
		t.Errorf("%d changed files", n)
	}
	out, err := b.run(context.Background(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{h.ids[4], h.ids[5]}; out.Culprit != "" || !slices.Equal(out.Suspects, want) {
		t.Errorf("culprit %q, suspects %v, want %v: the parent does not build", out.Culprit, out.Suspects, want)
	}
	if after := listing(t, h.dir); after != before {
		t.Errorf("the repository has changed:\n%s\nbefore:\n%s", after, before)
	}
}

// A run that is broken off at a boot goes on where it was, and comes to the same end with no boot made twice.
func TestResume(t *testing.T) {
	c := story()
	c[4].files["broken"] = ""
	h := makeHistory(t, c)
	req := Request{Tree: h.dir, Good: h.ids[0], Bad: h.ids[11]}
	whole, err := openBench(t, h, req)
	if err != nil {
		t.Fatal(err)
	}
	want, err := whole.run(context.Background(), nil, nil)
	if err != nil || want.Culprit != h.ids[5] || want.Verified.Revert != "good" {
		t.Fatalf("culprit %s, revert %s, want %s; %v", want.Culprit, want.Verified.Revert, h.ids[5], err)
	}
	whole.clone.Close()
	for cut, step := 1, 1; cut <= len(whole.boots); cut, step = cut+step, step+1 { // early ones, where the ends are, closer together
		name := filepath.Join(t.TempDir(), "log")
		log, err := OpenLog(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Write(Record{Type: "start", Schema: logSchema, Good: h.ids[0], Bad: h.ids[11]}); err != nil {
			t.Fatal(err)
		}
		first, err := openBench(t, h, req)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		first.stop = func() {
			if len(first.boots) == cut {
				cancel()
			}
		}
		if _, err := first.run(ctx, log, nil); blame.Of(err) != blame.Interrupted {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		cancel()
		log.Close()
		first.clone.Close()
		if cut%2 == 0 { // power was lost within a line
			f, _ := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			fmt.Fprint(f, `{"type":"boot","commit":"`)
			f.Close()
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		records, err := ReadLog(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		again, err := OpenLog(name)
		if err != nil {
			t.Fatal(err)
		}
		second, err := openBench(t, h, req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := second.run(context.Background(), again, records)
		again.Close()
		second.clone.Close()
		if err != nil || got.Culprit != want.Culprit || len(got.Steps) != len(want.Steps) {
			t.Fatalf("cut at %d: culprit %s in %d steps; %v", cut, got.Culprit, len(got.Steps), err)
		}
		if done := slices.Concat(first.boots[:cut-1], second.boots); !slices.Equal(done, whole.boots) {
			t.Errorf("cut at %d: boots %d, want %d", cut, len(done), len(whole.boots))
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if final, err := ReadLog(strings.NewReader(string(data))); err != nil || final[len(final)-1].Type != "end" {
			t.Errorf("cut at %d: the log does not end: %v", cut, err)
		}
	}
}

// The oracle of the exported log is "git bisect replay", which must come to the same commit.
func TestGitReplays(t *testing.T) {
	c := story()
	c[4].files["broken"] = ""
	h := makeHistory(t, c)
	for _, fixed := range []bool{false, true} {
		req := Request{Tree: h.dir, Good: h.ids[0], Bad: h.ids[11]}
		want := h.ids[5]
		if fixed { // the same story, told backwards: a commit reverts the culprit
			f := append(story(), commit{parents: []int{11}, files: map[string]string{"state": "lives\n"}}, commit{parents: []int{12}, files: map[string]string{"z": "z"}})
			h = makeHistory(t, f)
			req = Request{Tree: h.dir, Good: h.ids[13], Bad: h.ids[8], Fixed: true}
			want = h.ids[12]
		}
		b, err := openBench(t, h, req)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "log")
		log, err := OpenLog(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Write(Record{Type: "start", Schema: logSchema}); err != nil {
			t.Fatal(err)
		}
		out, err := b.run(context.Background(), log, nil)
		log.Close()
		b.clone.Close()
		if err != nil || out.Culprit != want {
			t.Fatalf("fixed %v: culprit %s, want %s; %s; %v", fixed, out.Culprit, want, out.Reason, err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		records, err := ReadLog(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		replay := filepath.Join(t.TempDir(), "replay")
		if err := os.WriteFile(replay, []byte(GitReplay(records, fixed)), 0o644); err != nil {
			t.Fatal(err)
		}
		said := git(t, h.dir, "bisect", "replay", replay) + git(t, h.dir, "bisect", "log")
		term := "bad"
		if fixed {
			term = "new"
		}
		if !strings.Contains(said, "first "+term+" commit: ["+want+"]") {
			t.Errorf("fixed %v: git does not come to %s:\n%s", fixed, want, said)
		}
	}
}

// Paths and --first-parent limit the commits as git's rev-list does.
func TestRange(t *testing.T) {
	h := makeHistory(t, story())
	for _, c := range []struct {
		name  string
		req   Request
		count int // of commits; with paths BAD is one more
	}{
		{"all", Request{}, 11},
		{"first parent", Request{FirstParent: true}, 10},
		{"path", Request{Paths: []string{"mm"}}, 2},
		{"nothing touches", Request{Paths: []string{"f1", "f2"}}, 3},
	} {
		c.req.Tree, c.req.Good, c.req.Bad = h.dir, h.ids[0], h.ids[11]
		b, err := openBench(t, h, c.req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if n := b.span.Graph.Len(); n != c.count {
			t.Errorf("%s: %d commits, want %d", c.name, n, c.count)
		}
		if len(c.req.Paths) > 0 {
			out, err := b.run(context.Background(), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: culprit %.8s, suspects %v: %s", c.name, out.Culprit, out.Suspects, out.Reason)
			if c.name == "path" && !slices.Contains(append(out.Suspects, out.Culprit), h.ids[5]) || c.name != "path" && out.Culprit != "" {
				t.Errorf("%s: culprit %q, suspects %v", c.name, out.Culprit, out.Suspects)
			}
		}
		b.clone.Close()
	}
}

// Ends that are side by side: the merge base is tried first.
func TestMergeBase(t *testing.T) {
	c := story()
	c[4].files["broken"] = ""
	h := makeHistory(t, c)
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[9], Bad: h.ids[8]})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.run(context.Background(), nil, nil)
	if err != nil || out.Culprit != h.ids[5] {
		t.Errorf("culprit %s: %s; %v", out.Culprit, out.Reason, err)
	}
	if !slices.ContainsFunc(out.Steps, func(s verdict.BisectStep) bool { return s.Role == "merge base" && s.Commit == h.ids[4] }) {
		t.Error("the merge base was not tried")
	}
	b.clone.Close()

	// GOOD branched off after the culprit and reverted it: the merge base dies.
	c = append(story(), commit{parents: []int{8}, files: map[string]string{"state": "lives\n"}})
	h = makeHistory(t, c)
	b, err = openBench(t, h, Request{Tree: h.dir, Good: h.ids[12], Bad: h.ids[11]})
	if err != nil {
		t.Fatal(err)
	}
	out, err = b.run(context.Background(), nil, nil)
	if err != nil || out.ExitCode() != verdict.ExitBad || !strings.Contains(out.Reason, "merge base") || !strings.Contains(out.Reason, "--fixed") {
		t.Errorf("exit %d: %s; %v", out.ExitCode(), out.Reason, err)
	}
}

// What cannot be bisected is refused in one line with what to do.
func TestRefusals(t *testing.T) {
	h := makeHistory(t, append(story(), commit{files: kernelish()}))
	shallow := filepath.Join(t.TempDir(), "shallow")
	git(t, h.dir, "update-ref", "refs/heads/main", h.ids[11])
	git(t, h.dir, "clone", "-q", "--depth=3", "--branch=main", "file://"+h.dir, shallow)
	plain := makeHistory(t, []commit{{files: map[string]string{"a": "1"}}, {parents: []int{0}, files: map[string]string{"a": "2"}}})
	torn := makeHistory(t, story())
	tree := strings.TrimSpace(git(t, torn.dir, "rev-parse", "main^{tree}"))
	gone := filepath.Join(t.TempDir(), "commit")
	text := "tree " + tree + "\nparent " + strings.Repeat("1", 40) + "\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nits parent is not there\n"
	if err := os.WriteFile(gone, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	child := strings.TrimSpace(git(t, torn.dir, "hash-object", "-t", "commit", "-w", gone))
	for _, c := range []struct {
		name, want string
		req        Request
	}{
		{"damaged", "the history between GOOD and BAD cannot be read: ", Request{Tree: torn.dir, Good: torn.ids[0], Bad: child}},
		{"no directory", "no such directory", Request{Tree: filepath.Join(h.dir, "none")}},
		{"no repository", "not a git repository", Request{Tree: t.TempDir()}},
		{"good", "GOOD: unknown revision: v9", Request{Tree: h.dir, Good: "v9", Bad: "main"}},
		{"bad", "BAD: unknown revision: --all", Request{Tree: h.dir, Good: "main", Bad: "--all"}},
		{"the same", "the same commit", Request{Tree: h.dir, Good: "main", Bad: h.ids[11]}},
		{"backwards", "nothing lies between", Request{Tree: h.dir, Good: "main", Bad: h.ids[3]}},
		{"fixed backwards", "nothing lies between", Request{Tree: h.dir, Good: h.ids[3], Bad: "main", Fixed: true}},
		{"strangers", "no common ancestor", Request{Tree: h.dir, Good: h.ids[12], Bad: "main"}},
		{"no kernel", "not a kernel tree: ", Request{Tree: plain.dir, Good: "HEAD~1", Bad: "HEAD"}},
		{"paths", "no commit between GOOD and BAD touches nowhere", Request{Tree: h.dir, Good: h.ids[0], Bad: "main", Paths: []string{"nowhere"}}},
		{"shallow", "unknown revision", Request{Tree: shallow, Good: h.ids[0], Bad: "HEAD"}},
		{"shallow between", "shallow and lacks the history", Request{Tree: shallow, Good: "HEAD~2", Bad: "HEAD"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openBench(t, h, c.req)
			if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || blame.Hint(err) == "" {
				t.Errorf("%v (hint %q)", err, blame.Hint(err))
			}
		})
	}
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClone(context.Background(), b.source, b.cache); blame.Of(err) != blame.Infrastructure {
		t.Errorf("two at once: %v", err)
	}
}

// Git runs as in a hook: what points it at another repository is not for us.
func TestInsideAHook(t *testing.T) {
	h := makeHistory(t, story())
	t.Setenv("GIT_DIR", t.TempDir())
	t.Setenv("GIT_INDEX_FILE", "/nowhere/index")
	s, err := OpenSource(context.Background(), h.dir)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Resolve(context.Background(), "GOOD", "main"); err != nil || id != h.ids[11] {
		t.Errorf("%s, %v", id, err)
	}
}

// A culprit that others have built on does not revert.
func TestRevertConflict(t *testing.T) {
	c := story()
	c[4].files["broken"] = ""
	c[11].files["mm/a.c"] = "1\n2\n3\n4\nbug and more\n6\n7\n8\n9\n"
	h := makeHistory(t, c)
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: h.ids[11]})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.run(context.Background(), nil, nil)
	if err != nil || out.Culprit != h.ids[5] || out.Verified.Revert != "conflict" {
		t.Errorf("culprit %s, revert %s (%s); %v", out.Culprit, out.Verified.Revert, out.Verified.RevertReason, err)
	}
	if out := git(t, b.clone.Dir, "status", "--porcelain"); out != "" {
		t.Errorf("the clone is left with\n%s", out)
	}
	var exit *exec.ExitError
	if err := b.clone.Revert(context.Background(), h.ids[11], h.ids[10]); !errors.Is(err, ErrConflict) || errors.As(err, &exit) {
		t.Errorf("of a merge: %v", err)
	}
}

// What a git that was killed in a checkout has left in the work tree is not built.
func TestLeftoversAreCleared(t *testing.T) {
	h := makeHistory(t, story())
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.clone.Checkout(context.Background(), h.ids[3]); err != nil {
		t.Fatal(err)
	}
	b.clone.Close()
	for _, name := range []string{"mm/shadow.h", ".git/index.lock"} {
		if err := os.WriteFile(filepath.Join(b.clone.Dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := OpenClone(context.Background(), b.source, b.cache)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Checkout(context.Background(), h.ids[5]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "mm/shadow.h")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("mm/shadow.h is still there: %v", err)
	}
}

// Another repository has taken the place of the one that was bisected before: what the clone holds is of no use.
func TestAnotherRepositoryInItsPlace(t *testing.T) {
	h := makeHistory(t, story())
	b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.clone.Checkout(context.Background(), h.ids[5]); err != nil {
		t.Fatal(err)
	}
	b.clone.Close()
	c := story()
	c[0].files["other"] = "x"
	other := makeHistory(t, c)
	if err := errors.Join(os.RemoveAll(h.dir), os.Rename(other.dir, h.dir)); err != nil {
		t.Fatal(err)
	}
	if b, err = openBench(t, h, Request{Tree: h.dir, Good: other.ids[0], Bad: "main"}); err != nil {
		t.Fatal(err)
	}
	if err := b.clone.Checkout(context.Background(), other.ids[5]); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(b.clone.Dir, "other")); err != nil {
		t.Error(err)
	}
}

// A merge counts when it brings a file that the builds read to its first parent, and only then.
func TestInertMerges(t *testing.T) {
	type files = map[string]string
	list := []commit{
		{files: kernelish()},
		{parents: []int{0}, files: files{"mm/b.c": "1"}},
		{parents: []int{0}, files: files{"drivers/x.c": "1"}},
		{parents: []int{0}, files: files{"mm/c.c": "1"}},
		{parents: []int{0}, files: files{"drivers/y.c": "1"}},
		{parents: []int{1, 2}, files: files{"drivers/x.c": "1"}},
		{parents: []int{5, 3}, files: files{"mm/c.c": "1"}},
		{parents: []int{6, 4}, files: files{"drivers/y.c": "1", "mm/b.c": "as none of both has it"}},
		{parents: []int{7, 1}}, // brings nothing; it could be anything that git does not say
		{parents: []int{4, 8}, files: files{"mm/b.c": "1"}},
		{parents: []int{9, 2, 8}, files: files{"drivers/x.c": "2"}},
		{parents: []int{10}, files: files{"drivers/x.c": "3"}},
	}
	inert := map[int]bool{2: true, 4: true, 5: true, 10: true, 11: true}
	h := makeHistory(t, list)
	for _, firstParent := range []bool{false, true} {
		b, err := openBench(t, h, Request{Tree: h.dir, Good: h.ids[0], Bad: h.ids[11], FirstParent: firstParent})
		if err != nil {
			t.Fatal(err)
		}
		s := Stand{Clone: b.clone, Graph: b.span.Graph}
		got, err := s.Inert(context.Background(), Kernel{Reads: ReadsOf([]string{"mm/b.c"})}, Kernel{Reads: ReadsOf([]string{"mm/c.c"})})
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range h.ids {
			if _, in := b.span.Graph.Find(id); in && slices.Contains(got, id) != inert[i] {
				t.Errorf("first parent %v: commit %d (parents %v, files %v) is inert: %v", firstParent, i, list[i].parents, list[i].files, !inert[i])
			}
		}
		if about, err := b.clone.About(context.Background(), h.ids[6]); err != nil || len(about.Diffstat) != 2 || !strings.Contains(about.Diffstat[0], "mm/c.c") {
			t.Errorf("what a merge brought to its first parent: %q, %v", about.Diffstat, err)
		}
		b.clone.Close()
		if list, err := s.Inert(context.Background(), Kernel{Reads: ReadsOf([]string{"mm/b.c"})}, Kernel{}); list != nil || err != nil {
			t.Errorf("of a build that does not say what it read: %v, %v", list, err)
		}
	}
}
