package smoke

import (
	"cmp"
	"fmt"
	"strings"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// outcome is what one boot of a cell came to. The zero value is invalid.
type outcome uint8

const (
	passed      outcome = iota + 1
	failed              // of the kernel, or of what it ran
	untestable          // it does not build, or the plan does not fit it
	broken              // of this machine
	interrupted         // it was not let come to its end
)

// attempt is one boot of a cell, judged.
type attempt struct {
	verdict.Try
	outcome outcome
	reason  string // one line; "" for a pass that needs none
	result  *verdict.Result
	novelty string
	allowed *verdict.Allow
}

// maxReason bounds a reason, in characters.
const maxReason = 400

// oneLine makes a reason of a text that may have been made by a guest or a compiler.
func oneLine(s string) string { return report.Clean(strings.Join(strings.Fields(s), " "), maxReason) }

// judge says what a boot came to: its result, or the error in its place. known are the deaths of the baseline, allow the entries of the
// allow list that hold.
func judge(c *Cell, r *verdict.Result, err error, known *baseline, allow []verdict.Allow) attempt {
	if err != nil {
		return unjudged(err)
	}
	a := attempt{result: r, Try: verdict.Try{
		Verdict: r.Verdict, Class: r.Class, Signature: r.Signature, Summary: oneLine(r.Summary), Artifacts: r.Artifacts.Dir,
	}}
	if r.Verdict == verdict.Skip {
		a.outcome, a.reason = untestable, a.Summary
		return a
	}
	a.outcome = failed
	switch fault := fault(c, r); {
	case fault == "":
		a.outcome = passed
		if c.Expect != "" {
			a.reason = "expected: " + a.Summary
		}
	case r.Verdict != verdict.Bad:
		a.reason = oneLine(fault)
	default:
		a.reason = oneLine(fault)
		a.novelty = known.novelty(c.Name, signatures(r)...)
		a.excuse(c, allow)
	}
	if a.Passed = a.outcome == passed; !a.Passed && a.reason != a.Summary {
		a.Reason = a.reason
	}
	return a
}

// excuse lets a death pass that is allowed, or known: its novelty says so. What failed in the guest beside it is excused by neither.
func (a *attempt) excuse(c *Cell, allow []verdict.Allow) {
	r, by := a.result, ""
	e := allowedBy(c.Name, a.result, allow)
	switch {
	case e != nil:
		by = fmt.Sprintf("allowed until %s (%s: %s): ", e.Expires, e.Owner, e.Reason)
	case a.novelty == noveltyKnown:
		by = "known: "
	default:
		return
	}
	if beside := several(guestFaults(r, r.Class == verdict.Warn)); beside != "" {
		a.reason = oneLine(beside + "; beside what is " + by + r.Summary)
		return
	}
	a.outcome, a.allowed, a.reason = passed, e, oneLine(by+r.Summary)
}

// unjudged is a boot that came to no verdict.
func unjudged(err error) attempt {
	a := attempt{reason: oneLine(err.Error())}
	a.Summary = a.reason
	switch blame.Of(err) {
	case blame.Interrupted:
		a.outcome, a.reason = interrupted, "interrupted"
		a.Summary = a.reason
	case blame.Build, blame.Usage:
		a.outcome = untestable
	default:
		a.outcome = broken
	}
	return a
}

// fault is why a boot is not what the cell wants; "" when it is.
func fault(c *Cell, r *verdict.Result) string {
	if want, err := verdict.ParseMatch(c.Expect); c.Expect != "" && want.Class != verdict.OK {
		switch {
		case err != nil:
			return "expect: " + err.Error()
		case want.Fits(r):
			return ""
		}
		return fmt.Sprintf("not the expected %s: %s", c.Expect, r.Summary)
	}
	if r.Verdict != verdict.Good {
		return cmp.Or(r.Summary, "the boot is "+string(r.Verdict))
	}
	return several(guestFaults(r, true))
}

// guestFaults are what failed of all that ran in a guest. Of a boot that came to its end what did not come back is among them; where the
// kernel died that is the death's doing. WARNs alone are no death.
func guestFaults(r *verdict.Result, ended bool) []string {
	var faults []string
	for i := range r.Checks {
		switch ck := &r.Checks[i]; {
		case ck.Passed():
		case ck.Status != nil, ended:
			faults = append(faults, "check "+ck.Name+": "+ck.Ended())
		}
	}
	for i := range r.Subtests {
		switch s := &r.Subtests[i]; {
		case s.Status == "fail":
			faults = append(faults, "subtest "+s.Name+" failed")
		case s.Status == "lost" && ended:
			faults = append(faults, "subtest "+s.Name+" was promised and did not come")
		}
	}
	if w := r.Workload; w != nil {
		for _, s := range w.Steps {
			if s.Outcome == "failed" {
				faults = append(faults, "workload "+w.Name+": step "+s.Name+" failed")
			}
		}
		if !w.Ended && ended {
			faults = append(faults, "workload "+w.Name+" did not come to its end")
		}
	}
	return faults
}

// several puts faults into one line: the first three, and how many more there are.
func several(faults []string) string {
	const shown = 3
	text := strings.Join(faults[:min(len(faults), shown)], "; ")
	if n := len(faults) - shown; n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}

// again reports whether a cell is to be booted once more: one that failed as often as its retries allow, one that this machine failed
// once.
func again(tries []attempt, retries int) bool {
	bad, trouble := 0, 0
	for i := range tries {
		switch tries[i].outcome {
		case failed:
			bad++
		case broken:
			trouble++
		}
	}
	switch tries[len(tries)-1].outcome {
	case failed:
		return bad <= retries
	case broken:
		return trouble == 1
	}
	return false
}

// settle says how a cell came out by all its boots, in their order; there is at least one.
func settle(c *Cell, tries []attempt) verdict.Cell {
	out := newCell(c)
	out.Attempts = len(tries)
	last, decides := &tries[len(tries)-1], (*attempt)(nil)
	for i := range tries {
		out.Tries = append(out.Tries, tries[i].Try)
		out.Seconds += tries[i].Seconds
		if decides == nil && tries[i].outcome == failed {
			decides = &tries[i]
		}
	}
	if decides == nil {
		decides = last
	}
	out.Result, out.Reason, out.Novelty, out.Allowed = decides.result, decides.reason, decides.novelty, decides.allowed
	switch {
	case last.outcome == interrupted:
		out.Status = verdict.CellNotRun
		if decides != last {
			out.Reason = oneLine("interrupted when it was tried again; it had failed: " + decides.reason)
		}
	case last.outcome == passed && decides == last:
		out.Status = verdict.CellPass
	case last.outcome == passed:
		out.Status = verdict.CellFlaky
		out.Reason = oneLine(fmt.Sprintf("passed when it was tried again (boot %d); it had failed: %s", len(tries), decides.reason))
	case decides.outcome == failed: // a machine that fails later does not take it back
		out.Status = verdict.CellFail
	case last.outcome == untestable:
		out.Status = verdict.CellSkip
	default:
		out.Status = verdict.CellError
	}
	return out
}

// newCell is a cell of which nothing is known yet.
func newCell(c *Cell) verdict.Cell {
	return verdict.Cell{
		Name: c.Name, Kernel: c.Kernel, Machine: c.Machine, Append: c.Append, Expect: c.Expect, Repeat: c.Repeat,
		Status: verdict.CellNotRun,
	}
}
