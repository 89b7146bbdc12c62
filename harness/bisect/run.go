package bisect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Options are what a search is to do.
type Options struct {
	Good, Bad  string // object names in full: an end that lives and one that dies
	Fixed      bool   // Good is the newer one: find what ended the death
	Match      Match
	Confidence float64 // of the culprit, above 0.5 and below 1
	Jobs       int     // commits that are tried at once, at least 1
	// Bases are the merge bases of both ends, when the old one is no ancestor of the new one.
	Bases []string
}

// Runner runs a search. Graph, Lab and Options must be set; the rest may be left out.
type Runner struct {
	Options
	Graph *Graph
	Lab   Lab
	Log   *Log
	// Recorded is an earlier log: its boots are not booted again. With Rewrite they are copied into Log.
	Recorded []Record
	Rewrite  bool
	// Say is told what happens, a line at a time; Step each trial as it ends.
	Say  func(line string)
	Step func(verdict.BisectStep)
	// Now is the clock; nil for the real one. Pause waits before an infrastructure failure is tried again; nil for some seconds.
	Now   func() time.Time
	Pause func(ctx context.Context)

	tester *tester
	search Search
	faces  Faces
	out    verdict.Bisect

	parentSkipped bool   // a parent of the culprit could not be tested
	reverted      string // the culprit whose revert was tried
	confirmed     string // the dying commit that was booted again
}

// Run searches. The result is whole also when nothing was found; with an error it holds what was tried before.
func (r *Runner) Run(ctx context.Context) (verdict.Bisect, error) {
	r.prepare()
	return r.ended(ctx, r.run(ctx))
}

// ended completes the result.
func (r *Runner) ended(ctx context.Context, err error) (verdict.Bisect, error) {
	if err != nil && ctx.Err() != nil && blame.Of(err) != blame.Interrupted {
		err = &blame.Error{Kind: blame.Interrupted, Msg: "interrupted: " + err.Error(), Err: err}
	}
	r.out.Boots, r.out.Builds = r.tester.boots, r.tester.builds
	r.out.Faces = r.faces.Known[min(1, len(r.faces.Known)):]
	if err != nil {
		r.out.Error = &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)}
		return r.out, err
	}
	return r.out, r.Log.Write(Record{Type: "end", Time: r.tester.stamp(), Commit: r.out.Culprit, Commits: r.out.Suspects, Reason: r.out.Reason})
}

func (t *tester) stamp() string { return t.now().UTC().Format(time.RFC3339) }

