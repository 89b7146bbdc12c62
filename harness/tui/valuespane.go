package tui

import (
	"fmt"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
)

// valueLines is the selected frame's arguments and locals; at the cause, what its condition read comes first.
func (m Model) valueLines() []Line {
	f := m.selected()
	if f == nil {
		return []Line{plain("no frame is selected", Dim)}
	}
	var out []Line
	if f.Cause && m.result.Cause != nil {
		out = append(out, causeLines(m.result.Cause)...)
	}
	none := true
	for _, local := range []bool{false, true} {
		for _, v := range f.Args {
			if v.Local != local {
				continue
			}
			none = false
			l := Line{{shown(report.Declaration(v)), Strong}, {" = " + shown(v.Value), Plain}}
			if local {
				l[0].Look = Plain
			}
			if report.Unknown(v) {
				l = l.with(Dim)
			}
			out = append(out, l)
		}
	}
	if none {
		out = append(out, plain("no arguments or locals are known here", Dim))
	}
	return append(out, plain(fmt.Sprintf("pc %s, found by %s", f.PC, shown(f.FoundBy)), Dim))
}

// causeLines is what is known of the death beyond its frame.
func causeLines(c *verdict.Cause) []Line {
	var out []Line
	if c.Instruction != "" || c.Access != "" {
		out = append(out, Line{{shown(c.Instruction), Strong}, {"  " + shown(c.Access), Plain}})
	}
	if c.Bug != nil {
		out = append(out, plain(shown(c.Bug.Text), Bad))
	}
	if a := c.Assertion; a != nil {
		out = append(out, plain(shown(a.Text), Strong))
		for _, v := range a.Values {
			l := Line{{"  " + shown(v.Expression) + " = " + shown(v.Value), Plain}}
			if v.ByLog {
				l = append(l, Span{"  (by the kernel's own dump in the log)", Dim})
			}
			out = append(out, l)
		}
	}
	if c.Page != nil {
		out = append(out, plain(shown(c.Page.Text), Plain))
	}
	return out
}
