package verdict

import (
	"cmp"
	"fmt"
)

// SmokeSchema names the form of [Smoke].
const SmokeSchema = "kcatch/smoke/v1"

// Smoke is what a smoke test came to: a matrix of boots, each a cell. Every report is made of one of these.
type Smoke struct {
	Schema  string `json:"schema"`
	Cells   []Cell `json:"cells"` // in the order of the profile: kernels, then machines, then command lines
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Flaky   int    `json:"flaky"`
	Skipped int    `json:"skipped"` // could not be tested: does not build, the patch does not fit
	Errors  int    `json:"errors"`  // of this machine: QEMU, disk
	NotRun  int    `json:"not_run,omitempty"`

	Profile    string  `json:"profile,omitempty"` // its name or file
	Shard      string  `json:"shard,omitempty"`   // "2/5"
	Jobs       int     `json:"jobs,omitempty"`
	Started    string  `json:"started,omitempty"` // RFC 3339
	Seconds    float64 `json:"seconds"`           // wall time of it all, builds included
	AllowFlaky bool    `json:"allow_flaky,omitempty"`
	// Baseline is the file that deaths are compared with; Fixed are those of it that did not come again, though their cells ran.
	Baseline string   `json:"baseline,omitempty"`
	Fixed    []Known  `json:"fixed,omitempty"`
	Expired  []Allow  `json:"expired,omitempty"` // entries of the allow list past their date: they fail the run
	Notes    []string `json:"notes,omitempty"`
	Error    *Error   `json:"error,omitempty"` // why it ended before its end
}

// CellStatus is how a cell came out. The zero value is invalid.
type CellStatus string

// The statuses. Flaky is a cell that failed, and passed when it was tried again. NotRun is one that --fail-fast or an interrupt
// left out.
const (
	CellPass   CellStatus = "pass"
	CellFail   CellStatus = "fail"
	CellFlaky  CellStatus = "flaky"
	CellSkip   CellStatus = "skip"
	CellError  CellStatus = "error"
	CellNotRun CellStatus = "not-run"
)

// Cell is one kernel on one machine with one command line.
type Cell struct {
	Name     string     `json:"name"` // kernel/machine/append; stable, unique, letters, digits and ".-_/" only
	Status   CellStatus `json:"status"`
	Attempts int        `json:"attempts"`
	Result   *Result    `json:"result"` // of the attempt that decides: the first one that failed, else the last; nil when it was not booted

	Kernel  string  `json:"kernel"`  // names of the profile's members
	Machine string  `json:"machine"` //
	Append  string  `json:"append,omitempty"`
	Reason  string  `json:"reason,omitempty"` // one line: why it is not a pass, or why it is one nevertheless (known, allowed, expected)
	Expect  string  `json:"expect,omitempty"` // CLASS[:FUNCTION] that it must die of
	Seconds float64 `json:"seconds"`          // wall time of its boots, examination included, without builds
	// Tries are all attempts, in their order.
	Tries []Try `json:"tries,omitempty"`
	// Novelty is "new" or "known" against the baseline for a death, "" without one.
	Novelty string `json:"novelty,omitempty"`
	Allowed *Allow `json:"allowed,omitempty"` // the entry of the allow list that lets it pass
	// Artifacts is the cell's directory; Repeat a command line that does this cell again here.
	Artifacts string `json:"artifacts,omitempty"`
	Repeat    string `json:"repeat,omitempty"`
}

// Try is one boot of a cell.
type Try struct {
	Verdict   Verdict `json:"verdict"` // "" when there was none
	Class     Class   `json:"class,omitempty"`
	Signature string  `json:"signature,omitempty"`
	Summary   string  `json:"summary"`
	Reason    string  `json:"reason,omitempty"` // why it did not pass, where the summary does not say it: what failed in the guest
	Seconds   float64 `json:"seconds"`
	Machine   float64 `json:"machine_seconds,omitempty"` // of Seconds: how long QEMU was there, all that it took to start and end
	Passed    bool    `json:"passed"`
	Artifacts string  `json:"artifacts,omitempty"`
}

