package bisect

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFaces(t *testing.T) {
	f := Faces{Match: MatchSignature}
	f.Learn("oops/initcall/list_del/foo_exit/foo_init/do_one_initcall")
	for _, c := range []struct {
		signature string
		want      map[Match]bool
	}{
		{"oops/initcall/list_del/foo_exit/foo_init/do_one_initcall", map[Match]bool{MatchSignature: true, MatchClass: true, MatchAny: true}},
		{"oops/initcall/__list_del/foo_exit/foo_init/do_one_initcall", map[Match]bool{MatchSignature: true, MatchClass: true, MatchAny: true}}, // renamed
		{"oops/initcall/foo_exit/foo_init/do_one_initcall", map[Match]bool{MatchSignature: true, MatchClass: true, MatchAny: true}},            // inlined
		{"oops/initcall/bar/bar_init/do_one_initcall", map[Match]bool{MatchSignature: false, MatchClass: true, MatchAny: true}},
		{"oops/start_kernel/list_del/foo_exit/foo_init/do_one_initcall", map[Match]bool{MatchSignature: false, MatchClass: true, MatchAny: true}},
		{"bug/initcall/list_del/foo_exit/foo_init/do_one_initcall", map[Match]bool{MatchSignature: false, MatchClass: false, MatchAny: true}},
		{"oops/initcall", map[Match]bool{MatchSignature: false, MatchClass: true, MatchAny: true}},
		{"", map[Match]bool{MatchSignature: false, MatchClass: false, MatchAny: true}},
	} {
		for _, m := range []Match{MatchSignature, MatchClass, MatchAny} {
			f.Match = m
			if got := f.Fits(c.signature); got != c.want[m] {
				t.Errorf("%s by %s: %v", c.signature, m, got)
			}
		}
	}
	bare := Faces{Match: MatchSignature, Known: []string{"triple-fault/startup_64"}}
	if !bare.Fits("triple-fault/startup_64") || bare.Fits("triple-fault/startup_64/x86_64_start_kernel") {
		t.Error("two deaths without a chain are alike, one with is not like one without")
	}
}

// The oracle is the sum over the model written out by hand for two commits.
func TestBelief(t *testing.T) {
	s := &Search{Graph: linear(2), Top: 1, EndDied: 4, EndLived: 1}
	s.Trials = []Trial{{Node: 0, Outcome: Lives, Lived: 2, Same: None}}
	like := func(died, lived int) float64 {
		sum := 0.0
		if lived == 0 {
			sum = sure
		}
		for i := 1; i < 20; i++ {
			p := float64(i) / 20
			sum += (1 - sure) / 19 * math.Pow(p, float64(died)) * math.Pow(1-p, float64(lived))
		}
		return sum
	}
	c0, c1 := like(4, 2), like(4, 0)             // c0 makes both die, c1 only itself
	none := early * 2 / (1 - early) * like(4, 3) // and the end that lives would have been lucky too
	b := s.Believe()
	for _, x := range []struct{ got, want float64 }{
		{b.Culprit(0), c0 / (c0 + c1 + none)}, {b.Culprit(1), c1 / (c0 + c1 + none)}, {b.Early, none / (c0 + c1 + none)},
		{b.Dies(0), (c0 + none) / (c0 + c1 + none)}, {b.Dies(1), 1}, {b.Missed(3), like(4, 3) / like(4, 0)},
	} {
		if math.Abs(x.got-x.want) > 1e-9 {
			t.Errorf("%v, want %v", x.got, x.want)
		}
	}
	// A death at c0 leaves nothing but c0.
	s.Trials = []Trial{{Node: 0, Outcome: Dies, Died: 1, Same: None}}
	if b := s.Believe(); b.Culprit(1) != 0 {
		t.Errorf("c1 with probability %v although c0 died", b.Culprit(1))
	}
	// One image in both: neither can be it alone, so it is c0, or before.
	s.Trials = []Trial{{Node: 0, Outcome: Dies, Same: 1}}
	if b := s.Believe(); b.Culprit(1) != 0 || b.Culprit(0) == 0 {
		t.Errorf("c0 %v, c1 %v with the same image in both", b.Culprit(0), b.Culprit(1))
	}
	s.Trials = []Trial{{Node: 0, Outcome: Lives, Same: OldEnd}}
	if b := s.Believe(); b.Culprit(0) != 0 || b.Culprit(1) == 0 {
		t.Errorf("c0 %v, c1 %v with the old end's image in c0", b.Culprit(0), b.Culprit(1))
	}
}

