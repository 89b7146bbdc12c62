package report

import (
	"io"

	"kcatch/harness/verdict"
)

// Held writes a machine that stands for somebody to look at: a death as [Text] does, and a stop that is none with the chains, which a
// good boot's report has no use for.
func Held(w io.Writer, r *verdict.Result, style Style) error {
	if r.Verdict != verdict.Good {
		return Text(w, r, style)
	}
	t := &text{style: style}
	t.line("%s  %s", style.strong("STOP"), Clean(r.Summary, 0))
	for _, more := range r.Details {
		t.line("     %s", Clean(more, 0))
	}
	stopped := *r
	stopped.Verdict = verdict.Skip // whose chains are shown
	t.chains(&stopped)
	t.warnings(r)
	t.log(r)
	t.notes(r)
	_, err := io.WriteString(w, t.b.String())
	return err
}
