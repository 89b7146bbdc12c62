package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// FaultsTable writes a run of the fault corpus for a person, row by row as it goes on: name, expected, got, time, right or
// wrong; what is wrong stands under its row.
type FaultsTable struct {
	Style
	// Name and Expected are the widths of those columns in columns of the terminal; got is as wide as expected.
	Name, Expected int
}

// Head writes the line above the rows.
func (t FaultsTable) Head(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s\n", t.dim(strings.TrimRight(t.line("fault", "expected", "got", "time", ""), " ")))
	return err
}

// Row writes a fault and what is wrong with it.
func (t FaultsTable) Row(w io.Writer, r verdict.FaultRow) error {
	var b strings.Builder
	word := t.good("right")
	if !r.Right {
		word = t.bad("WRONG")
	}
	fmt.Fprintf(&b, "%s\n", t.line(r.Name, r.Expected, Clean(r.Got, 120), fmt.Sprintf("%.1fs", r.Seconds), word))
	for _, why := range r.Why {
		fmt.Fprintf(&b, "    %s\n", Clean(why, 200))
	}
	if r.Artifacts != "" {
		fmt.Fprintf(&b, "    %s\n", t.dim(r.Artifacts))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t FaultsTable) line(name, expected, got, time, word string) string {
	return fmt.Sprintf("%-*s  %-*s  %-*s  %6s  %s", t.Name, name, t.Expected, expected, t.Expected, got, time, word)
}

// Score writes the line under the rows.
func (t FaultsTable) Score(w io.Writer, f *verdict.Faults) error {
	_, err := fmt.Fprintf(w, "%s\n", f.Score())
	return err
}

// FaultsJSON writes f like [JSON].
func FaultsJSON(w io.Writer, f *verdict.Faults) error { return encode(w, f) }
