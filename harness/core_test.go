package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// drgnScript prints the banner and the stack from the saved registers; drgn (Debian's python3-drgn 0.0.22) is the oracle.
const drgnScript = `
import drgn, sys
p = drgn.Program()
p.set_core_dump(sys.argv[1])
p.load_debug_info([sys.argv[2]])
print(p["linux_banner"].string_().decode())
regs = drgn.Object(p, "struct pt_regs", address=int(sys.argv[3], 0))
for f in p.stack_trace(regs):
    print(f.name)
`

// TestDrgnReadsTheCore: the core of an early death, and of one that rewinds its stack later, with KASLR: drgn finds the
// banner and gives the functions of our own chain, outward from the exception.
func TestDrgnReadsTheCore(t *testing.T) {
	python := "/usr/bin/python3" // Debian's own, which has Debian's drgn
	err := exec.Command(python, "-c", "import drgn").Run()
	fixtures.Need(t, err == nil, "python3-drgn", "make test-deps")
	for _, tc := range []struct{ fixture, append string }{{fixtures.Seed61, ""}, {fixtures.Seed612, ""}, {fixtures.Faults61, "kcatch_fault=late-bug"}} {
		t.Run(tc.fixture, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, tc.fixture))
			p.Append = tc.append
			r := boots(t, p)
			out, err := exec.Command(python, "-c", drgnScript, r.Artifacts.VMCore, p.Vmlinux, r.Cause.Exception.PtRegs.String()).CombinedOutput()
			if err != nil {
				t.Fatalf("drgn: %v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if !strings.HasPrefix(lines[0], "Linux version "+r.Kernel.Release) {
				t.Errorf("banner %q", lines[0])
			}
			var want []string
			at := false
			for _, f := range r.CPUs[0].Frames {
				if at = at || f.Cause; at {
					want = append(want, f.Function)
				}
			}
			got := lines[2:]                       // the banner ends in a newline of its own
			for i, w := range want[:len(want)-1] { // drgn names the last one by another label
				if i >= len(got) || got[i] != w {
					t.Fatalf("drgn's stack is %q, ours %q", got, want)
				}
			}
		})
	}
}

// TestGoodBootsLeaveNoCore: a WARN or a survived oops writes one on the way.
func TestGoodBootsLeaveNoCore(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append, p.FailOn = "kcatch_fault=thread-bug", nil
	r := boots(t, p)
	if r.ExitCode() != 0 || r.Artifacts.VMCore != "" {
		t.Errorf("exit code %d, core %q: %s", r.ExitCode(), r.Artifacts.VMCore, r.Summary)
	}
	if _, err := os.Stat(filepath.Join(p.Out, coreName)); err == nil {
		t.Error("a core is left")
	}
}
