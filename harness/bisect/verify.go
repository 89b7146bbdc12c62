package bisect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// ErrConflict says that a commit does not come out of another one cleanly.
var ErrConflict = errors.New("does not revert cleanly")

// parentBoots is how often a parent of the culprit must have lived, at the least.
const parentBoots = 3

// verify tries the culprit itself, its parents and its revert. settled is false when that overthrows it: the trials know then, and
// the search goes on.
func (r *Runner) verify(ctx context.Context, culprit string) (settled bool, err error) {
	node, _ := r.Graph.Find(culprit)
	if settled, err := r.verifySelf(ctx, node); !settled || err != nil {
		return settled, err
	}
	r.parentSkipped = false
	parents, err := r.Lab.Parents(ctx, culprit)
	if err != nil {
		return false, err
	}
	for _, p := range parents {
		settled, err := r.verifyParent(ctx, p)
		if err != nil || !settled || r.out.Reason != "" {
			return settled, err
		}
	}
	dying := culprit
	if r.Fixed {
		dying = parents[0]
	}
	if err := r.confirm(ctx, dying); err != nil {
		return false, err
	}
	b := r.search.Believe()
	if b.Culprit(node) < r.Confidence {
		if _, weak := r.weakest(r.search.State(), []int{node}); weak {
			return false, nil // verification made deaths rarer than they were thought to be
		}
	}
	if r.reverted != culprit {
		r.reverted = culprit
		if err := r.verifyRevert(ctx, culprit); err != nil {
			return false, err
		}
		if r.unchanged() {
			// A wrong commit looks like this, and so does a right one that another made worse: look harder, once.
			r.Say(short(r.newEnd()) + " is as it was without " + short(culprit) + ": booting more, to be surer of it")
			r.Confidence = 1 - (1-r.Confidence)/20
			if _, weak := r.weakest(r.search.State(), []int{node}); weak {
				return false, nil
			}
		}
	}
	r.out.Culprit, r.out.Confidence = culprit, min(b.Culprit(node), 0.9999)
	if r.unchanged() {
		r.note(short(r.newEnd()) + " with the culprit reverted is as it was: either another commit does the same, or the culprit is wrong")
	}
	return true, nil
}

// unchanged reports whether the revert made no difference.
func (r *Runner) unchanged() bool {
	v := r.out.Verified.Revert
	return v == string(verdict.Bad) && !r.Fixed || v == string(verdict.Good) && r.Fixed
}

// confirmBoots is how often the dying side of the culprit is booted when the death seemed to strike always.
const confirmBoots = 4

// confirm boots the commit that dies beside one that lives a few times more, where the death struck in every boot so far: by luck that may
// be so at the end that dies, and then each commit that lived once was called good too early. Seen in 2 of 1000 simulated runs.
func (r *Runner) confirm(ctx context.Context, commit string) error {
	node, inside := r.Graph.Find(commit)
	told, _ := r.search.told(node)
	if !inside || r.search.EndSurvived > 0 || node == r.search.Top || told.Outcome != Dies || told.Same != None || r.confirmed == commit {
		return nil
	}
	r.confirmed = commit
	c := tally{}
	for c.lived+c.died < confirmBoots-told.Died {
		rec, err := r.tester.once(ctx, commit, r.build(commit), nil)
		if err != nil {
			var skip errSkip
			if errors.As(err, &skip) {
				return nil
			}
			return err
		}
		c.count(rec, r.faces.Fits)
		if c.decoys >= maxDecoys {
			break
		}
	}
	r.search.EndDied += c.died
	r.search.EndSurvived += c.lived
	why := fmt.Sprintf("died in %d of %d boots more", c.died, c.boots)
	r.report(r.step(commit, Dies, c, why, "again"))
	return nil
}

// verifySelf makes sure that the culprit itself was booted, not only commits with the same image.
func (r *Runner) verifySelf(ctx context.Context, node int) (settled bool, err error) {
	self := Trial{Same: None}
	if node == r.search.Top { // it is an end
		self.Outcome = Dies
		if r.Fixed {
			self.Outcome = Lives
		}
	} else if t, told := r.search.told(node); told {
		self = t
	} else {
		var c tally
		var why string
		if self, c, why, err = r.trial(ctx, node, 1, 1-r.Confidence); err != nil {
			return false, err
		}
		if err := r.add(self, c, why, "culprit"); err != nil {
			return false, err
		}
	}
	switch {
	case self.Outcome == Skipped:
		r.out.Suspects, r.out.Reason = []string{r.Graph.IDs[node]}, "the one commit that is left cannot be tested"
		return true, nil
	case r.search.isNew(self.Outcome):
		r.out.Verified.Culprit = string(verdictOf(self.Outcome))
		return true, nil
	}
	r.distrust("the commit that is left is " + string(verdictOf(self.Outcome)) + " itself")
	return false, nil
}

