package tui

import (
	"fmt"
	"slices"

	"kcatch/harness/verdict"
)

// sourceLines is the source around the selected frame's line, numbered, and which line that is.
func (m Model) sourceLines() ([]Line, int) {
	f := m.selected()
	switch {
	case f == nil:
		return []Line{plain("no frame is selected", Dim)}, 0
	case f.File == "":
		why := "no line is known for this frame"
		if f.Reason != "" {
			why += ": " + shown(f.Reason)
		}
		return []Line{plain(why, Dim)}, 0
	}
	src, ok := m.files[f.File]
	if ok && src.err == "" {
		out := slices.Clone(src.lines)
		switch {
		case f.Line > len(out):
			out = append(out, plain(fmt.Sprintf("the file has %d lines, the frame is at %d: it is not the file that was compiled", len(out), f.Line), Warn))
			return out, len(out) - 1
		case f.Line < 1:
			return out, 0
		}
		out[f.Line-1] = here(out[f.Line-1])
		return out, f.Line - 1
	}
	why := "no source"
	if src.err != "" {
		why += ": " + src.err
	}
	out := []Line{plain(why, Dim)}
	if lines := m.excerpt(f); len(lines) > 0 {
		out = append(append(out, plain("what the result itself has of it:", Dim)), lines...)
	}
	return out, 0
}

// excerpt is the lines that a result carries with it, where they are of the frame's place.
func (m Model) excerpt(f *verdict.Frame) []Line {
	c := m.result.Cause
	if c == nil || c.SourceFile != f.File || !slices.ContainsFunc(c.Source, func(l verdict.SourceLine) bool { return l.Line == f.Line }) {
		return nil
	}
	var out []Line
	for _, l := range c.Source {
		line := numbered(l.Line, l.Text)
		if l.Line == f.Line {
			line = here(line)
		}
		out = append(out, line)
	}
	return out
}

// numbered is a line of source with its number, as gdb's TUI has it.
func numbered(n int, text string) Line {
	return Line{{fmt.Sprintf("  %5d  ", n), Dim}, {sourceText(text), Plain}}
}

// here is a numbered line as that of the frame: ">" before it.
func here(l Line) Line {
	l = l.with(Selected)
	l[0].Text = ">" + l[0].Text[1:]
	return l
}
