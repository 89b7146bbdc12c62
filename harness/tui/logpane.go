package tui

import (
	"fmt"
	"strings"

	"kcatch/harness/verdict"
)

// logLines is the kernel's log, or where there is none the console's end, and the line to be seen at first: the last of what the boot
// is bad for.
func logLines(r *verdict.Result) (lines []Line, at int) {
	at = -1
	for _, l := range r.Log {
		if r.LogAt != nil && l.Seq > *r.LogAt && at < 0 {
			at = len(lines) - 1
		}
		stamp := fmt.Sprintf("[%9.6f] ", l.Time)
		for i, s := range strings.Split(strings.TrimRight(l.Text, "\r\n"), "\n") {
			if i > 0 {
				stamp = strings.Repeat(" ", columns(stamp))
			}
			line := Line{{stamp, Dim}, {shown(strings.TrimRight(s, "\r")), lookOf(l.Level)}}
			if l.Open && i == 0 {
				line = append(line, Span{"  (on no console: the record is still open)", Dim})
			}
			lines = append(lines, line)
		}
	}
	if len(r.Log) == 0 {
		for _, s := range r.Console {
			lines = append(lines, plain(shown(s), Plain))
		}
		if len(lines) == 0 {
			lines = []Line{plain("no log", Dim)}
		}
	}
	if at < 0 {
		at = len(lines) - 1
	}
	return lines, at
}

// lookOf is how a record of a level stands out: emergencies to errors, warnings. Source: include/linux/kern_levels.h.
func lookOf(level int) Look {
	switch {
	case level <= 3:
		return Bad
	case level == 4:
		return Warn
	}
	return Plain
}

// warningLines is what the kernel survived, and the notes on the report itself.
func (m Model) warningLines() []Line {
	var out []Line
	for i, w := range m.result.Warnings {
		out = append(out, Line{{fmt.Sprintf("%3d  ", i+1), Dim}, {shown(w.Summary), Warn}})
	}
	if len(out) == 0 {
		out = append(out, plain("the kernel survived no warning", Dim))
	}
	for _, n := range m.result.Notes {
		out = append(out, Line{{"note: ", Dim}, {shown(n), Plain}})
	}
	return out
}
