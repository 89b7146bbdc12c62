package report

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

var githubLine = regexp.MustCompile(`^::(error|warning|notice) (?:file=([^:,]+),(?:line=\d+,)?)?title=[^:,]+::.*$`)

// readGitHub reads workflow commands as the runner does, and counts them.
func readGitHub(text string, s *verdict.Smoke) error {
	n := map[string]int{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		m := githubLine.FindStringSubmatch(line)
		switch {
		case m == nil && text != "":
			return errors.New("no command: " + line)
		case m != nil && m[2] != "" && (strings.HasPrefix(m[2], "/") || strings.HasPrefix(m[2], "..")):
			return errors.New("a file outside of the tree: " + m[2])
		case m != nil:
			if n[m[1]]++; n[m[1]] > 10 {
				return errors.New("more annotations than GitHub shows")
			}
		}
	}
	return nil
}

func FuzzGitHub(f *testing.F) { fuzzSink(f, "github.txt") }

// TestGitHubEscapes: as @actions/core does it, so that the runner gives back what there was.
func TestGitHubEscapes(t *testing.T) {
	s := &verdict.Smoke{}
	s.Add(verdict.Cell{Name: "k/m", Status: verdict.CellFail, Reason: "100% a:b, c", Result: &verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops,
		Cause: &verdict.Cause{Function: "f:g,h%", File: "mm/a,b:c%.c", Line: 3}}})
	want := "::error file=mm/a%2Cb%3Ac%25.c,line=3,title=oops in f%3Ag%2Ch%25::100%25 a:b, c%0Ain k/m\n"
	if got := string(written(t, GitHub, s)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// TestGitHubShowsTen: of more than ten errors the tenth says how many more there are; warnings have ten of their own.
func TestGitHubShowsTen(t *testing.T) {
	for _, tt := range []struct{ n, lines int }{{0, 0}, {1, 1}, {10, 10}, {11, 10}, {30, 10}} {
		s := &verdict.Smoke{}
		for i := range tt.n {
			name := fmt.Sprintf("cell-%d", i)
			for _, status := range []verdict.CellStatus{verdict.CellFail, verdict.CellFlaky} {
				s.Add(verdict.Cell{Name: name, Status: status, Result: &verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops, Signature: name}})
			}
		}
		got := string(written(t, GitHub, s))
		for _, kind := range []string{"::error", "::warning"} {
			if n := strings.Count(got, kind); n != tt.lines {
				t.Errorf("%d findings: %d times %s, want %d", tt.n, n, kind, tt.lines)
			}
		}
		if rest := fmt.Sprintf("title=%d more::", tt.n-9); strings.Contains(got, rest) != (tt.n > 10) {
			t.Errorf("%d findings: %s", tt.n, got)
		}
	}
}
