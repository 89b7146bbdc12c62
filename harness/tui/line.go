package tui

import "strings"

// Look is how a piece of text stands out. What is meant by a look stands in the text, too: a terminal may have no colours.
type Look uint8

// The looks. Plain is the zero value.
const (
	Plain Look = iota
	Dim
	Strong
	Title    // of a window
	Focused  // the title of the window that has the keys
	Selected // the frame, the line of source, the thread
	Bad
	Good
	Warn
	Found // by a search
)

// Span is text of one look. Each character of Text is one column wide.
type Span struct {
	Text string
	Look Look
}

// Line is a line of the terminal, from its left edge.
type Line []Span

// String is the line without its looks.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.Text)
	}
	return b.String()
}

// columns is how wide the line is.
func (l Line) columns() int {
	n := 0
	for _, s := range l {
		n += columns(s.Text)
	}
	return n
}

// window is the part of the line that begins at column from and is at most width columns wide. Where something is cut off, the
// character at that edge is an ellipsis.
func (l Line) window(from, width int) Line {
	if width <= 0 {
		return nil
	}
	total := l.columns()
	if from >= total {
		if from > 0 && total > 0 {
			return Line{{"…", Dim}}
		}
		return nil
	}
	var out Line
	at := 0
	for _, s := range l {
		r := []rune(s.Text)
		begin, end := max(0, from-at), min(len(r), from+width-at)
		if begin < end {
			out = append(out, Span{string(r[begin:end]), s.Look})
		}
		at += len(r)
	}
	if from > 0 {
		out = out.replace(0)
	}
	if from+width < total {
		out = out.replace(width - 1)
	}
	return out
}

// replace puts an ellipsis at a column.
func (l Line) replace(column int) Line {
	at := 0
	for i, s := range l {
		r := []rune(s.Text)
		if column < at+len(r) {
			r[column-at] = '…'
			l[i].Text = string(r)
			return l
		}
		at += len(r)
	}
	return l
}

// padded is the line, filled with spaces of a look up to width.
func (l Line) padded(width int, look Look) Line {
	if n := width - l.columns(); n > 0 {
		return append(l[:len(l):len(l)], Span{strings.Repeat(" ", n), look})
	}
	return l
}

// with is the line in one look.
func (l Line) with(look Look) Line {
	out := make(Line, len(l))
	for i, s := range l {
		out[i] = Span{s.Text, look}
	}
	return out
}

// plain is a line of one look.
func plain(text string, look Look) Line { return Line{{text, look}} }
