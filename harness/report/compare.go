package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// mostDifferences is how many of a cell that stand out the text shows.
const mostDifferences = 20

// CompareText writes a comparison for a person: what stands out of each cell, and the stages of a cell in which something does.
func CompareText(w io.Writer, c *verdict.Comparison, style Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A  %s\nB  %s\n", Clean(c.A, 200), Clean(c.B, 200))
	head := "nothing stands out"
	if c.Slower+c.Faster > 0 {
		head = fmt.Sprintf("%d slower and %d faster in B than chance allows", c.Slower, c.Faster)
	}
	fmt.Fprintf(&b, "%s\n", style.strong(head))
	for i := range c.Cells {
		compareCell(&b, &c.Cells[i], style)
	}
	for side, cells := range [][]string{c.OnlyA, c.OnlyB} {
		for _, name := range cells {
			fmt.Fprintf(&b, "%s only %c has %s\n", style.warn("note:"), 'A'+side, Clean(name, 200))
		}
	}
	for _, n := range c.Notes {
		fmt.Fprintf(&b, "%s %s\n", style.warn("note:"), Clean(n, 0))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func compareCell(b *strings.Builder, c *verdict.CellComparison, style Style) {
	name := ""
	if c.Cell != "" {
		name = style.strong(Clean(c.Cell, 200)) + "  "
	}
	fmt.Fprintf(b, "\n%s%s\n", name, style.dim(fmt.Sprintf("boots: %d of A, %d of B; %s", c.BootsA, c.BootsB, pace(c))))
	standing := 0
	fmt.Fprintf(b, "%s\n", style.dim(fmt.Sprintf("  %9s  %9s  %9s  %9s", "A ms", "B ms", "change", "noise")))
	for _, d := range c.Differences {
		if !shownDifference(d) {
			continue
		}
		if d.Stands != "" {
			if standing++; standing > mostDifferences {
				continue
			}
		}
		what := differenceName(d)
		if d.Level != "" {
			what += style.dim(" (" + Clean(d.Level, 20) + ")")
		}
		change := fmt.Sprintf("%+9.1f", 1000*d.Change)
		switch d.Stands {
		case verdict.Slower:
			change, what = style.bad(change), style.strong(d.Stands)+"  "+what
		case verdict.Faster:
			change, what = style.good(change), style.strong(d.Stands)+"  "+what
		}
		fmt.Fprintf(b, "  %9s  %9s  %s  %9s  %s\n", milliseconds(d.A), milliseconds(d.B), change, "±"+milliseconds(d.Noise), what)
	}
	if more := standing - mostDifferences; more > 0 {
		fmt.Fprintf(b, "  … and %d more that stand out, in the JSON\n", more)
	}
}

// shownDifference reports whether a person wants to see it: there are hundreds of initcalls.
func shownDifference(d verdict.Difference) bool { return d.Stands != "" || d.Kind != "initcall" }

// differenceName is what a difference is of.
func differenceName(d verdict.Difference) string {
	switch {
	case d.Kind == "boot":
		return "the whole boot"
	case d.Module != "":
		return fmt.Sprintf("%s %s [%s]", Clean(d.Kind, 20), Clean(d.Name, 80), Clean(d.Module, 60))
	}
	return Clean(d.Kind, 20) + " " + Clean(d.Name, 80)
}

// pace says how much slower the stages of B are by their middle ratio. The whole boot may say another thing: one stage can make most of it.
func pace(c *verdict.CellComparison) string {
	switch {
	case c.Scale > 1.005:
		return fmt.Sprintf("B's stages are %.2f times slower as a rule, which is taken out of their changes", c.Scale)
	case c.Scale < 0.995 && c.Scale > 0:
		return fmt.Sprintf("B's stages are %.2f times faster as a rule, which is taken out of their changes", 1/c.Scale)
	}
	return "at the same pace"
}

// CompareJSON writes c like [JSON].
func CompareJSON(w io.Writer, c *verdict.Comparison) error { return encode(w, c) }
