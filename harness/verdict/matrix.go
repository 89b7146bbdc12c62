package verdict

// MatrixSchema names the form of [Matrix].
const MatrixSchema = "kcatch/smoke-list/v1"

// Matrix is what a smoke test is going to boot.
type Matrix struct {
	Schema  string    `json:"schema"`
	Profile string    `json:"profile"`
	Shard   string    `json:"shard,omitempty"` // "2/5": the cells are its part
	Cells   []Planned `json:"cells"`           // in the order of the profile
}

// Planned is a cell that was not booted yet.
type Planned struct {
	Name    string   `json:"name"`
	Build   string   `json:"build,omitempty"`  // the tree and what goes on it; "" for a kernel that is there
	Kernel  string   `json:"kernel,omitempty"` // the file that is booted, for one that is there
	Machine string   `json:"machine"`          // QEMU's name, with its options
	CPU     string   `json:"cpu,omitempty"`    // the model; "" for the accelerator's default
	Memory  uint64   `json:"memory"`           // bytes
	CPUs    int      `json:"cpus"`
	Append  string   `json:"append,omitempty"` // the end of the kernel's command line
	Until   string   `json:"until"`
	Expect  string   `json:"expect,omitempty"` // CLASS[:FUNCTION] that it must die of; "" when it must live
	Checks  []string `json:"checks,omitempty"`
	Retries int      `json:"retries,omitempty"`
	Seconds float64  `json:"seconds,omitempty"` // that its boot took here, as a rule; 0 is not known
	Repeat  string   `json:"repeat"`
}
