package report

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// level is how much a finding matters; the words are GitHub's.
type level string

const (
	levelError   level = "error"
	levelWarning level = "warning"
	levelNotice  level = "notice"
)

// The rules beside the classes of death: what a cell can fail of whose kernel lived.
const (
	ruleCheck      = "check"      // a command that ran in the guest failed
	ruleSubtest    = "subtest"    // a KTAP test in the guest failed
	ruleUnexpected = "unexpected" // the death that the cell must die did not come, or what fits nothing else
)

// finding is one thing that a smoke test has to say about the kernel's source: a death, or a check that failed. The same death in
// several cells is one finding, because a CI shows few of them (GitHub ten of a kind) and a person mends it once.
type finding struct {
	level     level
	rule      string
	signature string
	novelty   string
	at        sourcePlace
	cells     []*verdict.Cell // those with it; at least one
}

// sourcePlace is a line of the kernel's source. File is "" when it is not known or not below the kernel tree.
type sourcePlace struct {
	file     string
	line     int
	function string
}

// findings are those of s, in the order of their first cells.
func findings(s *verdict.Smoke) []finding {
	var all []finding
	for i := range s.Cells {
		c := &s.Cells[i]
		f := finding{rule: ruleOf(c), at: placeOf(c), novelty: c.Novelty, cells: []*verdict.Cell{c}}
		switch {
		case c.Status == verdict.CellFail:
			f.level = levelError
		case c.Status == verdict.CellFlaky, passesNevertheless(c):
			f.level = levelWarning
		default:
			continue
		}
		if c.Result != nil {
			f.signature = Clean(c.Result.Signature, maxName)
		}
		same := slices.IndexFunc(all, func(o finding) bool {
			return o.level == f.level && o.rule == f.rule && o.novelty == f.novelty && o.at == f.at && o.signature == f.signature &&
				(f.signature != "" || o.reason() == f.reason())
		})
		if same >= 0 {
			all[same].cells = append(all[same].cells, c)
			continue
		}
		all = append(all, f)
	}
	return all
}

// passesNevertheless reports whether c passes with a death or a splat that somebody knows of.
func passesNevertheless(c *verdict.Cell) bool {
	return c.Status == verdict.CellPass && c.Expect == "" && (c.Allowed != nil || c.Novelty == "known")
}

// failsRun reports whether c makes the smoke test fail. What is red in a report is what the exit code is red for.
func failsRun(s *verdict.Smoke, c *verdict.Cell) bool {
	switch c.Status {
	case verdict.CellPass, verdict.CellSkip, verdict.CellNotRun:
		return false
	case verdict.CellFlaky:
		return !s.AllowFlaky
	}
	return true
}

// ruleOf is the class of c's death, or what failed although the kernel lived.
func ruleOf(c *verdict.Cell) string {
	r := c.Result
	switch {
	case r == nil:
		return ruleUnexpected
	case r.Verdict != verdict.Good && r.Class.Known() && r.Class != verdict.OK:
		return string(r.Class)
	case c.Expect != "":
		return ruleUnexpected
	case slices.ContainsFunc(r.Checks, func(k verdict.Check) bool { return !k.Passed() }):
		return ruleCheck
	case slices.ContainsFunc(r.Subtests, badSubtest):
		return ruleSubtest
	case len(r.Warnings) > 0:
		return string(verdict.Warn)
	}
	return ruleUnexpected
}

func badSubtest(t verdict.Subtest) bool { return t.Status == "fail" || t.Status == "lost" }

// placeOf is the line at fault; of a splat that was survived, the line that printed it.
func placeOf(c *verdict.Cell) sourcePlace {
	r := c.Result
	switch {
	case r == nil:
		return sourcePlace{}
	case r.Cause != nil:
		at := sourcePlace{Clean(r.Cause.File, 0), r.Cause.Line, Clean(r.Cause.Function, maxName)}
		outside := slices.ContainsFunc(chainOf(r), func(f verdict.Frame) bool { return f.Cause && f.Outside })
		if at.file != r.Cause.File || outside || !inTree(at.file) {
			at.file, at.line = "", 0
		}
		return at
	case r.Verdict == verdict.Good && ruleOf(c) != string(verdict.Warn): // of what ran in the guest there is no line in the kernel
		return sourcePlace{}
	case len(r.Warnings) > 0 && len(r.Warnings[0].Frames) > 0:
		return framePlace(r.Warnings[0].Frames[0])
	}
	return sourcePlace{}
}

func framePlace(f verdict.Frame) sourcePlace {
	at := sourcePlace{Clean(f.File, 0), f.Line, Clean(f.Function, maxName)}
	if f.Outside || at.file != f.File || !inTree(at.file) {
		at.file, at.line = "", 0
	}
	return at
}

// inTree reports whether file is a clean path below the kernel tree. One that is not comes from a broken or hostile vmlinux.
func inTree(file string) bool {
	return file != "" && len(file) <= maxName && filepath.IsLocal(file) && path.Clean(file) == file && file != "."
}