func TestInert(t *testing.T) {
	r := ReadsOf([]string{"mm/page_alloc.c", "include/linux/mm.h", "scripts/mod/modpost.c", "arch/x86/include/asm/page.h"})
	for file, want := range map[string]bool{
		"mm/page_alloc.c": false, "mm/zsmalloc.c": true, "drivers/net/foo/bar.c": true, "Documentation/mm/page.rst": true,
		"Documentation/Makefile": true, "arch/arm64/mm/init.c": true, "arch/arm64/Kconfig": true, "arch/x86/Kconfig": false, "arch/Kconfig": false,
		"drivers/net/Kconfig": false, "drivers/net/Makefile": false, "drivers/foo.h": true, "drivers/asm/page.h": false, // may stand before the one that was read
		"MAINTAINERS": true, "Makefile": false, "scripts/link-vmlinux.sh": false, "arch/x86/entry/syscalls/syscall_64.tbl": false,
		"tools/testing/selftests/x.c": true, "tools/objtool/check.c": false, "tools/arch/x86/lib/x86-opcode-map.txt": false, "scripts/kconfig/conf.c": false, "Documentation/Kconfig": false,
		"samples/Kconfig": false, "samples/kobject/kobject-example.c": true, "arch/x86/boot/setup.ld": false, "mm/.gitignore": true,
	} {
		if got := r.Inert(file); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
	if r.InertCommit(nil) || !r.InertCommit([]string{"MAINTAINERS"}) || r.InertCommit([]string{"MAINTAINERS", "Makefile"}) {
		t.Error("a commit is inert when it has files and all are")
	}
}

// Where commits had to be skipped, the next choice is not beside them, and is still a good one.
func TestAwayFromSkipped(t *testing.T) {
	s := &Search{Graph: linear(1000), Top: 999, Trials: []Trial{{Node: 499, Outcome: Skipped, Same: None}}}
	next := s.Next(s.State(), 1)
	if len(next) != 1 || next[0] > 450 && next[0] < 550 || next[0] < 200 || next[0] > 800 {
		t.Errorf("next is %v", next)
	}
	all := s.Next(s.State(), 3)
	if !slices.IsSorted(all) || len(all) != 3 {
		t.Errorf("three at once: %v", all)
	}
}

func TestAffordable(t *testing.T) {
	for _, c := range []struct {
		jobs              int
		memory, available uint64
		want              int
	}{
		{1, 256 << 20, 100 << 20, 1}, {8, 256 << 20, 8 << 30, 8}, {8, 2 << 30, 8 << 30, 3}, {4, 256 << 20, 0, 4},
	} {
		if got := affordable(c.jobs, c.memory, c.available); got != c.want {
			t.Errorf("%d guests of %d in %d: %d, want %d", c.jobs, c.memory, c.available, got, c.want)
		}
	}
}

// The oracle is the definition: the members of among that count, among a commit's ancestors.
func TestWeightsByDefinition(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 11))
		g := randomGraph(r, 30+r.IntN(200))
		if seed%2 == 1 {
			g = graphFrom(kernelCommits(r, 30+r.IntN(400)))
		}
		among := g.Ancestors(g.Len() - 1 - r.IntN(3)) // what a search leaves: the ancestors of one without those of others
		for range r.IntN(3) {
			for n, in := range g.Ancestors(r.IntN(g.Len())) {
				among[n] = among[n] && !in
			}
		}
		counted := make(Set, g.Len())
		for n := range counted {
			counted[n] = r.IntN(4) > 0
		}
		weight := weigh(g, among, func(n int) bool { return counted[n] })
		for n, in := range among {
			want := 0
			if in {
				for m, before := range g.Ancestors(n) {
					if before && among[m] && counted[m] {
						want++
					}
				}
			}
			if weight[n] != want {
				t.Fatalf("seed %d: commit %d of %d weighs %d, want %d", seed, n, g.Len(), weight[n], want)
			}
		}
	}
}

// What is kept of the trials is what counting them all anew gives, also where a commit has a second trial or another one's image.
func TestEvidenceIsTheSame(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 13))
		g := randomGraph(r, 80)
		kept := &Search{Graph: g, Top: g.Len() - 1, Fixed: seed%2 == 1, EndDied: 3, EndSurvived: int(seed % 3)}
		trial := func() Trial {
			t := Trial{Node: r.IntN(g.Len()), Outcome: Lives, Lived: r.IntN(5), Same: None}
			switch r.IntN(6) {
			case 0:
				t.Outcome, t.Died = Dies, 1
			case 1:
				t.Outcome, t.Lived = Skipped, 0
			case 2:
				t.Lived, t.Same = 0, []int{OldEnd, r.IntN(g.Len())}[r.IntN(2)]
			}
			return t
		}
		for i := range 60 {
			if i == 40 { // another search in the same place
				kept.Trials = slices.Clone(kept.Trials[20:])
			}
			kept.Trials = append(kept.Trials, trial())
			var before []Trial
			if r.IntN(2) == 0 {
				before = []Trial{trial()}
			}
			got, want := kept.Believe(before...), byTheModel(kept, slices.Concat(kept.Trials, before))
			for c := range want {
				if math.Abs(got.odds[c]-want[c]) > 1e-12 {
					t.Fatalf("seed %d: after %d trials and %v commit %d is the culprit with %v, want %v", seed, len(kept.Trials), before, c, got.odds[c], want[c])
				}
			}
		}
	}
}

// byTheModel is the probability of each commit to be the culprit, as the comment of Belief has it, from nothing.
func byTheModel(s *Search, trials []Trial) []float64 {
	last := map[int]Trial{}
	for _, t := range trials {
		last[t.Node] = t
	}
	isNew := func(n, culprit int) bool { return n >= 0 && s.Graph.Ancestors(n)[culprit] }
	died, all := s.EndDied, s.EndSurvived+s.EndLived
	for _, t := range last {
		if t.Same == None {
			died += t.Died
			all += t.Lived
		}
	}
	odds, total, n := make([]float64, s.Graph.Len()), 0.0, 0
	for c, in := range s.Graph.Ancestors(s.Top) {
		if !in {
			continue
		}
		n++
		lived, possible := s.EndSurvived, true
		for _, t := range last {
			dies := isNew(t.Node, c) != s.Fixed
			switch {
			case t.Same != None:
				possible = possible && isNew(t.Node, c) == isNew(t.Same, c)
			case dies:
				lived += t.Lived
			default:
				possible = possible && t.Died == 0
			}
		}
		if possible {
			odds[c] = likelihood(died, lived)
			total += odds[c]
		}
	}
	total += early * float64(n) / (1 - early) * likelihood(died, all)
	for c := range odds {
		odds[c] /= total
	}
	return odds
}