// verifyParent boots a parent of the culprit.
func (r *Runner) verifyParent(ctx context.Context, parent string) (settled bool, err error) {
	old := Lives
	if r.Fixed {
		old = Dies
	}
	if parent == r.oldEnd() {
		r.parentIs(old)
		return true, nil
	}
	var t Trial
	var c tally
	var why string
	node, inside := r.Graph.Find(parent)
	if inside {
		told, ok := r.search.told(node)
		if ok && (told.Outcome != Lives || (told.Lived >= parentBoots || told.Same != None)) {
			t = told
		} else {
			if t, c, why, err = r.trial(ctx, node, parentBoots, 1-r.Confidence); err == nil {
				err = r.add(t, c, why, "parent")
			}
		}
	} else {
		t, c, why, err = r.outside(ctx, parent)
		if err == nil {
			r.report(r.step(parent, t.Outcome, c, why, "parent"))
		}
	}
	switch {
	case err != nil:
		return false, err
	case t.Outcome == old, t.Outcome == Skipped:
		r.parentIs(t.Outcome)
		return true, nil
	case inside:
		r.distrust("the parent of the commit that is left, " + short(parent) + ", is " + string(verdictOf(t.Outcome)) + " too")
		return false, nil
	}
	r.out.Reason = "the parent " + short(parent) + " of the only commit that is left is " + string(verdictOf(t.Outcome)) +
		" too: the culprit is none of the commits that were looked at"
	r.out.Verified.Parent = string(verdictOf(t.Outcome))
	return true, nil
}

// outside tries a commit that is not in the graph: paths or --first-parent leave it out, or the old end has it.
func (r *Runner) outside(ctx context.Context, commit string) (Trial, tally, string, error) {
	t := Trial{Same: None}
	var c tally
	for {
		rec, err := r.tester.once(ctx, commit, r.build(commit), nil)
		var skip errSkip
		if errors.As(err, &skip) {
			t.Outcome, c.seconds = Skipped, c.seconds+rec.Seconds
			return t, c, skip.reason, nil
		}
		if err != nil {
			return t, c, "", err
		}
		c.count(rec, r.faces.Fits)
		switch {
		case c.died > 0:
			t.Outcome = Dies
			return t, c, c.summary, nil
		case c.decoys >= maxDecoys:
			t.Outcome = Skipped
			return t, c, "another death: " + c.summary, nil
		case c.lived >= maxBoots, c.lived >= parentBoots && r.search.Believe().Missed(c.lived) <= 1-r.Confidence:
			t.Outcome = Lives
			return t, c, livedReason(c.lived), nil
		}
	}
}

// parentIs notes what a parent is; one of several that cannot be tested makes them untested.
func (r *Runner) parentIs(o Outcome) {
	if o == Skipped {
		r.parentSkipped = true
		r.out.Verified.Parent = "untested"
	} else if !r.parentSkipped {
		r.out.Verified.Parent = string(verdictOf(o))
	}
}

// distrust gives up what was taken for known without a boot, because a boot says otherwise.
func (r *Runner) distrust(why string) {
	r.Say(why)
	if r.search.Inert != nil {
		r.Say("commits that seemed unable to change the image are tested from here on")
		r.search.Inert, r.out.Inert = nil, 0
	}
}

// verifyRevert boots the end that dies with the culprit taken out; for a fix, the end that lives without it.
func (r *Runner) verifyRevert(ctx context.Context, culprit string) error {
	on := r.newEnd()
	if r.Lab.Revert == nil {
		r.out.Verified.RevertReason = "not asked for"
		return nil
	}
	key := "revert " + culprit + " on " + on
	v := &r.out.Verified
	v.Revert, v.RevertReason = "untested", ""
	var c tally
	for {
		rec, err := r.tester.once(ctx, key, func(ctx context.Context) (Kernel, error) {
			k, err := r.Lab.Revert(ctx, on, culprit)
			if errors.Is(err, ErrConflict) {
				err = &blame.Error{Kind: blame.Build, Msg: ErrConflict.Error(), Err: err}
			}
			return k, err
		}, func(k Kernel) error {
			if twin, ok := r.twin(k.Image, None); ok && c.boots == 0 {
				return twin
			}
			return nil
		})
		var skip errSkip
		var twin errTwin
		if errors.As(err, &twin) {
			v.Revert, v.RevertReason = string(verdictOf(twin.outcome)), "the same image as "+short(r.nameOf(twin.node))
			r.report(r.step(on, twin.outcome, c, fmt.Sprintf("with %s reverted: %s", short(culprit), v.RevertReason), "revert"))
			return nil
		}
		if errors.As(err, &skip) {
			if v.RevertReason = skip.reason; strings.Contains(skip.reason, ErrConflict.Error()) {
				v.Revert = "conflict"
			}
			return nil
		}
		if err != nil {
			return err
		}
		c.count(rec, r.faces.Fits)
		switch {
		case c.died > 0:
			v.Revert, v.RevertReason = string(verdict.Bad), c.summary
		case c.decoys >= maxDecoys:
			v.RevertReason = "another death: " + c.summary
		case c.lived >= maxBoots, c.lived > 0 && r.search.Believe().Missed(c.lived) <= (1-r.Confidence)/10: // it tells a wrong culprit
			v.Revert, v.RevertReason = string(verdict.Good), livedReason(c.lived)
		default:
			continue
		}
		r.report(r.step(on, outcomeOf(v.Revert), c, fmt.Sprintf("with %s reverted: %s", short(culprit), v.RevertReason), "revert"))
		return nil
	}
}

func outcomeOf(v string) Outcome {
	switch verdict.Verdict(v) {
	case verdict.Good:
		return Lives
	case verdict.Bad:
		return Dies
	}
	return Skipped
}
