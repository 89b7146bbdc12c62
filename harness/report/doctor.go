package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// DoctorText writes the checks, a line each, and under what is not well the command that mends it.
func DoctorText(w io.Writer, d *verdict.Doctor, s Style) error {
	var b strings.Builder
	width := 0
	for _, c := range d.Checks {
		width = max(width, len(c.Name))
	}
	for _, c := range d.Checks {
		word := fmt.Sprintf("%-7s", c.Status)
		switch c.Status {
		case verdict.Healthy:
			word = s.good(word)
		case verdict.Ailing:
			word = s.warn(word)
		default:
			word = s.bad(word)
		}
		fmt.Fprintf(&b, "%s  %-*s  %s\n", word, width, c.Name, Clean(c.Text, 300))
		if c.Status != verdict.Healthy && c.Fix != "" {
			fmt.Fprintf(&b, "%-7s  %-*s  %s\n", "", width, "", s.strong(Clean(c.Fix, 300)))
		}
	}
	fmt.Fprintf(&b, "%s, %s\n", counted(d.Errors, "error"), counted(d.Warnings, "warning"))
	if packages := d.Packages(); len(packages) > 0 {
		fmt.Fprintf(&b, "kcatch doctor --fix installs %s\n", strings.Join(packages, " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// DoctorJSON writes d like [JSON].
func DoctorJSON(w io.Writer, d *verdict.Doctor) error { return encode(w, d) }
