package bisect

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

var update = flag.Bool("update", false, "write what comes out into testdata/search")

// TestSearches runs the searches of testdata/search. A file is a world, a line "--", and every trial of the search in its
// order with the answer; -update writes them. README.md there says how to add one.
func TestSearches(t *testing.T) {
	files, err := filepath.Glob("testdata/search/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no searches: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, want, ok := strings.Cut(string(data), "--\n")
			if !ok {
				t.Fatal("no line --")
			}
			got := searchOf(t, spec)
			if *update {
				if err := os.WriteFile(file, []byte(spec+"--\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// searchOf runs the world of a file and says what happened, a line a trial.
func searchOf(t *testing.T, spec string) string {
	t.Helper()
	w, r := parseWorld(t, spec)
	out, err := r.Run(context.Background())
	var b strings.Builder
	for _, s := range out.Steps {
		fmt.Fprintf(&b, "%-10s %-4s %-4s boots %-2d left %-3d %s\n", s.Role, s.Commit, s.Verdict, s.Boots, s.Left, s.Reason)
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	if out.Culprit != "" {
		fmt.Fprintf(&b, "culprit %s, confidence %.4f, parent %s, culprit %s, revert %s\n", out.Culprit, out.Confidence, out.Verified.Parent, out.Verified.Culprit, out.Verified.Revert)
	} else {
		fmt.Fprintf(&b, "no culprit: %s; suspects %v; exit %d\n", out.Reason, out.Suspects, out.ExitCode())
	}
	for _, n := range out.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "boots %d, builds %d\n", out.Boots, w.builds)
	return b.String()
}

func parseWorld(t *testing.T, spec string) (*world, *Runner) {
	t.Helper()
	w := &world{rate: 1, rand: rand.New(rand.NewPCG(1, 1))}
	var lists struct{ decoy, broken, inert, wrongInert []string }
	culprit, graph, jobs, oldDies := "", "", 1, false
	match := MatchSignature
	s := bufio.NewScanner(strings.NewReader(spec))
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		number := func() int {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		switch f[0] {
		case "linear":
			w.graph = linear(number())
		case "commit":
			graph = strings.Join(f[1:], " ") + "\n" + graph
		case "culprit":
			culprit = f[1]
		case "decoy":
			lists.decoy = f[1:]
		case "broken":
			lists.broken = f[1:]
		case "inert":
			lists.inert = f[1:]
		case "seed":
			w.rand = rand.New(rand.NewPCG(uint64(number()), 1))
		case "percent":
			w.rate = float64(number()) / 100
		case "jobs":
			jobs = number()
		case "match":
			match = Match(f[1])
		case "fixed":
			w.fixed = true
		case "old-dies":
			oldDies = true
		default:
			t.Fatalf("what is %q?", s.Text())
		}
	}
	if graph != "" {
		g, err := ParseGraph(graph, false)
		if err != nil {
			t.Fatal(err)
		}
		w.graph = g
	}
	w.culprit = -2
	if culprit != "none" {
		w.culprit = w.node(culprit)
	}
	in := func(list []string) func(int) bool {
		return func(n int) bool { return n >= 0 && slices.Contains(list, w.graph.IDs[n]) }
	}
	w.decoy, w.broken, w.oldDies = in(lists.decoy), in(lists.broken), oldDies
	r := w.runner()
	r.Jobs, r.Match = jobs, match
	if len(lists.inert) > 0 {
		r.Lab.Inert = func(context.Context, ...Kernel) ([]string, error) { return lists.inert, nil }
	}
	r.Lab.Boot = steady(w, r.Lab.Boot)
	return w, r
}

// steady keeps boots from each other: a golden order needs the same dice for commits that are tried at once.
func steady(w *world, boot func(context.Context, string, Kernel, int) (verdict.Result, error)) func(context.Context, string, Kernel, int) (verdict.Result, error) {
	base := w.rand.Uint64()
	return func(ctx context.Context, id string, k Kernel, n int) (verdict.Result, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		hash := base + uint64(n)
		for _, c := range id {
			hash = hash*31 + uint64(c)
		}
		w.rand = rand.New(rand.NewPCG(hash, 2))
		return boot(ctx, id, k, n)
	}
}
