package tui

// pane is what a window can show.
type pane uint8

// The panes, in the order in which Tab goes through them.
const (
	paneSource pane = iota
	paneFrames
	paneValues
	paneRegisters
	paneLog
	paneWarnings
	paneReport
	panes // how many there are
)

var paneNames = [panes]string{"source", "frames", "values", "registers", "log", "warnings", "report"}

func (p pane) String() string { return paneNames[p] }

// content is all lines of a pane, and the line that is to be seen. Only what is laid out in columns looks at width.
func (m Model) content(p pane, width int) (lines []Line, at int) {
	switch p {
	case paneSource:
		return m.sourceLines()
	case paneFrames:
		return m.frameLines()
	case paneValues:
		return m.valueLines(), 0
	case paneRegisters:
		return m.registerLines(width), 0
	case paneLog:
		return m.log, m.logAt
	case paneWarnings:
		return m.warningLines(), 0
	}
	return m.report, 0
}

// centred reports whether the line to be seen belongs in the middle of the window, with what is around it. Of a log it is the last
// one to be seen.
func (p pane) centred() bool { return p == paneSource || p == paneFrames }
