package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
)

// Model is a view: a result, what is selected in it, and the size of the terminal. It is a value; each method gives the next one. The
// zero value is not usable, see [New].
type Model struct {
	result *verdict.Result
	chains []chain
	log    []Line
	logAt  int // the last line of the report that the boot is bad for; else of the log
	report []Line
	files  map[string]file // by their names in frames

	width, height int
	chain, frame  int // that are selected

	focus  pane
	used   [panes]int  // when a pane had the keys last: a larger number is later
	top    [panes]int  // the first line that is shown, where moved
	left   [panes]int  // the first column
	moved  [panes]bool // scrolled by hand: what is to be seen has no say
	zoomed bool

	asking   bool   // for what to search
	asked    string // what was typed so far
	search   string
	found    int // the line in focus, -1 for none
	said     string
	help     bool
	prefixed bool // ctrl-x was pressed
	over     bool

	machine bool // one stands behind the result
	gdb     bool // it was asked for
}

// New is the view of a result, which it keeps and does not change. It begins at the frame of the cause.
func New(r *verdict.Result) Model {
	m := Model{result: r, chains: chains(r), files: map[string]file{}, found: -1, width: 80, height: 24, focus: paneFrames}
	m.log, m.logAt = logLines(r)
	m.report = reportLines(r)
	m.chain, m.frame = first(m.chains)
	m.used[m.focus] = 1
	return m
}

// Resize is the model on a terminal of another size, in columns and lines.
func (m Model) Resize(width, height int) Model {
	m.width, m.height = max(0, width), max(0, height)
	return m
}

// Over reports whether the view was left.
func (m Model) Over() bool { return m.over }

// WithMachine is the model of a machine that stands, or of none.
func (m Model) WithMachine(stands bool) Model { m.machine = stands; return m }

// WantsGdb reports whether gdb was asked for. [Model.GdbLeft] is the model after it.
func (m Model) WantsGdb() bool { return m.gdb }

// GdbLeft is the model after gdb was left with an error or nil, and the machine stands still or does not.
func (m Model) GdbLeft(stands bool, err error) Model {
	m.gdb, m.machine = false, stands
	switch {
	case err != nil:
		m.said = shown(err.Error())
	case stands:
		m.said = "back from gdb; this is the machine as it was at the stop"
	default:
		m.said = "the machine has ended; this is how it was at the stop"
	}
	return m
}

func (m Model) askGdb() Model {
	if m.gdb = m.machine; !m.gdb {
		m.said = "no machine stands behind this"
	}
	return m
}

func (m Model) leave() Model { m.over = true; return m }

// selected is the frame that is selected; nil in a chain without frames.
func (m Model) selected() *verdict.Frame {
	if frames := m.chains[m.chain].frames; m.frame >= 0 && m.frame < len(frames) {
		return &frames[m.frame]
	}
	return nil
}

// pick selects a frame of the chain, counted from the innermost. One that is not there says so, as gdb does.
func (m Model) pick(n int) Model {
	switch last := len(m.chains[m.chain].frames) - 1; {
	case last < 0:
		m.said = "no frames here"
		return m
	case n < 0:
		m.said = "bottom (innermost) frame selected; you cannot go down"
		return m
	case n > last:
		m.said = "initial frame selected; you cannot go up"
		return m
	}
	m.frame = n
	return m.settle()
}

// settle has the panes show what belongs to the frame that was selected just now.
func (m Model) settle() Model {
	for _, p := range []pane{paneSource, paneFrames, paneValues} {
		m.top[p], m.left[p], m.moved[p] = 0, 0, false
	}
	m.found = -1
	return m
}

// thread selects another chain, around at the ends.
func (m Model) thread(step int) Model {
	m.chain = (m.chain + step + len(m.chains)) % len(m.chains)
	c := m.chains[m.chain]
	m.frame = 0
	if c.cause {
		m.frame = slices.IndexFunc(c.frames, isCause)
	}
	m.said = c.name
	if c.about != "" {
		m.said += ": " + c.about
	}
	return m.settle()
}

func (m Model) toCause() Model {
	i, frame := first(m.chains)
	if !m.chains[i].cause {
		m.said = "no frame is the cause"
		return m
	}
	m.chain, m.frame = i, frame
	return m.settle()
}

// show gives a pane the keys, and brings it to the front.
func (m Model) show(p pane) Model {
	m.focus, m.found = p, -1
	m.used[p] = slices.Max(m.used[:]) + 1
	return m
}

func (m Model) next(step int) Model {
	return m.show(pane((int(m.focus) + step + int(panes)) % int(panes)))
}

