package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kcatch/internal/fixtures"
	"kcatch/kernels/faults"
)

// shortQuiet is how long a kernel that must hang may make no progress here; it is 48 s otherwise. One that spins must have had half of
// it as CPU time, however busy the host is.
const shortQuiet = 2 * time.Second

// TestSlice boots the part of the corpus that is quick, on kernels that are there. "make faults" boots all of it.
func TestSlice(t *testing.T) {
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "make test-deps")
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Faults {
		if !f.Slice {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			k := fixtures.Find(t, f.On.Fixture)
			p := Plan(f, edited(t, f, Files{Kernel: k.BzImage, Vmlinux: k.Vmlinux, BootVmlinux: k.BootVmlinux}))
			p.Out = t.TempDir()
			if f.Want.Class == "hang" {
				t.Parallel() // they wait, most of the time
				p.Quiet = shortQuiet
			}
			r, err := Boot(context.Background(), f, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range Differences(f.Want, &r) {
				t.Errorf("%s (%s)", d, f.Where)
			}
			if t.Failed() {
				t.Logf("%s: %s", f.What, r.Summary)
			}
		})
	}
}

// edited is the fault's own bzImage, in a directory of the test.
func edited(t *testing.T, f faults.Fault, files Files) Files {
	t.Helper()
	if f.Edit == nil {
		return files
	}
	image, err := os.ReadFile(files.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = f.Edit.Apply(image); err != nil {
		t.Fatal(err)
	}
	files.Kernel = filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(files.Kernel, image, 0o644); err != nil {
		t.Fatal(err)
	}
	return files
}
