package verdict

// DoctorSchema names the form of [Doctor].
const DoctorSchema = "kcatch/doctor/v1"

// Doctor is what a look at this machine, and at a vmlinux, came to.
type Doctor struct {
	Schema   string        `json:"schema"`
	Checks   []DoctorCheck `json:"checks"`
	OK       int           `json:"ok"`
	Warnings int           `json:"warnings"`
	Errors   int           `json:"errors"`
}

// Health is how a check ended. The zero value is none.
type Health string

// The healths.
const (
	Healthy Health = "ok"
	Ailing  Health = "warning" // something is lost, and boots go on without it
	Ill     Health = "error"   // a boot fails
)

// DoctorCheck is one thing that was looked at.
type DoctorCheck struct {
	Name   string `json:"name"` // gcc, qemu, kvm, vmlinux.orc
	Status Health `json:"status"`
	Text   string `json:"text"` // what was found, one line
	// Fix is the command that mends it; empty when it is well, or when no command does.
	Fix string `json:"fix,omitempty"`
	// Packages are Debian's that Fix installs; empty when it does something else.
	Packages []string `json:"packages,omitempty"`
}

// Add counts a check.
func (d *Doctor) Add(c DoctorCheck) {
	d.Schema = DoctorSchema
	d.Checks = append(d.Checks, c)
	switch c.Status {
	case Healthy:
		d.OK++
	case Ailing:
		d.Warnings++
	default:
		d.Errors++
	}
}

// Packages are those that the checks name, each once, in their order.
func (d *Doctor) Packages() []string {
	var all []string
	seen := map[string]bool{}
	for _, c := range d.Checks {
		for _, p := range c.Packages {
			if c.Status != Healthy && !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// ExitCode is 1 when a boot would fail.
func (d *Doctor) ExitCode() int {
	if d.Errors > 0 {
		return ExitBad
	}
	return ExitGood
}