func (r *Runner) prepare() {
	if r.Say == nil {
		r.Say = func(string) {}
	}
	if r.Step == nil {
		r.Step = func(verdict.BisectStep) {}
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Pause == nil {
		r.Pause = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}
	if r.Lab.Subject == nil {
		r.Lab.Subject = func(string) string { return "" }
	}
	if r.Jobs < 1 {
		r.Jobs = 1
	}
	r.tester = &tester{
		lab: r.Lab, log: r.Log, now: r.Now, say: r.Say, retried: r.Pause, rewrite: r.Rewrite,
		recorded: map[string][]Record{}, kernels: map[string]Kernel{}, booted: map[string]int{}, images: map[string]string{},
	}
	for _, rec := range r.Recorded {
		if rec.Type == "boot" || rec.Type == "skip" {
			r.tester.recorded[rec.Commit] = append(r.tester.recorded[rec.Commit], rec)
		}
	}
	r.faces = Faces{Match: r.Match}
	r.search = Search{Graph: r.Graph, Fixed: r.Fixed}
	r.search.Top, _ = r.Graph.Find(r.newEnd())
	r.out = verdict.Bisect{
		Schema: verdict.BisectSchema, Good: r.Good, Bad: r.Bad, Fixed: r.Fixed, Commits: r.Graph.Len(), Steps: []verdict.BisectStep{},
		Verified: verdict.BisectVerified{Parent: "untested", Culprit: "untested", Revert: "untested"},
	}
}

func (r *Runner) newEnd() string {
	if r.Fixed {
		return r.Good
	}
	return r.Bad
}

func (r *Runner) oldEnd() string {
	if r.Fixed {
		return r.Bad
	}
	return r.Good
}

// maxRounds bounds how often a verification may overthrow a culprit before the search gives up.
const maxRounds = 6

func (r *Runner) run(ctx context.Context) error {
	if ok, err := r.ends(ctx); err != nil || !ok {
		return err
	}
	if err := r.learnInert(ctx); err != nil {
		return err
	}
	for range maxRounds {
		suspects, err := r.narrow(ctx)
		if err != nil {
			return err
		}
		if len(suspects) != 1 {
			r.undetermined(suspects)
			return nil
		}
		culprit := r.Graph.IDs[suspects[0]]
		settled, err := r.verify(ctx, culprit)
		if err != nil {
			return err
		}
		if settled {
			return nil
		}
	}
	r.out.Reason = "the boots contradict each other again and again: more than one commit may be at fault"
	return nil
}

// narrow halves what is left until testing tells no more, and boots again what the result hangs on until it is sure enough.
func (r *Runner) narrow(ctx context.Context) ([]int, error) {
	for {
		st := r.search.State()
		next := r.search.Next(st, r.Jobs)
		if len(next) == 0 {
			suspects := r.search.Suspects(st)
			weak, ok := r.weakest(st, suspects)
			if !ok {
				return suspects, nil
			}
			if weak < 0 {
				if _, err := r.liveEnd(ctx, "again"); err != nil {
					return nil, err
				}
				if r.out.EndsWrong {
					return nil, nil
				}
				continue
			}
			next = []int{weak}
		}
		if err := r.try(ctx, next); err != nil {
			return nil, err
		}
	}
}

// weakest is the trial that the result most probably errs by, when it is not sure enough yet: -1 for the end that lives.
func (r *Runner) weakest(st State, suspects []int) (node int, ok bool) {
	b := r.search.Believe()
	if len(suspects) == 0 || b.Among(suspects) >= r.Confidence {
		return 0, false
	}
	node, worst := -1, 0.0
	if r.search.EndLived < maxBoots {
		worst = b.Early
	}
	for n, t := range st.Told {
		if t.Outcome != Lives || t.Same != None || t.Lived >= 4*maxBoots || slices.Contains(st.Doubted, n) {
			continue
		}
		if d := b.Dies(n); d > worst || d == worst && n < node {
			node, worst = n, d
		}
	}
	return node, worst > 0
}

// try tries commits, all at once, and adds what they say in the order in which they were chosen.
func (r *Runner) try(ctx context.Context, nodes []int) error {
	type ended struct {
		trial Trial
		tally tally
		why   string
		err   error
	}
	list := make([]ended, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		wait.Add(1)
		go func() {
			defer wait.Done()
			e := &list[i]
			doubt := 1 - r.Confidence
			if r.roleOf(n) == "again" { // what was enough for a step was not enough for the result
				doubt /= 4
			}
			e.trial, e.tally, e.why, e.err = r.trial(ctx, n, 1, doubt)
		}()
	}
	wait.Wait()
	for i, e := range list {
		if e.err != nil {
			return e.err
		}
		if err := r.add(e.trial, e.tally, e.why, r.roleOf(nodes[i])); err != nil {
			return err
		}
	}
	return nil
}

// roleOf is why a commit is tried: for the first time in a search, or again.
func (r *Runner) roleOf(n int) string {
	if _, again := r.search.told(n); again {
		return "again"
	}
	return ""
}

func (r *Runner) build(commit string) func(context.Context) (Kernel, error) {
	return func(ctx context.Context) (Kernel, error) { return r.Lab.Build(ctx, commit) }
}

// trial boots a commit until it has died, or until the probability that it can is at most doubt; it must live least times in all.
func (r *Runner) trial(ctx context.Context, n, least int, doubt float64) (Trial, tally, string, error) {
	t := Trial{Node: n, Same: None}
	if before, again := r.search.told(n); again {
		t = before
	}
	again := t.Lived
	key := r.Graph.IDs[n]
	var c tally
	for {
		rec, err := r.tester.once(ctx, key, r.build(key), func(k Kernel) error {
			if twin, ok := r.twin(k.Image, n); ok && c.boots+again == 0 {
				return twin
			}
			return nil
		})
		var skip errSkip
		var twin errTwin
		switch {
		case errors.As(err, &twin):
			t.Outcome, t.Same = twin.outcome, twin.node
			return t, c, "the same image as " + short(r.nameOf(twin.node)), nil
		case errors.As(err, &skip):
			t.Outcome, c.seconds = Skipped, c.seconds+rec.Seconds
			return t, c, skip.reason, nil
		case err != nil:
			return t, c, "", err
		}
		c.count(rec, r.faces.Fits)
		t.Lived = again + c.lived
		if c.died > 0 {
			t.Died, t.Outcome = c.died, Dies
			return t, c, c.summary, nil
		}
		if c.decoys >= maxDecoys {
			t.Outcome = Skipped
			return t, c, "another death: " + c.summary, nil
		}
		if c.lived == 0 || t.Lived < least {
			continue
		}
		if odds := r.search.Believe(t).Dies(n); odds <= doubt || c.lived >= maxBoots {
			t.Outcome = Lives
			return t, c, livedReason(t.Lived), nil
		}
	}
}

func livedReason(n int) string {
	if n == 1 {
		return "lived"
	}
	return fmt.Sprintf("lived in all of %d boots", n)
}

// errTwin says that a commit has the same image as one that was tried.
type errTwin struct {
	node    int // or OldEnd
	outcome Outcome
}

func (errTwin) Error() string { return "the same image as another commit" }

// twin finds a tried commit with this image, the ends included.
func (r *Runner) twin(image string, n int) (errTwin, bool) {
	if image == "" {
		return errTwin{}, false
	}
	for _, t := range r.search.Trials {
		if t.Node != n && t.Same == None && t.Outcome != Skipped && r.tester.imageOf(r.Graph.IDs[t.Node]) == image {
			return errTwin{t.Node, t.Outcome}, true
		}
	}
	ends := map[string]Outcome{r.Good: Lives, r.Bad: Dies}
	if r.tester.imageOf(r.newEnd()) == image {
		return errTwin{r.search.Top, ends[r.newEnd()]}, true
	}
	if r.tester.imageOf(r.oldEnd()) == image {
		return errTwin{OldEnd, ends[r.oldEnd()]}, true
	}
	return errTwin{}, false
}

// nameOf is the commit of a node or of the old end.
func (r *Runner) nameOf(node int) string {
	if node == OldEnd {
		return r.oldEnd()
	}
	return r.Graph.IDs[node]
}

func (t *tester) imageOf(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.images[key]
}

// add adds a trial to the search, the log and the report.
func (r *Runner) add(t Trial, c tally, why, role string) error {
	r.search.Trials = append(r.search.Trials, t)
	st := r.search.State()
	step := r.step(r.Graph.IDs[t.Node], t.Outcome, c, why, role)
	step.Left = len(r.search.Suspects(st))
	if t.Same != None {
		step.Same = r.nameOf(t.Same)
	}
	r.report(step)
	err := r.Log.Write(Record{Type: "trial", Time: r.tester.stamp(), Commit: r.Graph.IDs[t.Node], Outcome: string(t.Outcome), Reason: why})
	for _, n := range st.Doubted {
		if t.Outcome == Dies {
			r.Say(short(r.Graph.IDs[n]) + " was called good too early: a commit before it dies")
			err = errors.Join(err, r.Log.Write(Record{Type: "trial", Time: r.tester.stamp(), Commit: r.Graph.IDs[n], Reason: "taken back"}))
		}
	}
	return err
}

func (r *Runner) step(commit string, o Outcome, c tally, why, role string) verdict.BisectStep {
	s := verdict.BisectStep{
		Commit: commit, Verdict: verdictOf(o), Reason: why, Boots: c.boots, Seconds: c.seconds, Signature: c.signature,
		Subject: r.Lab.Subject(commit), Role: role,
	}
	if c.decoys > 0 && o != Dies {
		s.Signature, s.Chain = c.decoySignature, c.decoyChain
	}
	return s
}

func (r *Runner) report(s verdict.BisectStep) {
	r.out.Steps = append(r.out.Steps, s)
	r.Step(s)
}

func verdictOf(o Outcome) verdict.Verdict {
	switch o {
	case Dies:
		return verdict.Bad
	case Lives:
		return verdict.Good
	}
	return verdict.Skip
}

// undetermined says between which commits the culprit is.
func (r *Runner) undetermined(suspects []int) {
	if r.out.EndsWrong {
		return
	}
	for _, n := range suspects {
		r.out.Suspects = append(r.out.Suspects, r.Graph.IDs[n])
	}
	r.out.Confidence = r.search.Believe().Among(suspects)
	switch {
	case len(suspects) == 0:
		r.out.Reason = "no commit that is left can change the image"
	default:
		r.out.Reason = fmt.Sprintf("the commits between could not be tested: it is one of %d", len(suspects))
	}
}

// learnInert finds the commits that cannot change the image.
func (r *Runner) learnInert(ctx context.Context) error {
	if r.Lab.Inert == nil {
		return nil
	}
	var list []string
	known := false
	for _, rec := range r.Recorded {
		if rec.Type == "inert" {
			list, known = rec.Commits, true
		}
	}
	if !known {
		var err error
		old, err := r.tester.kernel(ctx, r.oldEnd(), r.build(r.oldEnd()))
		if err != nil {
			return err
		}
		now, err := r.tester.kernel(ctx, r.newEnd(), r.build(r.newEnd()))
		if err != nil {
			return err
		}
		if list, err = r.Lab.Inert(ctx, old, now); err != nil {
			return err
		}
	}
	if !known || r.Rewrite {
		if err := r.Log.Write(Record{Type: "inert", Time: r.tester.stamp(), Commits: list}); err != nil {
			return err
		}
	}
	inert := make(Set, r.Graph.Len())
	for _, id := range list {
		if n, ok := r.Graph.Find(id); ok {
			inert[n] = true
		}
	}
	if n := inert.Count(); n > 0 && n < r.Graph.Len() {
		r.search.Inert, r.out.Inert = inert, n
		r.Say(fmt.Sprintf("%d of %d commits touch nothing that the builds of both ends read: they are known without a boot", n, r.Graph.Len()))
	}
	return nil
}

// short is an object name as people say it.
func short(id string) string { return id[:min(len(id), 12)] }
