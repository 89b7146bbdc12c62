package bisect

import (
	"context"
	"errors"
	"fmt"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Boots of the end that dies: learnBoots when all die, which tells a death that always strikes from one that does not; else until it has
// died learnDeaths times, at most endBoots. Of 3 to 8 deaths, 6 made the fewest boots in all (13,900 in TestFlakyWithDecoy; 15,700
// with 3): a rate that is known better is asked less often whether it was luck.
const (
	learnDeaths = 6
	learnBoots  = 4
	endBoots    = 40
)

// ends makes sure that the ends are what they are said to be, and learns the death from the one that dies. ok is false when they
// are not; the result says so.
func (r *Runner) ends(ctx context.Context) (ok bool, err error) {
	if ok, err := r.deadEnd(ctx); !ok || err != nil {
		return false, err
	}
	if ok, err := r.liveEnd(ctx, "good end"); !ok || err != nil {
		return false, err
	}
	for _, base := range r.Bases {
		if ok, err := r.base(ctx, base); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// deadEnd boots the end that dies until its death and how often it strikes are known.
func (r *Runner) deadEnd(ctx context.Context) (bool, error) {
	var c tally
	for c.boots < learnBoots || c.lived > 0 && c.died < learnDeaths {
		if c.boots >= endBoots {
			break
		}
		if c.boots == learnBoots && c.died == 0 {
			r.Say(fmt.Sprintf("BAD has lived in %d boots; it is booted up to %d times", c.boots, endBoots))
		}
		rec, err := r.bootEnd(ctx, r.Bad, "BAD")
		if err != nil {
			return false, err
		}
		if rec.Outcome != string(verdict.Good) {
			r.faces.Learn(rec.Signature) // whatever it dies of is what is looked for
		}
		c.count(rec, r.faces.Fits)
		if c.died == 1 && r.out.After == nil {
			r.out.Signature, r.out.After = rec.Signature, rec.Chain
		}
	}
	r.search.EndDied, r.search.EndSurvived = c.died, c.lived
	r.out.Died, r.out.DiedOf = c.died, c.boots
	if c.died == 0 {
		why := fmt.Sprintf("lived in all of %d boots", c.lived)
		r.wrong("BAD is good: "+short(r.Bad)+" "+why, r.step(r.Bad, Lives, c, why, "bad end"))
		return false, r.endTrial(r.Bad, Lives, why)
	}
	why := c.summary
	if c.lived > 0 {
		why = fmt.Sprintf("in %d of %d boots: %s", c.died, c.boots, c.summary)
	}
	r.report(r.step(r.Bad, Dies, c, why, "bad end"))
	return true, r.endTrial(r.Bad, Dies, why)
}

// liveEnd boots the end that lives as often as it takes; again means once more after the search.
func (r *Runner) liveEnd(ctx context.Context, role string) (bool, error) {
	var c tally
	for first := true; first || r.search.EndLived < maxBoots && r.search.Believe().Early > (1-r.Confidence)/2; first = false {
		rec, err := r.bootEnd(ctx, r.Good, "GOOD")
		if err != nil {
			return false, err
		}
		c.count(rec, r.faces.Fits)
		if c.lived < c.boots {
			r.wrong("GOOD is bad: "+short(r.Good)+": "+c.summary, r.step(r.Good, Dies, c, c.summary, role))
			return false, r.endTrial(r.Good, Dies, c.summary)
		}
		r.search.EndLived++
		if r.out.Before == nil {
			r.out.Before = []string{rec.Summary}
		}
	}
	why := livedReason(c.lived)
	r.report(r.step(r.Good, Lives, c, why, role))
	return true, r.endTrial(r.Good, Lives, why)
}

// base boots a merge base of both ends. Where the old end is no ancestor of the new one, the culprit is on the new end's side only
// when their merge base is as the old end is (bisect.c, check_merge_bases).
func (r *Runner) base(ctx context.Context, base string) (bool, error) {
	var c tally
	step := func(o Outcome, why string) verdict.BisectStep { return r.step(base, o, c, why, "merge base") }
	for {
		rec, err := r.tester.once(ctx, base, r.build(base), nil)
		var skip errSkip
		if errors.As(err, &skip) {
			r.report(step(Skipped, skip.reason))
			r.note("the merge base " + short(base) + " cannot be tested: if it is not as " + short(r.oldEnd()) + ", the result is wrong")
			return true, r.endTrial(base, Skipped, skip.reason)
		}
		if err != nil {
			return false, err
		}
		c.count(rec, r.faces.Fits)
		switch {
		case c.died > 0 && !r.Fixed:
			r.wrong("the merge base "+short(base)+" dies too: what broke it is not between it and BAD, and GOOD has a fix; try kcatch bisect --fixed "+
				short(r.Good)+" "+short(base), step(Dies, c.summary))
			return false, r.endTrial(base, Dies, c.summary)
		case c.died > 0:
			r.search.EndDied++
			r.report(step(Dies, c.summary))
			return true, r.endTrial(base, Dies, c.summary)
		case c.decoys >= maxDecoys:
			why := "another death: " + c.summary
			r.report(step(Skipped, why))
			r.note("the merge base " + short(base) + " dies another death: if it is not as " + short(r.oldEnd()) + ", the result is wrong")
			return true, r.endTrial(base, Skipped, why)
		case c.lived > 0 && (r.search.Believe().Missed(c.lived) <= 1-r.Confidence || c.lived >= maxBoots):
			why := livedReason(c.lived)
			if r.Fixed {
				r.wrong("the merge base "+short(base)+" lives: BAD was broken after it, and nothing that GOOD has fixed it", step(Lives, why))
				return false, r.endTrial(base, Lives, why)
			}
			r.search.EndLived += c.lived
			r.report(step(Lives, why))
			return true, r.endTrial(base, Lives, why)
		}
	}
}

// bootEnd boots an end once. An end that cannot be tested ends the run.
func (r *Runner) bootEnd(ctx context.Context, commit, name string) (Record, error) {
	rec, err := r.tester.once(ctx, commit, r.build(commit), nil)
	var skip errSkip
	if errors.As(err, &skip) {
		return rec, &blame.Error{Kind: blame.Build, Msg: name + " " + short(commit) + " cannot be tested: " + skip.reason, Err: err,
			Hint: "choose another commit near it, or supply what it lacks with --patch, --config or --patch-fix"}
	}
	return rec, err
}

func (r *Runner) wrong(why string, s verdict.BisectStep) {
	r.report(s)
	r.out.EndsWrong, r.out.Reason = true, why
}

func (r *Runner) note(text string) { r.out.Notes = append(r.out.Notes, text) }

// endTrial writes down what an end came to, for the form that git replays.
func (r *Runner) endTrial(commit string, o Outcome, why string) error {
	return r.Log.Write(Record{Type: "trial", Time: r.tester.stamp(), Commit: commit, Outcome: string(o), Reason: why})
}
