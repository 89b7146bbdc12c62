package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestFaultsTable: a row for each fault, what is wrong under it, cleaned of what a guest put there.
func TestFaultsTable(t *testing.T) {
	var f verdict.Faults
	f.Add(verdict.FaultRow{Name: "a", Expected: "bug in x", Got: "bug in x", Right: true, Seconds: 1.26})
	f.Add(verdict.FaultRow{Name: "bcd", Expected: "ok", Got: "oops in \x1b[31m", Seconds: 48, Why: []string{"class oops, want ok"}, Artifacts: "/d"})
	var b strings.Builder
	table := FaultsTable{Name: 5, Expected: 8}
	if err := table.Head(&b); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Faults {
		if err := table.Row(&b, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Score(&b, &f); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if strings.ContainsRune(got, 0x1b) {
		t.Errorf("an escape sequence got through: %q", got)
	}
	for _, want := range []string{
		"fault  expected  got         time\n",
		"a      bug in x  bug in x    1.3s  right\n",
		"   48.0s  WRONG\n    class oops, want ok\n    /d\n1 of 2 right\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got:\n%s\nwant in it:\n%s", got, want)
		}
	}
	f.NotRun = 3
	if got, want := f.Score(), "1 of 2 right, 3 not run"; got != want {
		t.Errorf("score of a run that was interrupted: %q, want %q", got, want)
	}
	if f.ExitCode() != verdict.ExitBad {
		t.Errorf("exit code %d with one wrong", f.ExitCode())
	}
}
