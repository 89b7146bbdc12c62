package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// found is a bisection that found something, with what a repository and a guest may put into it.
func found() *verdict.Bisect {
	return &verdict.Bisect{
		Schema: verdict.BisectSchema, Culprit: strings.Repeat("c", 40), Good: strings.Repeat("a", 40), Bad: strings.Repeat("b", 40), Confidence: 0.9961,
		Verified: verdict.BisectVerified{Parent: "good", Culprit: "bad", Revert: "good"},
		Subject:  "mm: poison\x1b[31m the pages", Author: "A U Thor <a@example.com>", Date: "2026-01-02T03:04:05+00:00",
		Commits: 16, Inert: 6, Boots: 11, Builds: 5, Died: 3, DiedOf: 10, Signature: "early-exception/start_kernel/f",
		Before: []string{"reached init"}, After: []string{"f mm/a.c:1\n::error::x", "g mm/a.c:2"},
		Steps: []verdict.BisectStep{
			{Commit: strings.Repeat("b", 40), Verdict: verdict.Bad, Reason: "#UD in f()", Boots: 4, Role: "bad end"},
			{Commit: strings.Repeat("d", 40), Verdict: verdict.Skip, Reason: "another death: oops", Chain: []string{"h mm/b.c:3\x07"}, Left: 3},
		},
	}
}

func TestBisectText(t *testing.T) {
	var b strings.Builder
	if err := BisectText(&b, found(), Style{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"cccccccccccc broke it: mm: poison\\x1b[31m the pages\n", "A U Thor <a@example.com>, 2026-01-02", "probability 99.61 % by the boots; parent good, itself bad, bbbbbbbbbbbb without it good",
		"16 commits between aaaaaaaaaaaa and bbbbbbbbbbbb, 6 of them cannot change the image; 5 builds, 11 boots; the death strikes in 3 of 10 boots",
		"without it", "f mm/a.c:1\\x0a::error::x", " 1  bad  bbbbbbbbbbbb bad end: ", " 2  skip dddddddddddd ", "3 commits left", "h mm/b.c:3\\x07",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\x07") {
		t.Errorf("control characters in %q", text)
	}
}

func TestBisectTextWithoutCulprit(t *testing.T) {
	for want, change := range map[string]func(*verdict.Bisect){
		"not determined: it is one of 2\n  " + strings.Repeat("d", 40) + "\n": func(b *verdict.Bisect) {
			b.Reason, b.Suspects = "it is one of 2", []string{strings.Repeat("d", 40), strings.Repeat("e", 40)}
		},
		"the ends are not good and bad: BAD is good\n": func(b *verdict.Bisect) { b.EndsWrong, b.Reason = true, "BAD is good" },
		"not finished: interrupted\n":                  func(b *verdict.Bisect) { b.Error = &verdict.Error{Message: "interrupted"} },
	} {
		b := found()
		b.Culprit = ""
		change(b)
		var out strings.Builder
		if err := BisectText(&out, b, Style{}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("%q does not begin with %q", out.String(), want)
		}
	}
}

// The trailer's form is that of scripts/checkpatch.pl: Fixes: <12+ chars of sha1> ("<title line>").
func TestRegressionText(t *testing.T) {
	var b strings.Builder
	if err := RegressionText(&b, found()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Subject: [REGRESSION] boot dies since cccccccccccc (\"mm: poison", "\n#regzbot introduced: " + strings.Repeat("c", 40) + "\n",
		"\nFixes: cccccccccccc (\"mm: poison", "\n    g mm/a.c:2\n", "It strikes in 3 of 10 boots.", "# bad: [" + strings.Repeat("b", 40) + "]",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	fix := found()
	fix.Fixed = true
	b.Reset()
	if err := RegressionText(&b, fix); err != nil || strings.Contains(b.String(), "Fixes:") || strings.Contains(b.String(), "regzbot") {
		t.Errorf("a fix is no regression: %v\n%s", err, b.String())
	}
}
