package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
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
if sys.argv[5] != "0x0":
    page = drgn.Object(p, "struct page *", value=int(sys.argv[5], 0))
    print("P", page._refcount.counter.value_(), page._mapcount.counter.value_(), page.flags.value_(), page.lru.next.value_() - page.value_())
`

// TestDrgnReadsTheCore: the core of an early death, and of one that rewinds its stack later, with KASLR: drgn finds the
// banner and gives the functions of our own chain, outward from the exception.
func TestDrgnReadsTheCore(t *testing.T) {
	t.Parallel()
	python := "/usr/bin/python3" // Debian's own, which has Debian's drgn
	err := exec.Command(python, "-c", "import drgn").Run()
	fixtures.Need(t, err == nil, "python3-drgn", "make test-deps")
	for _, tc := range []struct {
		fixture, append, machine string
		memory                   uint64
		cpus                     int
		note                     string
	}{
		{fixtures.Seed61, "", "q35", 256 << 20, 1, "vmcore: crash does not open it, because the memory allocator was not up yet; drgn does"},
		{fixtures.Seed612, "", "q35", 256 << 20, 1, "vmcore: crash 8.0.2 does not know kernels of 6.4 and later; drgn does"},
		{fixtures.Faults61, "kcatch_fault=late-bug", "q35", 256 << 20, 1, ""}, {fixtures.Faults61, "kcatch_fault=late-bug", "pc", 256 << 20, 4, ""},
		// RAM on both sides of 4 GiB
		{fixtures.Seed61, "", "microvm", 6 << 30, 2, "because the memory allocator was not up yet"},
		{fixtures.Faults61, "kcatch_fault=late-bug", "q35", 6 << 30, 2, ""},
	} {
		t.Run(fmt.Sprintf("%s/%s/%dM/%d", tc.fixture, tc.machine, tc.memory>>20, tc.cpus), func(t *testing.T) {
			p := plan(t, fixtures.Find(t, tc.fixture))
			p.Append, p.Machine, p.Memory, p.CPUs = tc.append, tc.machine, tc.memory, tc.cpus
			p.Values = autopsy.ValueOptions{Args: true, Locals: true}
			r := boots(t, p)
			hasCoreNote(t, r, tc.note)
			out, err := exec.Command(python, "-c", drgnScript+drgnValues, r.Artifacts.VMCore, p.Vmlinux, r.Cause.Exception.PtRegs.String(),
				r.Kernel.KASLRSlide.String(), pageAddress(r)).CombinedOutput()
			if err != nil {
				t.Fatalf("drgn: %v\n%s", err, out)
			}
			var lines, values []string
			page := ""
			for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
				if v, ok := strings.CutPrefix(l, "V "); ok {
					values = append(values, v)
				} else if p, ok := strings.CutPrefix(l, "P "); ok {
					page = p
				} else {
					lines = append(lines, l)
				}
			}
			if !strings.HasPrefix(lines[0], "Linux version "+r.Kernel.Release) {
				t.Errorf("banner %q", lines[0])
			}
			// The list of a page that nobody has queued is its own (lru at 8): the address is that of a struct page.
			if p := r.Cause.Page; p != nil && page != fmt.Sprintf("%d %d %d 8", p.RefCount, p.MapCount, uint64(p.Flags)) {
				t.Errorf("drgn has a page %q, we %+v", page, p)
			} else if p == nil && strings.HasPrefix(tc.fixture, "seed") {
				t.Error("no page")
			}
			if n := agreeWithDrgn(t, values, r.CPUs[dead(r)].Frames, uint64(r.Kernel.KASLRSlide)); n < 5 {
				t.Errorf("drgn and we agree on %d values only: %q", n, values)
			}
			var want []string
			at := false
			for _, f := range r.CPUs[dead(r)].Frames {
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

func pageAddress(r verdict.Result) string {
	if r.Cause.Page == nil {
		return "0x0"
	}
	return r.Cause.Page.Address.String()
}

// TestGoodBootsLeaveNoCore: a WARN or a survived oops writes one on the way.
func TestGoodBootsLeaveNoCore(t *testing.T) {
	t.Parallel()
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

// dead is the index of the vCPU with the frame at fault.
func dead(r verdict.Result) int {
	return max(0, slices.IndexFunc(r.CPUs, func(c verdict.CPU) bool {
		return slices.ContainsFunc(c.Frames, func(f verdict.Frame) bool { return f.Cause })
	}))
}

// hasCoreNote: the report says when crash will not open the core, in a note or, where note is empty, in none. What it says was seen with
// crash 8.0.2.
func hasCoreNote(t *testing.T, r verdict.Result, note string) {
	t.Helper()
	notes := strings.Join(r.Notes, "\n")
	if note != "" && !strings.Contains(notes, note) || note == "" && strings.Contains(notes, "vmcore") {
		t.Errorf("notes %q, want %q", notes, note)
	}
}

// TestCoreOfAPanic: the core is of a moment that is not the end. TestDrgnReadsTheCore has the notes of the other deaths.
func TestCoreOfAPanic(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append = "kcatch_fault=late-panic"
	hasCoreNote(t, boots(t, p), "vmcore: it is of the entry of panic()")
}
