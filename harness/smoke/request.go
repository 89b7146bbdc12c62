package smoke

import (
	"kcatch/harness"
	"kcatch/harness/verdict"
)

// Cell is one boot of the matrix, decided.
type Cell struct {
	Name                    string // kernel/machine/append; unique; letters, digits and ".-_/" only
	Kernel, Machine, Append string // the names of the profile's members; Append may be empty
	// Plan is the boot. Its Out is empty; equal Builds are built once.
	Plan harness.Plan
	// Expect is the death that the cell must die, CLASS[:FUNCTION]; "" when it must live.
	Expect string
	// Retries is how often a failed cell is booted again, 0 to 10: one that then passes is flaky.
	Retries int
	// Repeat is a command line that does this cell alone.
	Repeat string
}

// Request is a smoke test, decided.
type Request struct {
	Cells    []Cell
	Profile  string // for the result
	Shard    string // for the result
	Jobs     int    // boots at a time; 0: chosen from cores and memory, see [Jobs]
	FailFast bool   // no cell is begun after one that fails

	AllowFlaky bool
	Allow      []verdict.Allow
	Baseline   string // a file with a smoke result or a boot's result; "" for none
	Out        string // the directory of the artifacts; "" for a new one in the user's state directory
	Keep       int    // how many runs without an Out of their own stay there; 0: the default
}

// Listener is told what happens; every field may be nil. Calls come one at a time.
type Listener struct {
	// Build is told of the stages of the build of a kernel that cells share; total is 0 when it is not known.
	Build func(kernel, stage, note string, done, total int)
	// Begin is told that a cell's boot begins; attempt counts from 1.
	Begin func(cell *Cell, attempt int)
	// Stage is told how far a boot came, as harness.Progress has it.
	Stage func(cell *Cell, stage, note string)
	// End is told of a cell that is done.
	End func(cell *verdict.Cell)
	// Say is a remark for a person.
	Say func(line string)
}
