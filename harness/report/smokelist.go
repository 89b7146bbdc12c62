package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"kcatch/harness/verdict"
)

// SmokeList writes the cells that a smoke test is going to boot, a line each: name, what is booted, on which machine, what is expected,
// how long that takes as a rule, and the end of the command line.
func SmokeList(w io.Writer, m *verdict.Matrix, style Style) error {
	rows := [][]string{{"cell", "kernel", "machine", "expected", "time", "command line"}}
	for i := range m.Cells {
		rows = append(rows, plannedRow(&m.Cells[i]))
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = style.dim(text)
		}
		b.WriteString(text + "\n")
	}
	fmt.Fprintf(&b, "%s\n", matrixScore(m))
	_, err := io.WriteString(w, b.String())
	return err
}

func plannedRow(c *verdict.Planned) []string {
	machine := fmt.Sprintf("%s, %dM, %s", c.Machine, c.Memory>>20, howMany(c.CPUs, "vCPU"))
	if c.CPU != "" {
		machine += ", " + c.CPU
	}
	expected := c.Expect
	if expected == "" {
		expected = c.Until
	}
	if len(c.Checks) > 0 {
		expected += ", " + howMany(len(c.Checks), "check")
	}
	kernel, took := c.Build, "-"
	if kernel == "" {
		kernel = c.Kernel
	}
	if c.Seconds > 0 {
		took = fmt.Sprintf("%.1fs", c.Seconds)
	}
	return []string{c.Name, Clean(kernel, 60), Clean(machine, 60), Clean(expected, 60), took, Clean(c.Append, 200)}
}

func howMany(n int, noun string) string { return fmt.Sprintf("%d %s%s", n, noun, plural(n)) }

// matrixScore is how many cells there are, and how long they take one after the other where that is known of all.
func matrixScore(m *verdict.Matrix) string {
	text := howMany(len(m.Cells), "cell")
	if m.Shard != "" {
		text += " in shard " + m.Shard
	}
	var sum float64
	for _, c := range m.Cells {
		if c.Seconds == 0 {
			return text
		}
		sum += c.Seconds
	}
	if sum > 0 {
		text += fmt.Sprintf(", %.1fs of boots", sum)
	}
	return text
}

// SmokeListJSON writes m like [JSON].
func SmokeListJSON(w io.Writer, m *verdict.Matrix) error { return encode(w, m) }
