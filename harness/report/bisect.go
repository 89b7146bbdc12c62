package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// BisectJSON writes b like [JSON].
func BisectJSON(w io.Writer, b *verdict.Bisect) error { return encode(w, b) }

// BisectStep is a trial as one line.
func BisectStep(s *verdict.BisectStep, style Style) string {
	word := map[verdict.Verdict]string{verdict.Good: style.good("good"), verdict.Bad: style.bad("bad "), verdict.Skip: style.warn("skip")}[s.Verdict]
	role := ""
	if s.Role != "" {
		role = s.Role + ": "
	}
	left := ""
	if s.Left > 0 {
		left = fmt.Sprintf("; %s left", counted(s.Left, "commit"))
	}
	return fmt.Sprintf("%s %s %s", word, commitName(s.Commit), Clean(role+clip(s.Subject, 60)+"  "+s.Reason, 200)+
		style.dim(fmt.Sprintf("  (%s, %.0f s%s)", counted(s.Boots, "boot"), s.Seconds, left)))
}

// counted is a number of things in words.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func commitName(id string) string { return id[:min(len(id), 12)] }

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// BisectText writes what a bisection came to for a person.
func BisectText(w io.Writer, b *verdict.Bisect, style Style) error {
	var t strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&t, format+"\n", args...) }
	verb := "broke"
	if b.Fixed {
		verb = "fixed"
	}
	switch {
	case b.Culprit != "":
		line("%s %s %s", style.strong(commitName(b.Culprit)), verb+" it:", style.strong(Clean(b.Subject, 120)))
		line("  %s, %s", Clean(b.Author, 120), Clean(b.Date, 40))
		for _, d := range b.Diffstat[:min(len(b.Diffstat), 20)] {
			line("  %s", Clean(d, 120))
		}
		line("  right with probability %s by the boots; parent %s, itself %s, %s", percent(b.Confidence), b.Verified.Parent, b.Verified.Culprit, revertText(b))
	case len(b.Symbols) > 0:
		line("%s", style.strong("it hangs on "+counted(len(b.Symbols), "symbol")+":"))
		for _, c := range b.Symbols[:min(len(b.Symbols), 40)] {
			line("  %s", Clean(c, 120))
		}
		line("  BAD without: %s; %s, %s", b.Verified.Revert, counted(b.Builds, "build"), counted(b.Boots, "boot"))
	case b.EndsWrong:
		line("%s %s", style.bad("the ends are not good and bad:"), Clean(b.Reason, 300))
	case b.Error != nil:
		line("%s %s", style.warn("not finished:"), Clean(b.Error.Message, 300))
	default:
		line("%s %s", style.warn("not determined:"), Clean(b.Reason, 300))
		for _, s := range b.Suspects[:min(len(b.Suspects), 40)] {
			line("  %s", s)
		}
		if more := len(b.Suspects) - 40; more > 0 {
			line("  and %d more", more)
		}
	}
	if b.DiedOf > 0 && b.Commits > 0 {
		rate := "the death strikes always"
		if b.Died < b.DiedOf {
			rate = fmt.Sprintf("the death strikes in %d of %d boots", b.Died, b.DiedOf)
		}
		line("  %s between %s and %s, %s; %s, %s; %s", counted(b.Commits, "commit"), commitName(b.Good), commitName(b.Bad), inertText(b), counted(b.Builds, "build"), counted(b.Boots, "boot"), rate)
	}
	sides(&t, b, style)
	line("")
	for i := range b.Steps {
		s := &b.Steps[i]
		line("  %2d  %s", i+1, BisectStep(s, style))
		if s.Verdict == verdict.Skip {
			for _, c := range s.Chain[:min(len(s.Chain), 6)] {
				line("        %s", style.dim(Clean(c, 120)))
			}
		}
	}
	for _, n := range b.Notes {
		line("note: %s", Clean(n, 300))
	}
	if b.Log != "" {
		line("log: %s", b.Log)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func percent(p float64) string { return fmt.Sprintf("%.2f %%", 100*p) }

func inertText(b *verdict.Bisect) string {
	if b.Inert == 0 {
		return "each can change the image"
	}
	return fmt.Sprintf("%d of them cannot change the image", b.Inert)
}

func revertText(b *verdict.Bisect) string {
	v := b.Verified
	end := commitName(b.Bad)
	if b.Fixed {
		end = commitName(b.Good)
	}
	switch v.Revert {
	case "conflict":
		return "does not revert cleanly on " + end
	case "untested":
		if v.RevertReason == "" {
			return "revert untested"
		}
		return "revert untested: " + Clean(v.RevertReason, 120)
	}
	return end + " without it " + v.Revert
}

// sides shows both chains side by side: before the culprit, and after it.
func sides(t *strings.Builder, b *verdict.Bisect, style Style) {
	if len(b.After) == 0 && b.Signature == "" {
		return
	}
	left, right := "without it", "with it"
	if b.Fixed {
		left, right = "with it", "without it"
	}
	const column = 38
	fmt.Fprintf(t, "\n  %-*s  %s\n", column, left, right)
	after := b.After
	if len(after) == 0 {
		after = []string{b.Signature}
	}
	before := b.Before
	for i := range max(len(before), len(after)) {
		l, r := "", ""
		if i < len(before) {
			l = clip(Clean(before[i], 0), column)
		}
		if i < len(after) {
			r = Clean(after[i], 100)
		}
		fmt.Fprintf(t, "  %-*s  %s\n", column, l, style.strong(r))
	}
}

// RegressionText writes a report that can be sent to the lists as it is, but for what only a person knows.
//
// Forms: Documentation/admin-guide/reporting-regressions.rst ("#regzbot introduced:"), Documentation/process/submitting-patches.rst
// ("Fixes:": twelve digits and the subject in parentheses).
func RegressionText(w io.Writer, b *verdict.Bisect) error {
	var t strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&t, format+"\n", args...) }
	subject := Clean(b.Subject, 0)
	if b.Fixed {
		line("A boot that dies with %s no longer does since commit %s (\"%s\").", commitName(b.Bad), commitName(b.Culprit), subject)
	} else {
		line("Subject: [REGRESSION] boot dies since %s (\"%s\")", commitName(b.Culprit), subject)
		line("")
		line("Since commit %s (\"%s\") the kernel dies in boot:", commitName(b.Culprit), subject)
	}
	line("")
	for _, c := range b.After {
		line("    %s", Clean(c, 120))
	}
	if len(b.After) == 0 {
		line("    %s", Clean(b.Signature, 200))
	}
	line("")
	if b.Died < b.DiedOf {
		line("It strikes in %d of %d boots.", b.Died, b.DiedOf)
	} else {
		line("It strikes in every one of %s.", counted(b.DiedOf, "boot"))
	}
	line("Bisected between %s (good) and %s (bad) in %s of %s; the result is right with", commitName(b.Good), commitName(b.Bad), counted(b.Boots, "boot"), counted(b.Builds, "kernel"))
	line("probability %s. The parent is %s, the commit %s; %s.", percent(b.Confidence), b.Verified.Parent, b.Verified.Culprit, revertText(b))
	line("")
	for i := range b.Steps {
		s := &b.Steps[i]
		if s.Role == "" || s.Role == "bad end" || s.Role == "good end" {
			line("    # %s: [%s] %s", s.Verdict, s.Commit, Clean(s.Subject, 100))
		}
	}
	line("")
	if !b.Fixed {
		line("#regzbot introduced: %s", b.Culprit)
		line("")
		line("Fixes: %s (\"%s\")", commitName(b.Culprit), subject)
	}
	_, err := io.WriteString(w, t.String())
	return err
}
