package bisect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var bisectAll = regexp.MustCompile(`(?m)^([0-9a-f]{40}) \(.*?dist=(\d+)\)`)

// The oracle of the weights is "git rev-list --bisect-all", which prints min(weight, all-weight) of every commit.
func TestWeightsAreGits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		h := makeHistory(t, randomCommits(r, 20+r.IntN(40)))
		bad, good := h.ids[len(h.ids)-1], h.ids[r.IntN(3)]
		g := graphOf(t, h, bad, good)
		top, _ := g.Find(bad)
		all := g.Ancestors(top)
		weight := weigh(g, all, func(int) bool { return true })
		seen, best := 0, 0
		for _, m := range bisectAll.FindAllStringSubmatch(git(t, h.dir, "rev-list", "--bisect-all", bad, "^"+good), -1) {
			n, ok := g.Find(m[1])
			if !ok {
				t.Fatalf("%s is not in the graph", m[1])
			}
			got := min(weight[n], g.Len()-weight[n])
			if fmt.Sprint(got) != m[2] {
				t.Errorf("%.8s: %d, git says %s", m[1], got, m[2])
			}
			seen++
			best = max(best, got)
		}
		if seen != g.Len() {
			t.Errorf("git lists %d commits, the graph has %d", seen, g.Len())
		}
		mids := midpoints(g, all, func(int) bool { return true }, func(int) bool { return true }, nil, 1)
		if len(mids) != 1 || min(weight[mids[0]], g.Len()-weight[mids[0]]) != best {
			t.Errorf("midpoints %v: not as good as git's %d", mids, best)
		}
	}
}

// simulate searches with a tester that knows the culprit, and returns what is left and how many trials it took.
func simulate(s *Search, width int, outcome func(n int) Outcome) (suspects []int, trials int) {
	for {
		st := s.State()
		next := s.Next(st, width)
		if len(next) == 0 {
			return s.Suspects(st), trials
		}
		for _, n := range next {
			s.Trials = append(s.Trials, Trial{Node: n, Outcome: outcome(n), Same: None})
			trials++
		}
	}
}

// The oracle of the culprit is "git bisect run", of skips at the boundary its list of what is left.
func TestCulpritIsGits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 4 {
		h := makeHistory(t, randomCommits(r, 12+r.IntN(30)))
		bad, good := h.ids[len(h.ids)-1], h.ids[0]
		g := graphOf(t, h, bad, good)
		top, _ := g.Find(bad)
		culprit := r.IntN(g.Len())
		broken := map[int]bool{}
		if round%3 == 2 { // what is around the culprit does not build
			for _, n := range []int{culprit - 1, culprit, culprit + 1} {
				if n >= 0 && n != top {
					broken[n] = true
				}
			}
		}
		outcome := func(n int) Outcome {
			switch {
			case broken[n]:
				return Skipped
			case g.Ancestors(n)[culprit]:
				return Dies
			}
			return Lives
		}
		var script strings.Builder
		script.WriteString("case $(git rev-parse BISECT_HEAD) in\n")
		for n, id := range g.IDs {
			fmt.Fprintf(&script, "%s) exit %d;;\n", id, map[Outcome]int{Dies: 1, Lives: 0, Skipped: 125}[outcome(n)])
		}
		script.WriteString("esac\nexit 0\n")
		file := filepath.Join(t.TempDir(), "run.sh")
		if err := os.WriteFile(file, []byte(script.String()), 0o755); err != nil {
			t.Fatal(err)
		}
		git(t, h.dir, "bisect", "start", "--no-checkout", bad, good)
		gits := gitsSuspects(t, h.dir, file)
		for _, width := range []int{1, 3} {
			s := &Search{Graph: g, Top: top}
			suspects, trials := simulate(s, width, outcome)
			var ours []string
			for _, n := range suspects {
				ours = append(ours, g.IDs[n])
			}
			slices.Sort(ours)
			if len(broken) == 0 && !slices.Equal(ours, gits) || !slices.Contains(ours, g.IDs[culprit]) {
				t.Errorf("round %d, width %d: %d suspects %.60v, git has %d: %.60v", round, width, len(ours), ours, len(gits), gits)
			}
			if len(broken) > 0 && len(ours) > len(gits) {
				t.Errorf("round %d: %d suspects are left, git leaves %d", round, len(ours), len(gits))
			}
			if len(broken) == 0 && len(ours) != 1 {
				t.Errorf("round %d: %d suspects of %d after %d trials", round, len(ours), g.Len(), trials)
			}
		}
	}
}

var fullName = regexp.MustCompile(`(?m)^([0-9a-f]{40})( is the first bad commit)?$`)

// gitsSuspects runs "git bisect run" to its end and returns the commits that may be the first bad one.
func gitsSuspects(t *testing.T, dir, script string) []string {
	t.Helper()
	out := gitMayFail(dir, "bisect", "run", "sh", script)
	_, tail, only := strings.Cut(out, "The first bad commit could be any of:")
	if !only {
		tail = out
	}
	var list []string
	for _, m := range fullName.FindAllStringSubmatch(tail, -1) {
		if only || m[2] != "" {
			list = append(list, m[1])
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) == 0 {
		t.Fatalf("git bisect run names no commit:\n%s", out)
	}
	return list
}

// A search for the fix is the same search with the outcomes exchanged.
func TestFixed(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		g := randomGraph(r, 60)
		top := g.Len() - 1
		culprit := r.IntN(g.Len())
		if !g.Ancestors(top)[culprit] {
			continue
		}
		s := &Search{Graph: g, Top: top, Fixed: true}
		suspects, _ := simulate(s, 1, func(n int) Outcome {
			if g.Ancestors(n)[culprit] {
				return Lives
			}
			return Dies
		})
		if !slices.Equal(suspects, []int{culprit}) {
			t.Errorf("suspects %v, want %d", suspects, culprit)
		}
	}
}

// randomGraph is a graph without a repository.
func randomGraph(r *rand.Rand, n int) *Graph { return graphFrom(randomCommits(r, n)) }
