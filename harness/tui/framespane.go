package tui

import (
	"fmt"
	"strings"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
)

// frameLines is the chain, innermost first, with a rule where an exception interrupted it, and the line of the selected frame.
func (m Model) frameLines() (lines []Line, at int) {
	c := m.chains[m.chain]
	if c.about != "" {
		lines = append(lines, plain(c.about, Dim))
	}
	name := 0
	for _, f := range c.frames {
		name = max(name, columns(shown(report.FrameName(f))))
	}
	name = min(name, 36)
	number := 0
	for i, f := range c.frames {
		if e := f.Exception; e != nil {
			lines = append(lines, plain("── "+exceptionText(e)+" ──", Warn))
		}
		if i == m.frame {
			at = len(lines)
		}
		lines = append(lines, frameLine(f, number, name, i == m.frame))
		number++
		if r := f.Repeat; r != nil {
			number += r.LeftOut
			lines = append(lines, plain(fmt.Sprintf("  ...  %s: %d times in all; %d frames are left out", shown(strings.Join(r.Functions, " < ")), r.Times, r.LeftOut), Dim))
		}
	}
	if c.stopped != "" {
		lines = append(lines, plain("       ("+c.stopped+")", Dim))
	}
	if len(c.frames) == 0 {
		lines = append(lines, plain("no frames", Dim))
	}
	return lines, at
}

func exceptionText(e *verdict.Exception) string {
	text := "exception " + shown(e.Name)
	if e.Vector >= 0 {
		text += fmt.Sprintf(" (%d)", e.Vector)
	}
	if e.Text != "" {
		text += fmt.Sprintf("  %s, cr2 %s", shown(e.Text), e.CR2)
	}
	if e.Guessed {
		text += "  (vector deduced from the instruction)"
	}
	return text
}

// frameLine is a frame: its number as gdb counts them, a star at the cause, its function, its place, and how sure that is.
func frameLine(f verdict.Frame, number, name int, selected bool) Line {
	var notes []string
	if f.Inline {
		notes = append(notes, "inlined")
	}
	switch f.FoundBy {
	case "scan":
		notes = append(notes, "guess")
	case "frame-pointer":
		notes = append(notes, "by frame pointer")
	}
	if f.Reason != "" {
		notes = append(notes, shown(f.Reason))
	}
	mark := " "
	if selected {
		mark = ">"
	}
	cause := " "
	if f.Cause {
		cause = "*"
	}
	l := Line{{fmt.Sprintf("%s #%-3d%s", mark, number, cause), Dim}, {pad(shown(report.FrameName(f)), name), Plain},
		{"  " + shown(report.FramePlace(f)), Plain}, {"  " + strings.Join(notes, ", "), Dim}}
	if f.Cause {
		l[0].Look, l[1].Look = Bad, Strong
	}
	if selected {
		return l.with(Selected)
	}
	return l
}
