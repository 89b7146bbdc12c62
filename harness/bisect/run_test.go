package bisect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const (
	theBug   = "early-exception/start_kernel/__SetPageReserved/init_unavailable_range/memmap_init"
	theDecoy = "oops/initcall/acpi_scan_init/acpi_init/do_one_initcall"
)

// A world is commits that die or not, for a tester that builds nothing.
type world struct {
	graph   *Graph
	culprit int
	fixed   bool
	rate    float64 // how often the death strikes a commit that has it
	decoy   func(n int) bool
	broken  func(n int) bool
	rand    *rand.Rand
	order   []string // every boot
	builds  int
	oldDies bool // the old end dies too
	mu      sync.Mutex

	reverted bool // the kernel with something reverted is without the culprit
}

func (w *world) node(id string) int {
	if n, ok := w.graph.Find(id); ok {
		return n
	}
	return -1 // the old end
}

func (w *world) dies(n int) bool {
	if n < 0 {
		return w.fixed || w.oldDies
	}
	return (w.culprit >= 0 && w.graph.Ancestors(n)[w.culprit]) != w.fixed
}

func (w *world) lab() Lab {
	return Lab{
		Build: func(_ context.Context, id string) (Kernel, error) {
			if n := w.node(id); n >= 0 && w.broken != nil && w.broken(n) {
				return Kernel{}, blame.New(blame.Build, "build: mm/a.c:2:7: error", "")
			}
			w.builds++
			return Kernel{Built: true}, nil
		},
		Boot: func(_ context.Context, id string, _ Kernel, _ int) (verdict.Result, error) {
			n := w.node(id)
			w.order = append(w.order, id)
			dies := w.dies(n)
			if strings.HasPrefix(id, "revert ") {
				dies = w.reverted == w.fixed
			}
			switch {
			case n >= 0 && w.decoy != nil && w.decoy(n):
				return verdict.Result{Verdict: verdict.Bad, Signature: theDecoy, Summary: "decoy"}, nil
			case dies && w.rand.Float64() < w.rate:
				return verdict.Result{Verdict: verdict.Bad, Signature: theBug, Summary: "bug"}, nil
			}
			return verdict.Result{Verdict: verdict.Good, Summary: "reached init"}, nil
		},
		Revert: func(_ context.Context, _, culprit string) (Kernel, error) {
			w.reverted = w.node(culprit) == w.culprit
			return Kernel{Built: true}, nil
		},
		Parents: func(_ context.Context, id string) ([]string, error) {
			n := w.node(id)
			var list []string
			for _, p := range w.graph.Parents[n] {
				list = append(list, w.graph.IDs[p])
			}
			if len(list) == 0 {
				list = []string{"old"}
			}
			return list, nil
		},
	}
}

func (w *world) runner() *Runner {
	top := w.graph.IDs[w.graph.Len()-1]
	o := Options{Good: "old", Bad: top, Match: MatchSignature, Confidence: 0.99, Jobs: 1}
	if w.fixed {
		o.Good, o.Bad, o.Fixed = top, "old", true
	}
	return &Runner{Options: o, Graph: w.graph, Lab: w.lab(), Now: func() time.Time { return time.Unix(0, 0) }, Pause: func(context.Context) {}}
}

func linear(n int) *Graph {
	text := ""
	for i := n - 1; i >= 0; i-- {
		text += fmt.Sprintf("c%d", i)
		if i > 0 {
			text += fmt.Sprintf(" c%d", i-1)
		}
		text += "\n"
	}
	g, err := ParseGraph(text, false)
	if err != nil {
		panic(err)
	}
	return g
}

