package verdict

import "fmt"

// FaultsSchema names the form of [Faults].
const FaultsSchema = "kcatch/faults/v1"

// Faults is what a run of the fault corpus came to.
type Faults struct {
	Schema string     `json:"schema"`
	Faults []FaultRow `json:"faults"`
	Right  int        `json:"right"`
	Wrong  int        `json:"wrong"`
	NotRun int        `json:"not_run,omitempty"` // those that an interrupt, or an error of this machine, left out
}

// FaultRow is one fault: what must be said of it, and what was.
type FaultRow struct {
	Name      string   `json:"name"`
	Expected  string   `json:"expected"`
	Got       string   `json:"got"`
	Right     bool     `json:"right"`
	Seconds   float64  `json:"seconds"`             // wall time of the boot, its examination included, without a build
	Why       []string `json:"why,omitempty"`       // what is wrong, a line each
	Artifacts string   `json:"artifacts,omitempty"` // the directory of a wrong one
}

// Add counts a row.
func (f *Faults) Add(row FaultRow) {
	f.Schema = FaultsSchema
	f.Faults = append(f.Faults, row)
	if row.Right {
		f.Right++
	} else {
		f.Wrong++
	}
}

// Score is the line under the table.
func (f *Faults) Score() string {
	score := fmt.Sprintf("%d of %d right", f.Right, f.Right+f.Wrong)
	if f.NotRun > 0 {
		score += fmt.Sprintf(", %d not run", f.NotRun)
	}
	return score
}

// ExitCode is 0 when every fault got the verdict that it must get.
func (f *Faults) ExitCode() int {
	if f.Wrong > 0 {
		return ExitBad
	}
	return ExitGood
}
