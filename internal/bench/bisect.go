package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kcatch/harness/bisect"
	"kcatch/harness/verdict"
)

// Searches of the measurement "bisect": commits of each, how many there are, and how often the flaky death strikes.
const (
	rangeOf  = 96
	searches = 100
	strikes  = 0.3
)

// bisect measures searches whose tester knows the culprit and builds nothing, and what a step costs besides build and boot.
func (b *bench) bisect(ctx context.Context) error {
	for _, rate := range []float64{1, strikes} {
		name := "always"
		if rate < 1 {
			name = fmt.Sprintf("%.0f %%, decoy", 100*rate)
		}
		var boots, builds, searching series
		for seed := range uint64(searches) {
			run, err := simulated(ctx, seed, rate)
			if err != nil {
				return err
			}
			boots, builds, searching = append(boots, run.boots), append(builds, run.builds), append(searching, run.searching)
		}
		b.table.add("bisect "+name+": boots", "", boots)
		b.table.add("bisect "+name+": boots of the search", "", searching)
		b.table.add("bisect "+name+": nobody can search with fewer", "", series{leastBoots(rangeOf, rate)})
		b.table.add("bisect "+name+": builds", "", builds)
		b.table.want("bisect "+name+": builds of "+fmt.Sprint(rangeOf)+" commits", builds, 24, "")
	}
	return b.machinery(ctx)
}

// leastBoots is how many boots must be made at the least to tell n commits apart when a death strikes at a known rate: what a boot
// of a commit can tell at most is the capacity of a Z channel, in bits; 1 when it always strikes.
func leastBoots(n int, rate float64) float64 {
	capacity := 1.0
	if lost := 1 - rate; lost > 0 {
		capacity = math.Log2(1 + rate*math.Pow(lost, lost/rate))
	}
	return math.Log2(float64(n)) / capacity
}

// simulation is what one search came to.
type simulation struct{ boots, builds, searching float64 }

// simulated searches a row of commits for one of them; with a death that does not always strike, five others die of something else.
func simulated(ctx context.Context, seed uint64, rate float64) (simulation, error) {
	dice := rand.New(rand.NewPCG(seed, 7))
	var list strings.Builder
	for n := rangeOf - 1; n > 0; n-- {
		fmt.Fprintf(&list, "%d %d\n", n, n-1)
	}
	graph, err := bisect.ParseGraph(list.String()+"0\n", false)
	if err != nil {
		return simulation{}, err
	}
	culprit, decoy := 1+dice.IntN(rangeOf-2), -10
	for rate < 1 && (decoy < 0 || decoy <= culprit && culprit-1 < decoy+5) { // it hides neither the culprit nor the one before it
		decoy = dice.IntN(rangeOf - 6)
	}
	reverted := false
	boot := func(_ context.Context, id string, _ bisect.Kernel, _ int) (verdict.Result, error) {
		n, inside := graph.Find(id)
		switch dies := inside && n >= culprit || strings.HasPrefix(id, "revert ") && !reverted; {
		case inside && n >= decoy && n < decoy+5:
			return verdict.Result{Verdict: verdict.Bad, Signature: "oops/initcall/decoy/decoy_init"}, nil
		case dies && dice.Float64() < rate:
			return verdict.Result{Verdict: verdict.Bad, Signature: "bug/start_kernel/bug/bug_init"}, nil
		}
		return verdict.Result{Verdict: verdict.Good}, nil
	}
	r := bisect.Runner{
		Options: bisect.Options{Good: "old", Bad: fmt.Sprint(rangeOf - 1), Match: bisect.MatchSignature, Confidence: 0.99, Jobs: 1},
		Graph:   graph,
		Lab: bisect.Lab{
			Build: func(context.Context, string) (bisect.Kernel, error) { return bisect.Kernel{Built: true}, nil },
			Boot:  boot,
			Revert: func(_ context.Context, _, id string) (bisect.Kernel, error) {
				reverted = id == fmt.Sprint(culprit)
				return bisect.Kernel{Built: true}, nil
			},
			Parents: func(_ context.Context, id string) ([]string, error) {
				n, _ := graph.Find(id)
				return []string{graph.IDs[max(n, 1)-1]}, nil
			},
		},
	}
	out, err := r.Run(ctx)
	if err != nil {
		return simulation{}, err
	}
	if out.Culprit != fmt.Sprint(culprit) && rate == 1 {
		return simulation{}, fmt.Errorf("the search finds %s, and %d is the culprit", out.Culprit, culprit)
	}
	s := simulation{boots: float64(out.Boots), builds: float64(out.Builds)}
	for _, step := range out.Steps {
		if step.Role == "" || step.Role == "again" {
			s.searching += float64(step.Boots)
		}
	}
	return s, nil
}

