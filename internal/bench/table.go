package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// series is one quantity over all runs, in the order in which they were made.
type series []float64

// median of an even number of values is the mean of the middle two.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(s))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// minus is s - t, run by run: of measurements that alternate, what is left when both were slow together.
func (s series) minus(t series) series {
	d := make(series, min(len(s), len(t)))
	for i := range d {
		d[i] = s[i] - t[i]
	}
	return d
}

// percentOf is s in percent of t, run by run.
func (s series) percentOf(t series) series {
	d := make(series, min(len(s), len(t)))
	for i := range d {
		d[i] = 100 * s[i] / t[i]
	}
	return d
}

// table is the result: rows of figures, then goals, between notes.
type table struct {
	notes []string
	rows  []row
	goals []goal
}

type row struct {
	label  string
	unit   string // ms, MB
	values series
	signed bool // a difference
}

// goal is what must hold, judged by a median.
type goal struct {
	text       string
	got, bound float64
	unit       string
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *table) add(label, unit string, v series) {
	t.rows = append(t.rows, row{label: label, unit: unit, values: v})
}

func (t *table) diff(label string, v series) {
	t.rows = append(t.rows, row{label: label, unit: "ms", values: v, signed: true})
}

// want adds a goal: the median of v is under bound.
func (t *table) want(text string, v series, bound float64, unit string) {
	t.goals = append(t.goals, goal{text: text, got: v.median(), bound: bound, unit: unit})
}

// print writes the table, the goals, and whether they hold.
func (t *table) print(w io.Writer) error {
	var b strings.Builder
	const goals = "goals, by the median"
	width := len(goals)
	for _, r := range t.rows {
		width = max(width, len(r.label))
	}
	for _, g := range t.goals {
		width = max(width, len(g.text))
	}
	for _, n := range t.notes {
		fmt.Fprintln(&b, n)
	}
	fmt.Fprintf(&b, "\n%-*s %9s %9s %9s\n", width, "", "min", "median", "max")
	for _, r := range t.rows {
		if len(r.values) == 0 {
			continue
		}
		number := "%9.1f"
		if r.signed {
			number = "%+9.1f"
		}
		fmt.Fprintf(&b, "%-*s "+number+" "+number+" "+number+" %s\n", width, r.label,
			slices.Min(r.values), r.values.median(), slices.Max(r.values), r.unit)
	}
	if len(t.goals) > 0 {
		fmt.Fprintf(&b, "\n%-*s %9s %9s\n", width, goals, "is", "at most")
	}
	for _, g := range t.goals {
		holds := "holds"
		if g.got > g.bound {
			holds = "does not hold"
		}
		fmt.Fprintf(&b, "%-*s %9.1f %9.0f %s  %s\n", width, g.text, g.got, g.bound, g.unit, holds)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
