package tui

import "slices"

// rect is a part of the terminal, in columns and lines. The first line is the title of the window.
type rect struct{ x, y, w, h int }

// area is a window and the panes that it can show, one at a time.
type area struct {
	rect
	panes []pane
}

// Bounds of the layouts, in columns and lines: below the first nothing fits, below the second there is one window, from the third on
// all stands side by side.
const (
	leastWidth, leastHeight = 20, 5
	fewWidth, fewHeight     = 60, 16
	wideWidth, wideHeight   = 120, 30
)

// around is the lines that are no window's: the headline and the threads above, the keys below.
const around = 3

// layout is the windows of a terminal; none when it is too small. They fill it but for the headline, the threads and the keys, and
// between those side by side a column is left for a rule.
func layout(width, height int, zoomed bool) []area {
	h := height - around
	switch {
	case width < leastWidth || height < leastHeight:
		return nil
	case zoomed || width < fewWidth || height < fewHeight:
		return []area{{rect{0, 2, width, h}, []pane{paneFrames, paneSource, paneValues, paneRegisters, paneLog, paneWarnings, paneReport}}}
	case width < wideWidth || height < wideHeight:
		source, frames := h*3/8, h*3/8
		return []area{
			{rect{0, 2, width, source}, []pane{paneSource}},
			{rect{0, 2 + source, width, frames}, []pane{paneFrames}},
			{rect{0, 2 + source + frames, width, h - source - frames}, []pane{paneValues, paneRegisters, paneLog, paneWarnings, paneReport}},
		}
	}
	left := width * 11 / 20
	right := width - left - 1
	source := h * 5 / 8
	registers := 1 + registerRows(right)
	values := (h - registers) * 2 / 5
	return []area{
		{rect{0, 2, left, source}, []pane{paneSource}},
		{rect{0, 2 + source, left, h - source}, []pane{paneFrames}},
		{rect{left + 1, 2, right, values}, []pane{paneValues}},
		{rect{left + 1, 2 + values, right, registers}, []pane{paneRegisters}},
		{rect{left + 1, 2 + values + registers, right, h - values - registers}, []pane{paneLog, paneWarnings, paneReport}},
	}
}

// areas is the layout of the model's terminal.
func (m Model) areas() []area { return layout(m.width, m.height, m.zoomed) }

// front is the pane that an area shows: the one of its panes that had the keys last.
func (m Model) front(a area) pane {
	best := a.panes[0]
	for _, p := range a.panes {
		if m.used[p] > m.used[best] {
			best = p
		}
	}
	return best
}

// areaOf is the window that shows a pane.
func (m Model) areaOf(p pane) (area, bool) {
	for _, a := range m.areas() {
		if slices.Contains(a.panes, p) {
			return a, true
		}
	}
	return area{}, false
}