// The goal: the right commit in 95 of 100 runs with a decoy and a death that strikes in three boots of ten, and no wrong one
// that is called certain.
func TestFlakyWithDecoy(t *testing.T) {
	// What one boot of a dying commit can tell at most, in bits: the capacity of a Z channel that loses 7 of 10.
	const lost = 0.7
	capacity := math.Log2(1 + (1-lost)*math.Pow(lost, lost/(1-lost)))
	minimum := 0.0
	right, wrong, open, boots, searching := 0, 0, 0, 0, 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 7))
		g := linear(64 + r.IntN(64))
		if seed%2 == 1 {
			g = randomGraph(r, 64+r.IntN(64))
		}
		w := &world{graph: g, rate: 0.3, rand: r}
		for !g.Ancestors(g.Len() - 1)[w.culprit] || w.culprit == 0 {
			w.culprit = 1 + r.IntN(g.Len()-1)
		}
		at := r.IntN(g.Len())
		w.decoy = func(n int) bool {
			near := n >= at && n < at+6
			return near && n != w.culprit && n != g.Len()-1 && !slices.Contains(g.Parents[w.culprit], n)
		}
		out, err := w.runner().Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		boots += len(w.order)
		for _, step := range out.Steps {
			if step.Role == "" || step.Role == "again" {
				searching += step.Boots
			}
		}
		minimum += math.Log2(float64(g.Len())) / capacity
		switch out.Culprit {
		case g.IDs[w.culprit]:
			right++
		case "":
			open++
			t.Logf("seed %d: not determined: %s", seed, out.Reason)
		default:
			wrong++
			if out.Verified.Revert == "good" {
				t.Errorf("seed %d: wrong, and called certain", seed)
			}
			t.Logf("seed %d: %s with confidence %.4f, want %s", seed, out.Culprit, out.Confidence, g.IDs[w.culprit])
		}
	}
	t.Logf("right %d, wrong %d, not determined %d; %d boots, of which %d search; at a known rate and without decoys none could do with fewer than %.0f",
		right, wrong, open, boots, searching, minimum)
	if right < 95 || wrong > 1 { // a confidence of 0.99 is wrong once in a hundred
		t.Errorf("right %d of 100, wrong %d", right, wrong)
	}
}

// Twenty thousand commits with merges cost the search itself a moment, 0.1 s where it took minutes once; a boot takes longer.
func TestLongHistory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	g := graphFrom(kernelCommits(r, 20000))
	for _, rate := range []float64{1, 0.3} {
		w := &world{graph: g, rate: rate, rand: r, culprit: 7777}
		begin := time.Now()
		out, err := w.runner().Run(context.Background())
		if err != nil || out.Culprit != "c7777" {
			t.Errorf("strikes in %v of the boots: %s, %v", rate, out.Culprit, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("strikes in %v of the boots: %s of its own for %d boots", rate, took, len(w.order))
		}
	}
}

// With --jobs 3, three commits are booted at the same time, and builds are one after the other. Each boot of the search waits until there
// are three.
func TestJobsBootTogether(t *testing.T) {
	w := &world{graph: linear(64), rate: 1, rand: rand.New(rand.NewPCG(1, 1)), culprit: 41}
	r := w.runner()
	r.Jobs = 3
	boot, build := r.Lab.Boot, r.Lab.Build
	var building, waiting atomic.Int32
	together := make(chan struct{})
	r.Lab.Build = func(ctx context.Context, id string) (Kernel, error) {
		if building.Add(1) > 1 {
			t.Error("two builds at once")
		}
		defer building.Add(-1)
		return build(ctx, id)
	}
	r.Lab.Boot = func(ctx context.Context, id string, k Kernel, n int) (verdict.Result, error) {
		if slices.Contains([]string{"c15", "c31", "c47"}, id) { // the first three, see testdata/search/kary.txt
			if waiting.Add(1) == 3 {
				close(together)
			}
			select {
			case <-together:
			case <-time.After(20 * time.Second):
				t.Errorf("%s is booted alone", id)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return boot(ctx, id, k, n)
	}
	out, err := r.Run(context.Background())
	if err != nil || out.Culprit != "c41" {
		t.Errorf("culprit %s, %v", out.Culprit, err)
	}
}
