package report

import (
	"fmt"
	"strings"

	"kcatch/harness/verdict"
)

// matrix is where the cells of a smoke test stand: a row for each kernel with a command line, a column for each machine, both in
// the order of the cells.
//
//	               q35-smp1   q35-smp2   microvm
//	stable         pass 0.4s  FAIL 1.2s  pass 0.3s
//	stable/quiet   pass 0.4s  pass 0.5s
type matrix struct {
	rows, columns []string
	cells         map[[2]int]int // row and column to the cell's index; a place that is not there was left out of the profile
}

// placed is what a cell is called: kernel, machine, command line.
type placed struct{ kernel, machine, append string }

func (p placed) row() string {
	if p.append == "" {
		return p.kernel
	}
	return p.kernel + "/" + p.append
}

// matrixOf places cells. It is false where two of them would stand in one place, or one has no name for its place: of a result that is
// not ours.
func matrixOf(cells []placed) (matrix, bool) {
	m := matrix{cells: map[[2]int]int{}}
	rows, columns := map[string]int{}, map[string]int{}
	place := func(name string, names *[]string, at map[string]int) int {
		if _, ok := at[name]; !ok {
			at[name] = len(*names)
			*names = append(*names, name)
		}
		return at[name]
	}
	for i, c := range cells {
		if c.kernel == "" || c.machine == "" {
			return matrix{}, false
		}
		at := [2]int{place(c.row(), &m.rows, rows), place(c.machine, &m.columns, columns)}
		if _, taken := m.cells[at]; taken {
			return matrix{}, false
		}
		m.cells[at] = i
	}
	return m, len(cells) > 0
}

// lines draws the matrix, at most width columns wide where the names allow it: columns that do not fit beside the others stand in a block of
// their own below. cell gives the text of a cell, no wider than least columns, and paint its look.
func (m matrix) lines(style Style, width, least int, cell func(i int) string, paint func(i int, text string) string) []string {
	label := 0
	for _, r := range m.rows {
		label = max(label, len([]rune(Clean(r, 0))))
	}
	wide := make([]int, len(m.columns))
	for j, c := range m.columns {
		wide[j] = max(least, len([]rune(Clean(c, 0))))
	}
	var out []string
	for from := 0; from < len(m.columns); {
		to, used := from, label
		for to < len(m.columns) && (to == from || used+2+wide[to] <= width) {
			used += 2 + wide[to]
			to++
		}
		head := strings.Repeat(" ", label)
		for j := from; j < to; j++ {
			head += "  " + pad(Clean(m.columns[j], 0), wide[j])
		}
		out = append(out, style.dim(strings.TrimRight(head, " ")))
		for i, r := range m.rows {
			line, any, gap := pad(Clean(r, 0), label), false, ""
			for j := from; j < to; j++ {
				k, ok := m.cells[[2]int{i, j}]
				if !ok {
					gap += strings.Repeat(" ", 2+wide[j])
					continue
				}
				any = true
				text := cell(k)
				line += gap + "  " + paint(k, text)
				gap = strings.Repeat(" ", max(0, wide[j]-len([]rune(text))))
			}
			if any || len(m.columns) == to-from {
				out = append(out, line)
			}
		}
		from = to
	}
	return out
}

// narrowest is the width of a block with the widest column alone.
func (m matrix) narrowest(least int) int {
	label, column := 0, least
	for _, r := range m.rows {
		label = max(label, len([]rune(Clean(r, 0))))
	}
	for _, c := range m.columns {
		column = max(column, len([]rune(Clean(c, 0))))
	}
	return label + 2 + column
}

// mark is a cell that is done in a few letters: what is not good stands out without colours too.
func mark(s verdict.CellStatus, seconds float64, booted bool) string {
	word := map[verdict.CellStatus]string{verdict.CellPass: "pass", verdict.CellFail: "FAIL", verdict.CellFlaky: "FLAKY",
		verdict.CellSkip: "skip", verdict.CellNotRun: "not run"}[s]
	if word == "" {
		word = "ERROR"
	}
	if !booted || s == verdict.CellNotRun {
		return word
	}
	return word + " " + span(seconds)
}

// paintMark is the colour of a mark.
func paintMark(style Style, s verdict.CellStatus, text string) string {
	switch s {
	case verdict.CellPass:
		return style.good(text)
	case verdict.CellFlaky, verdict.CellSkip:
		return style.warn(text)
	case verdict.CellNotRun:
		return style.dim(text)
	}
	return style.bad(text)
}

// span is a time in seconds, short: "0.4s", "12s", "2m03s", "1h02m".
func span(seconds float64) string {
	whole := int(seconds + 0.5)
	switch {
	case seconds < 0:
		return "0.0s"
	case seconds < 9.95:
		return fmt.Sprintf("%.1fs", seconds)
	case whole < 60:
		return fmt.Sprintf("%ds", whole)
	case whole < 3600:
		return fmt.Sprintf("%dm%02ds", whole/60, whole%60)
	}
	return fmt.Sprintf("%dh%02dm", whole/3600, whole/60%60)
}
