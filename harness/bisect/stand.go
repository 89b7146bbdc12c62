package bisect

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// PatchFix is another form of the patches: from Commit on, File stands in for all of them.
type PatchFix struct {
	Commit string `json:"commit"`
	File   string `json:"file"`
}

// Stand builds and boots the commits of a clone: it is the real [Lab].
type Stand struct {
	Clone *Clone
	// Plan is how to build and boot; its Build names no tree, the clone is it.
	Plan  harness.Plan
	Fixes []PatchFix
	Graph *Graph
	// Out is where the artifacts of boots go, a directory each.
	Out      string
	Progress harness.Progress

	mu   sync.Mutex
	kept map[string]bool // signatures whose artifacts are kept
}

// Lab is the stand as a search sees it.
func (s *Stand) Lab() Lab {
	return Lab{Build: s.Build, Boot: s.Boot, Revert: s.Revert, Parents: s.Clone.Parents, Subject: s.Clone.Subject, Inert: s.Inert}
}

// Build checks a commit out and builds it.
func (s *Stand) Build(ctx context.Context, commit string) (Kernel, error) {
	s.stage(commit, "check out")
	if err := s.Clone.Checkout(ctx, commit); err != nil {
		return Kernel{}, err
	}
	return s.build(ctx, commit)
}

// Revert builds a commit with another one taken out.
func (s *Stand) Revert(ctx context.Context, on, culprit string) (Kernel, error) {
	s.stage(culprit, "revert")
	if err := s.Clone.Revert(ctx, on, culprit); err != nil {
		return Kernel{}, err
	}
	return s.build(ctx, on)
}

func (s *Stand) stage(commit, what string) {
	if s.Progress.Stage != nil {
		s.Progress.Stage(what, short(commit)+" "+s.Clone.Subject(commit))
	}
}

// build builds what is checked out.
func (s *Stand) build(ctx context.Context, commit string) (Kernel, error) {
	req := *s.Plan.Build
	req.Tree = s.Clone.Dir
	for _, f := range s.Fixes { // the last one that counts wins
		on, err := s.Clone.IsAncestor(ctx, f.Commit, commit)
		if err != nil {
			return Kernel{}, err
		}
		if on {
			req.Patches = []string{f.File}
		}
	}
	return s.make(ctx, req)
}

// make builds a request and learns what can be known of the kernel.
func (s *Stand) make(ctx context.Context, req kernels.Request) (Kernel, error) {
	builder := kernels.Builder{Cache: s.Plan.Cache, Progress: s.progress()}
	built, err := builder.Build(ctx, req)
	if err != nil {
		return Kernel{}, err
	}
	plan := s.Plan
	plan.Build = nil
	plan.Kernel, plan.Vmlinux, plan.BootVmlinux = built.BzImage, built.Vmlinux, built.BootVmlinux
	if err := harness.Check(ctx, plan); err != nil { // a symbol of --until that this commit has not
		return Kernel{}, err
	}
	k := Kernel{Plan: plan, Config: built.Config, Built: !built.Reused}
	var known facts
	if built.Reused {
		known = readFacts(built.Dir)
	} else {
		known = learnFacts(ctx, built)
	}
	k.Image = known.Image
	if len(known.Reads) > 0 {
		k.Reads = ReadsOf(known.Reads)
	}
	return k, nil
}

// progress hands a build's progress on.
func (s *Stand) progress() func(kernels.Progress) {
	var last kernels.Progress
	return func(p kernels.Progress) {
		if s.Progress.Stage != nil && (p.Stage != last.Stage || p.Done == 0 && p.Note != last.Note) {
			s.Progress.Stage(string(p.Stage), p.Note)
		}
		last = p
		if s.Progress.Step != nil && p.Done > 0 {
			s.Progress.Step(string(p.Stage), p.Done, p.Total)
		}
	}
}

// facts is what only the object tree knows of a build, kept in the build's entry: the next build overwrites the tree.
type facts struct {
	Image string   `json:"image"`
	Reads []string `json:"reads"`
}

const factsName = "bisect.json"

func readFacts(dir string) (f facts) {
	data, err := os.ReadFile(filepath.Join(dir, factsName))
	if err != nil || json.Unmarshal(data, &f) != nil {
		return facts{} // made by another verb: it costs boots, not the answer
	}
	return f
}

// learnFacts looks at a build that has just been made. What it cannot find out costs boots, not the answer.
func learnFacts(ctx context.Context, built kernels.Build) facts {
	var f facts
	var err error
	if f.Image, err = ImageHash(built.Vmlinux, built.ObjectTree(), built.Release); err != nil {
		f.Image = ""
	}
	if f.Reads, err = built.Reads(ctx); err != nil {
		f.Reads = nil
	}
	if data, err := json.Marshal(f); err == nil {
		name := filepath.Join(built.Dir, factsName)
		if os.WriteFile(name+".tmp", data, 0o644) == nil {
			_ = os.Rename(name+".tmp", name)
		}
	}
	return f
}

// Boot boots a kernel. The artifacts of a death are kept once for each commit and signature; a good boot keeps none.
func (s *Stand) Boot(ctx context.Context, commit string, k Kernel, n int) (verdict.Result, error) {
	plan := k.Plan
	name := short(commit)
	if rest, ok := strings.CutPrefix(commit, "revert "); ok {
		name = "revert-" + short(rest)
	} else if !objectName(commit) {
		name = strings.ReplaceAll(commit, " ", "-")
	}
	plan.Out = filepath.Join(s.Out, fmt.Sprintf("%s-%02d", name, n))
	res, err := harness.Boot(ctx, plan, s.Progress)
	if err != nil {
		return res, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]bool{}
	}
	key := name + " " + res.Signature
	if res.Verdict == verdict.Good || s.kept[key] {
		if err := os.RemoveAll(plan.Out); err != nil {
			return res, disk("artifacts", plan.Out, err)
		}
		res.Artifacts = verdict.Artifacts{}
	}
	s.kept[key] = true
	return res, nil
}

// Inert finds the commits that touch nothing that the builds of both ends read. A merge is one when it brings no such file to its first
// parent: both are the same kernel, so that the merge is no culprit, whatever else it has merged. One that brings any counts, however
// cleanly it merged: what both sides do may only work alone.
func (s *Stand) Inert(ctx context.Context, ends ...Kernel) ([]string, error) {
	reads := ReadsOf()
	for _, k := range ends {
		if k.Reads == nil {
			return nil, nil // unknown: every commit counts
		}
		reads = reads.Union(k.Reads)
	}
	touched, err := s.Clone.Touched(ctx, s.Graph.IDs)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, id := range s.Graph.IDs {
		if reads.InertCommit(touched[id]) {
			list = append(list, id)
		}
	}
	return list, nil
}

// OutDir makes the directory of a run: dir, or a new one in the user's state directory.
func OutDir(dir string, now time.Time) (string, error) {
	if dir == "" {
		state, err := harness.StateDir()
		if err != nil {
			return "", &blame.Error{Kind: blame.Infrastructure, Msg: "bisect: " + err.Error(), Hint: "name a directory with --out", Err: err}
		}
		dir = filepath.Join(state, "bisects", fmt.Sprintf("%s-%d", now.Format("20060102-150405"), os.Getpid()))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", disk("bisect", dir, err)
	}
	return filepath.Abs(dir)
}
