package report

import (
	"fmt"
	"strings"

	"kcatch/harness/verdict"
)

// What a report inside another format (JUnit, KTAP, Markdown, SARIF) shows of one string, in characters, and of one cell, in
// bytes. A kernel that prints megabytes must not make a report that a CI refuses: GitLab takes 30 MB of JUnit, GitHub 1 MiB of
// a step's summary. The JSON has all of it.
const (
	maxName    = 200
	maxLine    = 500
	maxExcerpt = 64 << 10
)

// excerpt is the text report of r as clean lines, at most limit bytes of it. The lines are cleaned once more, so that nothing
// that goes into another format rests on the text report alone.
func excerpt(r *verdict.Result, limit int) []string {
	if r == nil {
		return nil
	}
	var b strings.Builder
	if err := Text(&b, r, Style{}); err != nil { // cannot happen: a strings.Builder takes everything
		return []string{Clean(err.Error(), maxLine)}
	}
	return bounded(strings.Split(strings.TrimRight(b.String(), "\n"), "\n"), limit)
}

// bounded cleans lines and keeps the first limit bytes of them, with a last line that says what is left out.
func bounded(lines []string, limit int) []string {
	var out []string
	size := 0
	for i, l := range lines {
		l = Clean(l, maxLine)
		size += len(l) + 1
		if size > limit {
			return append(out, fmt.Sprintf("… (%d more lines, in the JSON and in the artifacts)", len(lines)-i))
		}
		out = append(out, l)
	}
	return out
}

// reasonOf says in one line why c is no plain pass, or why it is one nevertheless.
func reasonOf(c *verdict.Cell) string {
	switch {
	case c.Reason != "":
		return Clean(c.Reason, maxLine)
	case c.Status == verdict.CellPass && (c.Result == nil || c.Result.Verdict == verdict.Good):
		return ""
	case c.Result != nil && c.Result.Error != nil && c.Result.Error.Message != "":
		return Clean(c.Result.Error.Message, maxLine)
	case c.Result != nil && c.Result.Summary != "":
		return Clean(c.Result.Summary, maxLine)
	case c.Status == verdict.CellNotRun:
		return "not run"
	}
	return "nothing is known of it"
}

// chainLines are the first frames, a line each: "#3 f  mm/page_alloc.c:6958 (inlined)".
func chainLines(frames []verdict.Frame, limit int) []string {
	var out []string
	for i, f := range frames {
		if i == limit {
			out = append(out, fmt.Sprintf("… %d more frames", len(frames)-i))
			break
		}
		l := fmt.Sprintf("#%d %s  %s", i, label(f), where(f))
		if f.Inline {
			l += " (inlined)"
		}
		if f.Exception != nil {
			l += " <- " + Clean(f.Exception.Name, maxName)
		}
		if f.Cause {
			l += "  ◀ here"
		}
		out = append(out, strings.TrimSpace(l))
	}
	return out
}

// checkSaid says how a check that failed ended: "exit status 3", "stopped after 1m0s".
func checkSaid(k *verdict.Check) string { return Clean(k.Ended(), maxLine) }
