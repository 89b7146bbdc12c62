package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// SurveyCSV writes the chains of s as comma-separated values (RFC 4180), one row for each distinct chain, under a head: the
// site, the stage, the count, the functions of the chain from the point outward, and the values that could be had. Function names and values are
// the guest's: control characters are escaped, and a cell that a spreadsheet would take for a formula is quoted with an
// apostrophe (OWASP, "CSV Injection").
func SurveyCSV(w io.Writer, s *verdict.Survey) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"point", "function", "module", "file", "line", "inlined", "stage", "stage_call", "count", "at_least", "cpu", "seconds", "chain", "values"}}
	for i := range s.Sites {
		site := &s.Sites[i]
		inner := ""
		if site.Inlined != nil {
			inner = site.Inlined.Function
		}
		for j := range site.Chains {
			c := &site.Chains[j]
			var chain, values []string
			for k := range c.Frames {
				chain = append(chain, label(c.Frames[k]))
			}
			for _, name := range sorted(c.Values) {
				if !unknown(c.Values[name]) { // the reason is in the JSON
					values = append(values, name+"="+c.Values[name])
				}
			}
			rows = append(rows, []string{site.Point, site.Function, site.Module, site.File, number(site.Line), inner, string(c.Stage), c.StageCall,
				fmt.Sprint(c.Count), fmt.Sprint(site.AtLeast), fmt.Sprint(c.CPU), fmt.Sprintf("%.3f", c.Seconds), strings.Join(chain, " < "), strings.Join(values, "; ")})
		}
	}
	for _, r := range rows {
		for i := range r {
			r[i] = cell(r[i])
		}
		if err := out.Write(r); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// number is empty for a line that is not known.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// cell is a value that no spreadsheet executes.
func cell(s string) string {
	s = Clean(s, 0)
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
