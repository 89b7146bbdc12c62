package tui

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// View is what the terminal shows: as many lines as it has, none wider than it is.
func (m Model) View() []Line {
	if m.width < leastWidth || m.height < leastHeight {
		return m.tooSmall()
	}
	out := make([]Line, 2, m.height)
	out[0] = m.headline().window(0, m.width).padded(m.width, m.verdictLook())
	out[1] = m.threads().window(0, m.width)
	if m.help {
		for i, l := range helpLines() {
			if i < m.height-around {
				out = append(out, l.window(0, m.width))
			}
		}
		for len(out) < m.height-1 {
			out = append(out, nil)
		}
		return append(out, m.status().window(0, m.width))
	}
	body := make([]Line, m.height-around)
	for _, a := range m.areas() { // an area of the right side comes after the one that it stands beside
		for i, l := range m.windowLines(a) {
			row := a.y - 2 + i
			if a.x > 0 {
				l = append(Line{{"│", Dim}}, l...)
				body[row] = body[row].padded(a.x-1, Plain)
			}
			body[row] = append(body[row], l...)
		}
	}
	out = append(out, body...)
	return append(out, m.status().window(0, m.width))
}

// tooSmall says so, in whatever room there is.
func (m Model) tooSmall() []Line {
	out := make([]Line, m.height)
	for i, s := range []string{"too small", fmt.Sprintf("%dx%d needed", leastWidth, leastHeight), "q leaves"} {
		if i < m.height {
			out[i] = plain(s, Plain).window(0, m.width)
		}
	}
	return out
}

// windowLines is a window: its title, and the part of its pane that is to be seen. It has exactly the area's lines.
func (m Model) windowLines(a area) []Line {
	p := m.front(a)
	lines, at := m.content(p, a.w)
	top := m.topOf(p, len(lines), at, a.h-1)
	out := []Line{m.title(a, p, top, len(lines))}
	for i := top; len(out) < a.h; i++ {
		var l Line
		if i < len(lines) {
			l = lines[i]
			if p == m.focus && i == m.found {
				l = l.with(Found)
			}
			l = l.window(m.left[p], a.w)
			if n := len(l); n > 0 && l[n-1].Look == Selected {
				l = l.padded(a.w, Selected)
			}
		}
		out = append(out, l)
	}
	return out
}

// title is the rule above a window: double where the keys are, the names of its panes with the one in front in brackets, and how much
// of it is above and below.
func (m Model) title(a area, p pane, top, total int) Line {
	rule, look := "─", Title
	if p == m.focus {
		rule, look = "═", Focused
	}
	names := make([]string, len(a.panes))
	for i, q := range a.panes {
		if names[i] = q.String(); q == p && len(a.panes) > 1 {
			names[i] = "[" + names[i] + "]"
		}
	}
	text := strings.Repeat(rule, 2) + " " + strings.Join(names, " ") + " "
	if f := m.selected(); p == paneSource && f != nil && f.File != "" {
		text += shown(f.File) + " "
	}
	end := ""
	if shownLines := a.h - 1; total > shownLines {
		end = fmt.Sprintf(" %d-%d/%d ", top+1, min(total, top+shownLines), total) + rule
	}
	if room := a.w - columns(end); room < columns(text) {
		text = plain(text, look).window(0, max(0, room)).String()
	}
	text += strings.Repeat(rule, max(0, a.w-columns(text)-columns(end))) + end
	return plain(text, look).window(0, a.w)
}

// headline is the verdict in one line.
func (m Model) headline() Line {
	r := m.result
	text := " " + strings.ToUpper(shown(string(r.Verdict)))
	if r.Verdict == verdict.Bad {
		text += "  " + shown(string(r.Class))
	}
	summary := shown(r.Summary)
	if _, rest, ok := strings.Cut(summary, ": "); ok && r.Verdict == verdict.Bad {
		summary = rest
	}
	return plain(text+"  "+summary, m.verdictLook())
}

func (m Model) verdictLook() Look {
	switch m.result.Verdict {
	case verdict.Good:
		return Good
	case verdict.Bad:
		return Bad
	}
	return Warn
}

// threads is the bar of the chains; where not all have room, those around the selected one.
func (m Model) threads() Line {
	var all Line
	begin, end := 0, 0
	for i, c := range m.chains {
		text, look := " "+c.name+" ", Plain
		if c.cause {
			text = " " + c.name + "* "
		}
		if i == m.chain {
			text, look = "["+text[1:len(text)-1]+"]", Selected
			begin = all.columns()
			end = begin + columns(text)
		}
		all = append(all, Span{text, look})
	}
	from := 0
	if end > m.width {
		from = min(begin, end-m.width+1)
	}
	return slices.Clone(all).window(from, m.width)
}

// status is the last line: what is typed, what there is to say, or the keys.
func (m Model) status() Line {
	switch {
	case m.asking:
		return Line{{"search in " + m.focus.String() + ": " + m.asked, Strong}, {"_", Strong}}
	case m.prefixed:
		return plain("ctrl-x: o next window, 1 one window, 2 all, a leave", Strong)
	case m.said != "":
		return plain(m.said, Strong)
	}
	return plain("u up  d down  [ ] thread  tab window  / search  z zoom  ? keys  q leave", Dim)
}
