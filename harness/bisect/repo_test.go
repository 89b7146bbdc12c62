package bisect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A history is a real git repository made by one "git fast-import".
type history struct {
	dir string
	ids []string // object names, by number
}

// commit is one commit of a history to be made.
type commit struct {
	parents []int
	files   map[string]string // written; an empty text deletes
	subject string
}

// git runs git in a directory, with no configuration but its own.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// makeHistory makes a repository. The last commit is the branch main.
func makeHistory(t testing.TB, commits []commit) history {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "linux")
	git(t, filepath.Dir(dir), "init", "-q", "-b", "main", dir)
	var in bytes.Buffer
	for i, c := range commits {
		subject := c.subject
		if subject == "" {
			subject = fmt.Sprintf("commit %d", i)
		}
		fmt.Fprintf(&in, "commit refs/heads/b%d\nmark :%d\ncommitter A U Thor <author@example.com> %d +0000\ndata %d\n%s\n", i, i+1, 1700000000+60*i, len(subject), subject)
		for j, p := range c.parents {
			fmt.Fprintf(&in, "%s :%d\n", [...]string{"from", "merge"}[min(j, 1)], p+1)
		}
		for name, text := range c.files {
			if text == "" {
				fmt.Fprintf(&in, "D %s\n", name)
				continue
			}
			fmt.Fprintf(&in, "M 644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
		in.WriteByte('\n')
	}
	cmd := exec.Command("git", "fast-import", "--quiet", "--export-marks=marks")
	cmd.Dir, cmd.Stdin = dir, &in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("fast-import: %v\n%s", err, out)
	}
	marks, err := os.ReadFile(filepath.Join(dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "marks"))
	h := history{dir: dir, ids: make([]string, len(commits))}
	for line := range strings.Lines(string(marks)) {
		var n int
		var id string
		if _, err := fmt.Sscanf(line, ":%d %s", &n, &id); err != nil {
			t.Fatal(err)
		}
		h.ids[n-1] = id
	}
	git(t, dir, "update-ref", "refs/heads/main", h.ids[len(commits)-1])
	git(t, dir, "reset", "-q", "--hard")
	return h
}

// randomCommits is a history with branches and merges, odd ones included: of three parents, of an ancestor, criss-cross.
func randomCommits(r *rand.Rand, n int) []commit {
	list := []commit{{files: map[string]string{"Makefile": "VERSION = 6\n"}}}
	for i := 1; i < n; i++ {
		c := commit{parents: []int{max(0, i-1-r.IntN(min(i, 3)))}, files: map[string]string{fmt.Sprintf("f%d", r.IntN(5)): fmt.Sprint(i)}}
		for r.IntN(4) == 0 && len(c.parents) < 3 {
			if p := r.IntN(i); p != c.parents[0] {
				c.parents = append(c.parents, p)
			}
		}
		if i == n-1 { // the last one has all heads, so that everything is in the range
			has := map[int]bool{}
			for _, o := range list {
				for _, p := range o.parents {
					has[p] = true
				}
			}
			c.parents = nil
			for h := i - 1; h >= 0; h-- {
				if !has[h] {
					c.parents = append(c.parents, h)
				}
			}
		}
		list = append(list, c)
	}
	return list
}

// graphOf is the graph of a range, as git lists it.
func graphOf(t testing.TB, h history, bad, good string, args ...string) *Graph {
	t.Helper()
	text := git(t, h.dir, append([]string{"rev-list", "--topo-order", "--parents", bad, "^" + good}, args...)...)
	g, err := ParseGraph(text, false)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// gitMayFail is git without a verdict on its exit code.
func gitMayFail(dir string, args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C")
	out, _ := cmd.CombinedOutput() // "git bisect run" ends with 2 when only skipped commits are left
	return string(out)
}

// kernelCommits is a history as a kernel's is: topic branches of some dozen commits that start at an older point of the main line, and
// merges of them, a few of several at once.
func kernelCommits(r *rand.Rand, n int) []commit {
	list := []commit{{}}
	main := []int{0} // the main line
	var heads []int  // of topics
	add := func(parents ...int) int {
		list = append(list, commit{parents: parents})
		return len(list) - 1
	}
	for len(list) < n-1 {
		switch k := r.IntN(100); {
		case k < 4 || len(heads) == 0:
			heads = append(heads, main[max(0, len(main)-1-r.IntN(60))])
		case k < 8:
			parents := []int{main[len(main)-1]}
			for len(heads) > 0 && (len(parents) == 1 || len(parents) < 8 && r.IntN(12) == 0) {
				at := r.IntN(len(heads))
				if !slices.Contains(parents, heads[at]) {
					parents = append(parents, heads[at])
				}
				heads = slices.Delete(heads, at, at+1)
			}
			if len(parents) > 1 {
				main = append(main, add(parents...))
			}
		case k < 12: // a topic merges another
			if a, b := r.IntN(len(heads)), r.IntN(len(heads)); heads[a] != heads[b] {
				heads[a] = add(heads[a], heads[b])
			}
		default:
			at := r.IntN(len(heads))
			heads[at] = add(heads[at])
		}
	}
	heads = append(heads, main[len(main)-1])
	slices.Sort(heads)
	add(slices.Compact(heads)...)
	return list
}

// graphFrom is the graph of commits that are in no repository.
func graphFrom(list []commit) *Graph {
	var b strings.Builder
	for i := len(list) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "c%d", i)
		for _, p := range list[i].parents {
			fmt.Fprintf(&b, " c%d", p)
		}
		b.WriteByte('\n')
	}
	g, err := ParseGraph(b.String(), false)
	if err != nil {
		panic(err)
	}
	return g
}
