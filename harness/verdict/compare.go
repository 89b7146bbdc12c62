package verdict

// CompareSchema names the form of [Comparison].
const CompareSchema = "kcatch/compare/v1"

// Times is one boot over time, as it is compared.
type Times struct {
	Timeline  []Mark         `json:"timeline"`
	Initcalls []InitcallTime `json:"initcalls,omitempty"`
}

// Times are those of a boot.
func (r *Result) Times() Times { return Times{Timeline: r.Timeline, Initcalls: r.Initcalls} }

// Comparison is what is slower in one run, B, than in another, A.
type Comparison struct {
	Schema string           `json:"schema"`
	A      string           `json:"a"` // the names of the sides, as they were given
	B      string           `json:"b"`
	Cells  []CellComparison `json:"cells"`  // that both have, in A's order
	Slower int              `json:"slower"` // differences that stand out, of all cells
	Faster int              `json:"faster"`
	OnlyA  []string         `json:"only_a,omitempty"` // cells that one side has alone, or boots that did not come to the end in the other
	OnlyB  []string         `json:"only_b,omitempty"`
	Notes  []string         `json:"notes,omitempty"`
}

// CellComparison is a cell that both sides have.
type CellComparison struct {
	Cell   string `json:"cell,omitempty"` // "" for the boots of kcatch boot
	BootsA int    `json:"boots_a"`
	BootsB int    `json:"boots_b"`
	// Scale is how much slower B is in all: the middle ratio of its times to A's. A busy host does that as well as a kernel, so it is
	// taken out of the differences.
	Scale float64 `json:"scale"`
	// InitcallScale is the same of the initcalls, which may have run when the host was busier.
	InitcallScale float64 `json:"initcall_scale"`
	// Differences are those that stand out, the surest first, then the others in the order of the boot.
	Differences []Difference `json:"differences"`
}

// Difference is a stage or an initcall on both sides. Times are in seconds, medians of a side's boots.
type Difference struct {
	Kind   string  `json:"kind"` // boot, stage, initcall
	Name   string  `json:"name"` // of the stage, or of the function
	Module string  `json:"module,omitempty"`
	Level  string  `json:"level,omitempty"`
	A      float64 `json:"a"` // 0: it is not there
	B      float64 `json:"b"`
	// Change is B less what A would have taken at B's pace (A times Scale). Noise is how large a change may be that means nothing, by the
	// spread of a side's boots, of the other stages and initcalls, and by the precision of the marks.
	Change float64 `json:"change"`
	Noise  float64 `json:"noise"`
	Stands string  `json:"stands,omitempty"` // slower or faster, when it stands out: |Change| above Noise
}

// What Difference.Stands says.
const (
	Slower = "slower"
	Faster = "faster"
)
