package smoke

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// fixtureCell is a boot of a fixture with the defaults of the command line, but under TCG.
func fixtureCell(t *testing.T, name, fixture string) Cell {
	t.Helper()
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "make test-deps")
	k := fixtures.Find(t, fixture)
	return Cell{Name: name, Kernel: fixture, Machine: "q35", Plan: harness.Plan{
		Kernel: k.BzImage, Vmlinux: k.Vmlinux, BootVmlinux: k.BootVmlinux, Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg",
		Until: "init", Timeout: 2 * time.Minute, FailOn: []verdict.Class{verdict.Oops, verdict.Bug},
	}}
}

// TestRealBoots: real kernels side by side: one lives, one dies of what it must die of, one fails twice; and what is left of each.
func TestRealBoots(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	good, expected, dies := fixtureCell(t, "good/q35", fixtures.Good61), fixtureCell(t, "seed/q35/expected", fixtures.Seed61), fixtureCell(t, "seed/q35", fixtures.Seed61)
	expected.Expect, dies.Retries = "early-exception:__SetPageReserved", 1
	req := Request{Jobs: 2, Cells: []Cell{good, expected, dies}}
	if err := Check(context.Background(), req); err != nil {
		t.Fatal(err)
	}
	stages := map[string]string{} // calls come one at a time: the race detector sees whether that is so
	out, err := Run(context.Background(), req, Listener{Stage: func(c *Cell, stage, _ string) { stages[c.Name] += stage + " " }})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(filepath.Dir(out.Cells[0].Artifacts))
	for i, want := range []verdict.CellStatus{verdict.CellPass, verdict.CellPass, verdict.CellFail} {
		c := out.Cells[i]
		if c.Status != want {
			t.Errorf("%s: %s (%s), want %s", c.Name, c.Status, c.Reason, want)
		}
		for n := range c.Attempts {
			data, err := os.ReadFile(filepath.Join(bootDir(dir, c.Name, n+1), "result.json"))
			if err != nil || !strings.Contains(string(data), verdict.Schema) {
				t.Errorf("%s, boot %d: %v", c.Name, n+1, err)
			}
		}
	}
	if try := out.Cells[0].Tries[0]; try.Machine <= 0 || try.Machine >= try.Seconds {
		t.Errorf("QEMU was there for %v s of %v", try.Machine, try.Seconds)
	}
	if c := out.Cells[2]; c.Attempts != 2 || c.Tries[1].Artifacts != filepath.Join(c.Artifacts, "try-2") || c.Result.Artifacts.Dir != c.Artifacts {
		t.Errorf("%d attempts, the second in %s", c.Attempts, c.Tries[1].Artifacts)
	}
	if got := stages["seed/q35"]; got != "boot caught boot caught " {
		t.Errorf("stages %q", got)
	}
	if runs, _ := runsDir(); !strings.HasPrefix(dir, runs+"/2") {
		t.Errorf("artifacts in %s", dir)
	}
	took := Durations()
	if len(took) != 3 || took["good/q35"] <= 0 || took["good/q35"] > time.Minute {
		t.Errorf("durations %v", took)
	}
	// The file is the result, and a baseline of which the death is known; the expected one is none.
	saved := filepath.Join(dir, ResultName)
	data, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.SmokeJSON(&text, &out); err != nil || text.String() != string(data) {
		t.Errorf("%s is not what was returned: %v", saved, err)
	}
	known, err := readBaseline(saved)
	if err != nil || len(known.deaths) != 1 || known.novelty("seed/q35", out.Cells[2].Result.Signature) != noveltyKnown {
		t.Errorf("baseline %+v, %v", known, err)
	}
}

// TestInterruptedRealBoots: an interrupt ends every QEMU, and what is left says so.
func TestInterruptedRealBoots(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	req := Request{Jobs: 2, Out: t.TempDir(), Cells: []Cell{
		fixtureCell(t, "a", fixtures.Good61), fixtureCell(t, "b", fixtures.Good61), fixtureCell(t, "c", fixtures.Good61),
	}}
	for i := range req.Cells {
		req.Cells[i].Plan.Run = "sleep 60"
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	alive := 0
	go func() {
		defer cancel()
		for deadline := time.Now().Add(time.Minute); alive != 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			alive = machines(t, req.Out)
		}
	}()
	out, err := Run(ctx, req, Listener{})
	if blame.Of(err) != blame.Interrupted || out.NotRun != 3 || out.Error == nil {
		t.Errorf("%+v, %v", out, err)
	}
	if alive != 2 { // else the next check is none
		t.Errorf("%d QEMUs ran before the interrupt, want 2", alive)
	}
	if n := machines(t, req.Out); n != 0 {
		t.Errorf("%d QEMUs are left", n)
	}
	if _, err := readBaseline(filepath.Join(req.Out, ResultName)); err != nil {
		t.Error(err)
	}
}

// machines counts the processes whose command line names a directory: QEMU's log of exceptions is in it.
func machines(t *testing.T, dir string) (n int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Error(err)
	}
	for _, p := range list {
		if data, err := os.ReadFile(p); err == nil && bytes.Contains(data, []byte(dir+"/")) {
			n++
		}
	}
	return n
}
