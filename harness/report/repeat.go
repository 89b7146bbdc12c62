package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// RepeatText writes the distribution of repeated boots for a person: how often, what, and the spread of the time.
func RepeatText(w io.Writer, r *verdict.Repeated, style Style) error {
	var b strings.Builder
	if r.Boots < r.Asked {
		fmt.Fprintf(&b, "%d of %d boots were made\n", r.Boots, r.Asked)
	}
	for _, o := range r.Outcomes {
		word := style.good("GOOD")
		if o.Result.Verdict == verdict.Bad {
			word = style.bad("BAD ")
		}
		fmt.Fprintf(&b, "%5d of %d  %s  %s\n", o.Count, r.Boots, word, Clean(o.Result.Summary, 120))
		s := slices.Sorted(slices.Values(o.Seconds))
		fmt.Fprintf(&b, "             %s\n", style.dim(fmt.Sprintf("%.2f / %.2f / %.2f s (min, median, max); the first is in %s",
			s[0], s[len(s)/2], s[len(s)-1], o.Result.Artifacts.Dir)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// RepeatJSON writes r like [JSON].
func RepeatJSON(w io.Writer, r *verdict.Repeated) error { return encode(w, r) }
