package verdict

import "testing"

// TestSmokeExit: what fails a smoke test, and which code is the stronger.
func TestSmokeExit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cells []CellStatus
		allow bool
		want  int
	}{
		{"all pass", []CellStatus{CellPass, CellPass}, false, ExitGood},
		{"one fails, one error", []CellStatus{CellError, CellFail, CellSkip}, false, ExitBad},
		{"flaky", []CellStatus{CellPass, CellFlaky}, false, ExitBad},
		{"flaky allowed", []CellStatus{CellPass, CellFlaky}, true, ExitGood},
		{"error and skip", []CellStatus{CellSkip, CellError}, false, ExitInfrastructure},
		{"does not build", []CellStatus{CellPass, CellSkip}, false, ExitSkip},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Smoke{AllowFlaky: tt.allow}
			for _, c := range tt.cells {
				s.Add(Cell{Status: c})
			}
			if got := s.ExitCode(); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
			if n := s.Passed + s.Failed + s.Flaky + s.Skipped + s.Errors + s.NotRun; n != len(tt.cells) {
				t.Errorf("%d cells counted of %d", n, len(tt.cells))
			}
		})
	}
	expired := Smoke{Expired: []Allow{{Signature: "warn/*"}}}
	if got := expired.ExitCode(); got != ExitBad {
		t.Errorf("exit code %d with an expired entry of the allow list", got)
	}
}