// machinery measures what kcatch does in a step besides build and boot, on a repository of 2,000 files and 200 commits.
func (b *bench) machinery(ctx context.Context) error {
	repo := filepath.Join(b.dir, "repo")
	if err := smallRepository(ctx, repo); err != nil {
		return err
	}
	object := filepath.Join(b.dir, "obj")
	if err := b.objects(object); err != nil {
		return err
	}
	source, err := bisect.OpenSource(ctx, repo)
	if err != nil {
		return err
	}
	good, err := source.Resolve(ctx, "GOOD", "main~199")
	if err != nil {
		return err
	}
	bad, err := source.Resolve(ctx, "BAD", "main")
	if err != nil {
		return err
	}
	var open, list, checkout, image series
	timed := func(to *series, do func() error) {
		begin := time.Now()
		if err == nil {
			err = do()
		}
		*to = append(*to, ms(time.Since(begin)))
	}
	for i := range b.n {
		var clone *bisect.Clone
		var span bisect.Range
		timed(&open, func() (err error) {
			clone, err = bisect.OpenClone(ctx, source, filepath.Join(b.dir, fmt.Sprintf("clone%d", i)))
			return err
		})
		timed(&list, func() (err error) { span, err = clone.Range(ctx, good, bad, false, nil); return err })
		if err == nil {
			err = clone.Checkout(ctx, bad) // the first one writes all files
		}
		timed(&checkout, func() error { return clone.Checkout(ctx, span.Graph.IDs[100]) })
		timed(&image, func() error { _, err := bisect.ImageHash(b.seed.Vmlinux, object, ""); return err })
		if err != nil {
			return err
		}
		if err := clone.Close(); err != nil {
			return err
		}
	}
	b.table.add("bisect step: make the private clone, once", "ms", open)
	b.table.add("bisect step: list 199 commits, once", "ms", list)
	b.table.add("bisect step: check out 98 commits away", "ms", checkout)
	b.table.add("bisect step: hash the image", "ms", image)
	return nil
}

// objects makes what the hash of an image looks at in an object tree, of the seed's decompressor.
func (b *bench) objects(dir string) error {
	program := filepath.Join(filepath.Dir(b.seed.Vmlinux), "boot-vmlinux")
	for _, part := range []string{"arch/x86/boot", "arch/x86/boot/compressed"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(program, filepath.Join(dir, part, "head.o")); err != nil {
			return err
		}
	}
	return nil
}

// smallRepository has commits that each change one file.
func smallRepository(ctx context.Context, dir string) error {
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", "--bare", "-b", "main", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w\n%s", err, out)
	}
	var in bytes.Buffer
	for n := range 200 {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A U Thor <a@example.com> %d +0000\ndata 2\nc\n", 1700000000+n)
		for f := range 2000 {
			if n == 0 || f == n {
				text := strings.Repeat(fmt.Sprintf("int f%d_%d;\n", f, n), 200)
				fmt.Fprintf(&in, "M 644 inline d%d/f%d.c\ndata %d\n%s\n", f%40, f, len(text), text)
			}
		}
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git fast-import: %w\n%s", err, out)
	}
	return nil
}