// chainOf is the chain that the death stands in: the one with the frame at fault, of a vCPU or of a task that blocks a hang, else
// the first there is.
func chainOf(r *verdict.Result) []verdict.Frame {
	var chains [][]verdict.Frame
	for _, c := range r.CPUs {
		chains = append(chains, c.Frames)
	}
	for _, t := range r.Tasks {
		chains = append(chains, t.Frames)
	}
	for _, frames := range chains {
		if slices.ContainsFunc(frames, func(f verdict.Frame) bool { return f.Cause }) {
			return frames
		}
	}
	for _, frames := range chains {
		if len(frames) > 0 {
			return frames
		}
	}
	if r.Cause == nil && len(r.Warnings) > 0 {
		return r.Warnings[0].Frames
	}
	return nil
}

// reason says in one line why the first cell is no plain pass.
func (f *finding) reason() string { return reasonOf(f.cells[0]) }

// headline is "early-exception in __SetPageReserved" or "check disk failed", with what makes it less or more than a failure.
func (f *finding) headline() string {
	h, c := f.rule, f.cells[0]
	switch {
	case f.rule == ruleCheck || f.rule == ruleSubtest:
		h = failedName(c.Result)
	case f.at.function != "":
		h += " in " + f.at.function
	}
	switch {
	case c.Status == verdict.CellFlaky:
		h = "flaky: " + h
	case c.Status == verdict.CellPass && c.Allowed != nil:
		h = "allowed: " + h
	case c.Status == verdict.CellPass:
		h = "known: " + h
	case f.novelty == "new":
		h = "new: " + h
	}
	return h
}

// failedName is "check disk failed" of the first thing that failed in a guest whose kernel lived.
func failedName(r *verdict.Result) string {
	for i := range r.Checks {
		if !r.Checks[i].Passed() {
			return "check " + Clean(r.Checks[i].Name, maxName) + " failed"
		}
	}
	for i := range r.Subtests {
		if badSubtest(r.Subtests[i]) {
			return "test " + Clean(r.Subtests[i].Name, maxName) + " failed"
		}
	}
	return "failed"
}

// maxListed is how many cells, frames or names a message shows of each.
const maxListed = 12

// lines are what a message has to say: what happened, where it came from, in which cells, and how to see it again. Of a boot that was
// good the chain says nothing: it is how the guest switched itself off.
func (f *finding) lines() []string { return f.linesWith(guestLines) }

// linesWith is lines with what guest makes of what failed in the guest.
func (f *finding) linesWith(guest func(*verdict.Result) []string) []string {
	c := f.cells[0]
	reason := f.reason()
	lines := []string{reason}
	if r := c.Result; r != nil {
		failed := guest(r)
		if r.Verdict == verdict.Good && saidBy(failed, reason) {
			lines, failed = failed, nil // how each ended is the reason, and what it printed stands below it
		}
		if s := Clean(r.Summary, maxLine); s != "" && !sameWords(s, reason) {
			lines = append(lines, s)
		}
		if r.Verdict != verdict.Good {
			lines = append(lines, chainLines(chainOf(r), maxListed)...)
		}
		lines = append(lines, failed...)
	}
	var names []string
	for _, c := range f.cells {
		names = append(names, Clean(c.Name, maxName))
	}
	lines = append(lines, "in "+listed(names))
	if c.Repeat != "" {
		lines = append(lines, "again: "+Clean(c.Repeat, maxLine))
	}
	return lines
}

// guestLines are what failed of all that ran in the guest, each with the end of what it printed; where the kernel died, without what
// did not come back of that.
func guestLines(r *verdict.Result) []string {
	var lines []string
	for i := range r.Checks {
		if k := &r.Checks[i]; !k.Passed() && (k.Status != nil || r.Verdict == verdict.Good) {
			lines = append(lines, "check "+Clean(k.Name, maxName)+": "+checkSaid(k))
			lines = append(lines, quoted(k.Output)...)
		}
	}
	for i := range r.Subtests {
		if t := &r.Subtests[i]; badSubtest(*t) && (t.Status != "lost" || r.Verdict == verdict.Good) {
			lines = append(lines, strings.TrimSuffix("test "+Clean(t.Name, maxName)+": "+subtestSaid(t)+": "+Clean(t.Reason, maxLine), ": "))
			lines = append(lines, quoted(t.Lines)...)
		}
	}
	if n := len(lines) - maxGuestLines; n > 0 {
		lines = append(lines[:maxGuestLines], fmt.Sprintf("… %d more lines", n))
	}
	return lines
}

// saidBy reports whether lines have all parts of a reason.
func saidBy(lines []string, reason string) bool {
	for part := range strings.SplitSeq(reason, "; ") {
		if !slices.Contains(lines, part) {
			return false
		}
	}
	return true
}

// maxGuestLines is how much of what failed in a guest stands in a message.
const maxGuestLines = 40

// quoted is the end of what a check or a test printed.
func quoted(output []string) []string {
	var lines []string
	for _, l := range output[max(0, len(output)-shownOutput):] {
		lines = append(lines, "| "+Clean(l, maxLine))
	}
	return lines
}

// listed is "a, b, c and 9 more".
func listed(names []string) string {
	if n := len(names) - maxListed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), n)
	}
	return strings.Join(names, ", ")
}
