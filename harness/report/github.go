package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// maxAnnotations is how many annotations of a kind GitHub shows of one step; the rest stay in the log.
const maxAnnotations = 10

// GitHub writes s as workflow commands of GitHub Actions, a line each: what fails as an error at the line at fault, relative to the
// kernel tree; what is flaky, allowed or known as a warning; what could not be tested as a notice. The same death in several cells
// is one annotation. Of more than ten of a kind the tenth says what is left out.
//
// Source: actions/toolkit, packages/core/src/command.ts (the escaping); actions/runner, ActionCommand.cs (how it is read).
func GitHub(w io.Writer, s *verdict.Smoke) error {
	var b strings.Builder
	kinds := map[level][]annotation{}
	for _, a := range annotations(s) {
		kinds[a.level] = append(kinds[a.level], a)
	}
	for _, l := range []level{levelError, levelWarning, levelNotice} {
		all := kinds[l]
		if n := len(all) - maxAnnotations + 1; n > 1 {
			rest := annotation{level: l, title: fmt.Sprintf("%d more", n), lines: []string{"GitHub shows ten annotations of a kind; all are in the step's log of kcatch and in its reports:"}}
			var titles []string
			for _, a := range all[maxAnnotations-1:] {
				titles = append(titles, a.title)
			}
			rest.lines = append(rest.lines, listed(titles))
			all = append(all[:maxAnnotations-1:maxAnnotations-1], rest)
		}
		for _, a := range all {
			a.write(&b)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// annotation is one workflow command. Its strings are clean.
type annotation struct {
	level level
	at    sourcePlace
	title string
	lines []string
}

func annotations(s *verdict.Smoke) []annotation {
	var all []annotation
	add := func(l level, title string, lines ...string) {
		all = append(all, annotation{level: l, title: Clean(title, maxName), lines: bounded(lines, maxExcerpt)})
	}
	if s.Error != nil {
		add(levelError, "kcatch could not end the smoke test", s.Error.Message, s.Error.Hint)
	}
	for _, f := range findings(s) {
		all = append(all, annotation{level: f.level, at: f.at, title: f.headline(), lines: f.lines()})
	}
	for i := range s.Expired {
		add(levelError, "allow list: "+s.Expired[i].Signature, expiredSaid(&s.Expired[i]))
	}
	var left []string
	for i := range s.Cells {
		switch c := &s.Cells[i]; c.Status {
		case verdict.CellPass, verdict.CellFail, verdict.CellFlaky:
		case verdict.CellSkip:
			add(levelNotice, "cannot be tested: "+c.Name, reasonOf(c))
		case verdict.CellNotRun:
			left = append(left, Clean(c.Name, maxName))
		default:
			add(levelError, "this machine failed: "+c.Name, reasonOf(c))
		}
	}
	if len(left) > 0 {
		add(levelNotice, fmt.Sprintf("%d not run", len(left)), listed(left))
	}
	return all
}

func (a *annotation) write(b *strings.Builder) {
	fmt.Fprintf(b, "::%s ", a.level)
	if a.at.file != "" {
		fmt.Fprintf(b, "file=%s,", escapeProperty(a.at.file))
		if a.at.line > 0 {
			fmt.Fprintf(b, "line=%d,", a.at.line)
		}
	}
	var lines []string
	for _, l := range a.lines {
		if l != "" {
			lines = append(lines, l)
		}
	}
	fmt.Fprintf(b, "title=%s::%s\n", escapeProperty(a.title), escapeData(strings.Join(lines, "\n")))
}

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// escapeData is s as the message of a workflow command.
func escapeData(s string) string { return commandData.Replace(s) }

// escapeProperty is s as the value of a property of one.
func escapeProperty(s string) string { return commandProperty.Replace(s) }