// view is the window of the pane in focus: its lines, the first that is shown, and how many are.
func (m Model) view() (lines []Line, top, height int) {
	a, ok := m.areaOf(m.focus)
	if !ok {
		return nil, 0, 0
	}
	lines, at := m.content(m.focus, a.w)
	return lines, m.topOf(m.focus, len(lines), at, a.h-1), a.h - 1
}

// topOf is the first line of a pane that is shown in height lines.
func (m Model) topOf(p pane, total, at, height int) int {
	top := at - height + 1 // the last line to be seen, for a log
	switch {
	case m.moved[p]:
		top = m.top[p]
	case p.centred():
		top = at - height/2
	}
	return max(0, min(top, total-height))
}

func (m Model) scrollTo(top int) Model {
	lines, _, height := m.view()
	m.top[m.focus], m.moved[m.focus] = max(0, min(top, len(lines)-height)), true
	return m
}

// line goes a line up or down: in the frames it selects.
func (m Model) line(step int) Model {
	if m.focus == paneFrames {
		return m.pick(m.frame + step)
	}
	_, top, _ := m.view()
	return m.scrollTo(top + step)
}

func (m Model) page(step int) Model {
	_, top, height := m.view()
	return m.scrollTo(top + step*max(1, height-1))
}

// sidestep is how many columns an arrow moves a window.
const sidestep = 8

func (m Model) sideways(step int) Model {
	lines, _, _ := m.view()
	widest := 0
	for _, l := range lines {
		widest = max(widest, l.columns())
	}
	m.left[m.focus] = max(0, min(m.left[m.focus]+step, widest-1))
	return m
}

func (m Model) ask() Model { m.asking, m.asked = true, ""; return m }

// maxAsked is how much can be typed, in characters.
const maxAsked = 100

// typed is a key of what to search for.
func (m Model) typed(key Key) Model {
	switch r := []rune(key); {
	case key == "enter":
		m.asking = false
		if m.asked != "" {
			m.search = m.asked
		}
		return m.find(1)
	case key == "esc", key == "ctrl-c", key == "ctrl-g", key == "backspace" && m.asked == "":
		m.asking = false
	case key == "backspace":
		a := []rune(m.asked)
		m.asked = string(a[:len(a)-1])
	case len(r) == 1 && columns(m.asked) < maxAsked:
		m.asked += shown(string(key))
	}
	return m
}

// find goes to the next line of the window with what is searched for, or the one before, around at the ends; capitals or not.
func (m Model) find(step int) Model {
	if m.search == "" {
		m.said = "nothing to search for: / asks"
		return m
	}
	lines, top, height := m.view()
	at := m.found
	if at < 0 { // from what is on the screen
		at = top - 1
		if step < 0 {
			at = top + height
		}
	}
	want := strings.ToLower(m.search)
	for i := 1; i <= len(lines); i++ {
		n := ((at+i*step)%len(lines) + len(lines)) % len(lines)
		if strings.Contains(strings.ToLower(lines[n].String()), want) {
			m.found = n
			m.said = fmt.Sprintf("line %d of %d", n+1, len(lines))
			return m.scrollTo(n - height/2)
		}
	}
	m.said = "not in " + m.focus.String() + ": " + m.search
	return m
}

// file is a source file, or why there is none.
type file struct {
	lines []Line // numbered
	err   string
}

// Needs is the source file that the view lacks: the name that a frame has. It is empty when there is none. Give it to [Model.Read].
func (m Model) Needs() string {
	f := m.selected()
	if f == nil || f.File == "" {
		return ""
	}
	if _, ok := m.files[f.File]; ok {
		return ""
	}
	return f.File
}

// maxFile is how much of a source file is read, in bytes: five times the largest of Linux's that holds code.
const maxFile = 4 << 20

// Read is the model with the text of a source file, or with why there is none.
func (m Model) Read(name string, text []byte, err error) Model {
	f := file{}
	switch {
	case err != nil:
		f.err = shown(err.Error())
	case len(text) > maxFile:
		f.err = fmt.Sprintf("%d bytes: too large for a source file", len(text))
	default:
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		f.lines = make([]Line, len(lines))
		for i, l := range lines {
			f.lines[i] = numbered(i+1, l)
		}
	}
	m.files = maps.Clone(m.files)
	m.files[name] = f
	return m
}

// reportLines is the text report, which is clean already; what of it is not one column wide is.
func reportLines(r *verdict.Result) []Line {
	var b strings.Builder
	_ = report.Text(&b, r, report.Style{}) // a Builder takes all
	var out []Line
	for _, l := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		out = append(out, plain(shown(l), Plain))
	}
	return out
}