// Said is how it ended, in one line: why it did not pass, else the summary.
func (t Try) Said() string { return cmp.Or(t.Reason, t.Summary) }

// Known is a death of the baseline.
type Known struct {
	Cell      string `json:"cell"`
	Signature string `json:"signature"`
}

// Allow is a known splat that does not fail a cell until a day.
type Allow struct {
	Signature string `json:"signature"` // with * for any run of characters; of a death or of a WARN that was survived
	Cells     string `json:"cells,omitempty"`
	Owner     string `json:"owner"`
	Reason    string `json:"reason"`
	Expires   string `json:"expires"` // 2027-01-31: the last day on which it holds
}

// Check is a command that ran in the guest after init.
type Check struct {
	Name    string `json:"name"`
	Command string `json:"command,omitempty"`
	// Status is the exit status, 0 to 255; nil when it did not come back: the kernel died, or the time was over.
	Status    *int     `json:"status"`
	Seconds   float64  `json:"seconds,omitempty"` // by the guest's clock
	Output    []string `json:"output,omitempty"`  // cleaned; its end when it is long
	Truncated bool     `json:"truncated,omitempty"`
	Note      string   `json:"note,omitempty"` // why there is no status: not begun, stopped after 1m0s, the boot ended in it
}

// Passed reports whether it came back with 0.
func (c *Check) Passed() bool { return c.Status != nil && *c.Status == 0 }

// Ended says in a few words how it came back, or why it did not: "exit status 3", "stopped after 1m0s".
func (c *Check) Ended() string {
	switch {
	case c.Status != nil:
		return fmt.Sprintf("exit status %d", *c.Status)
	case c.Note != "":
		return c.Note
	}
	return "did not come back"
}

// Subtest is one line of KTAP that has no subtests of its own, or a suite whose own line disagrees with them
// (Documentation/dev-tools/ktap.rst).
type Subtest struct {
	Name    string   `json:"name"`   // with its suites in front: "kunit/list-kunit-test/list_test_list_init"
	Status  string   `json:"status"` // pass, fail, skip, todo, lost: its plan promised it and it did not come
	Reason  string   `json:"reason,omitempty"`
	Lines   []string `json:"lines,omitempty"`   // diagnostics of a failed one, cleaned
	Seconds float64  `json:"seconds,omitempty"` // by the log's clock; 0 is not known
}

// InitcallTime is how long an initcall took, by the guest's clock.
type InitcallTime struct {
	Function string  `json:"function"`
	Level    string  `json:"level,omitempty"`  // early, pure, core, postcore, arch, subsys, fs, rootfs, device, late; "" is not known
	Module   string  `json:"module,omitempty"` // for one of a module
	Start    float64 `json:"start"`            // seconds, on the same clock as the timeline's marks
	Seconds  float64 `json:"seconds"`
	Returned *int    `json:"returned,omitempty"` // nil: it did not come back
}

// Add counts a cell and appends it.
func (s *Smoke) Add(c Cell) {
	s.Schema = SmokeSchema
	s.Cells = append(s.Cells, c)
	switch c.Status {
	case CellPass:
		s.Passed++
	case CellFail:
		s.Failed++
	case CellFlaky:
		s.Flaky++
	case CellSkip:
		s.Skipped++
	case CellNotRun:
		s.NotRun++
	default:
		s.Errors++
	}
}

// ExitCode is 1 when a cell failed, was flaky (unless that is allowed) or an entry of the allow list has expired; else 131 when
// this machine failed a cell, 125 when one could not be tested, 0 when all passed.
func (s *Smoke) ExitCode() int {
	switch {
	case s.Failed > 0, s.Flaky > 0 && !s.AllowFlaky, len(s.Expired) > 0:
		return ExitBad
	case s.Errors > 0:
		return ExitInfrastructure
	case s.Skipped > 0:
		return ExitSkip
	}
	return ExitGood
}
