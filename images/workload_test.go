package images

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// TestWorkloadImage: a workload's script and program are in the image, and only there when asked for. That they run is seen in
// harness, on real kernels.
func TestWorkloadImage(t *testing.T) {
	_, err := exec.LookPath("gcc")
	fixtures.Need(t, err == nil, "gcc", "make deps")
	helper, err := BuildHelper(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := BuildHelper(t.Context()); err != nil || !bytes.Equal(helper, again) {
		t.Errorf("the helper is not the same twice: %v", err)
	}
	f, err := elf.NewFile(bytes.NewReader(helper))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_EXEC || len(helper) > 64<<10 {
		t.Errorf("the helper is %v of %d bytes; want a small program at fixed addresses", f.Type, len(helper))
	}
	if !slices.Contains(Workloads(), "memory") {
		t.Fatalf("workloads %q", Workloads())
	}
	for _, name := range Workloads() {
		script, err := workloadScript(name)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(busybox(t), "sh", "-nc", string(script)).CombinedOutput(); err != nil {
			t.Errorf("%s: busybox sh: %v\n%s", name, err, out)
		}
		b, err := Build(Spec{Busybox: busybox(t), Marker: "m", Workload: name, Helper: helper})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint32{}
		for _, m := range read(t, b) {
			got[m.name] = m.mode
		}
		if got["etc/kcatch/workload"] != modeRegular|0o644 || got["etc/kcatch/helper"] != modeRegular|0o755 {
			t.Errorf("%s: workload %o, helper %o", name, got["etc/kcatch/workload"], got["etc/kcatch/helper"])
		}
	}
	for _, name := range []string{"nope", "../rc", "helper.c", "memory.sh", "."} {
		if _, err := Build(Spec{Busybox: busybox(t), Marker: "m", Workload: name}); blame.Of(err) != blame.Usage || !strings.Contains(blame.Hint(err), "memory") {
			t.Errorf("%q: %v, hint %q", name, err, blame.Hint(err))
		}
	}
}

func TestAddStep(t *testing.T) {
	for _, c := range []struct {
		lines string
		want  []Step
	}{
		{"kcatch-workload: swap begins\n[    1.5] kcatch-workload: swap ok\r\n", []Step{{"swap", OK, ""}}},
		{"kcatch-workload: ksm begins\nkcatch-workload: ksm not there: no KSM: at all", []Step{{"ksm", Absent, "no KSM: at all"}}},
		{"kcatch-workload: thp failed with 1: torn", []Step{{"thp", Failed, "torn"}}},
		{"kcatch-workload: thp failed with 137: ", []Step{{"thp", Failed, "killed, after 30 s or for want of memory"}}},
		{"kcatch-workload: thp failed with 2", []Step{{"thp", Failed, "exit status 2"}}},
		{"kcatch-workload: b begins\nkcatch-workload: a begins\nkcatch-workload: b ok\nkcatch-workload: b begins", []Step{{"b", OK, ""}, {"a", Begun, ""}}},
		{"kcatch-workload: \nkcatch-workload: x\nkcatch-workload: x jumps\nkcatch-workload: \x1b[1m ok\nworkload: x ok", nil},
	} {
		var got []Step
		for line := range strings.Lines(c.lines) {
			got = AddStep(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %+v, want %+v", c.lines, got, c.want)
		}
	}
}

func FuzzAddStep(f *testing.F) {
	f.Add("kcatch-workload: ksm not there: no KSM\nkcatch-workload: a begins\nkcatch-workload: a failed with 9: x")
	f.Fuzz(func(t *testing.T, text string) {
		var steps []Step
		for line := range strings.Lines(text) {
			steps = AddStep(steps, line)
		}
		if len(steps) > maxSteps {
			t.Errorf("%d steps", len(steps))
		}
		seen := map[string]bool{}
		for _, s := range steps {
			if !validMarker(s.Name) || seen[s.Name] || !slices.Contains([]Outcome{Begun, OK, Absent, Failed}, s.Outcome) {
				t.Errorf("step %+v", s)
			}
			seen[s.Name] = true
		}
	})
}

func TestHelperWithoutCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := BuildHelper(t.Context()); blame.Of(err) != blame.Infrastructure || !strings.Contains(blame.Hint(err), "gcc") {
		t.Errorf("%v, hint %q", err, blame.Hint(err))
	}
}

// TestStepEnds: a step that does not end is ended with its children, one of which holds its output, and what it has set is put back; the
// next step runs. It is the script's own loop around steps that do nothing to this machine.
func TestStepEnds(t *testing.T) {
	script, err := workloadScript("memory")
	if err != nil {
		t.Fatal(err)
	}
	_, loop, ok := strings.Cut(string(script), "\n# limited ARGS:")
	if !ok {
		t.Fatal("the script has no limited()")
	}
	dir := t.TempDir()
	steps := fmt.Sprintf(`steps='good stuck ksm'
dir=%s
limit=1
scale=/nowhere
say() { echo "$1"; }
after() { echo "$1" >>$dir/after; }
step() {
	case $1 in
	stuck)
		(sleep 3600; echo late >$dir/late) &
		echo $! >$dir/child
		sleep 3600
		;;
	ksm) echo 'no more'; exit 77 ;;
	esac
}
#`, dir)
	path := filepath.Join(dir, "workload")
	if err := os.WriteFile(path, []byte(steps+loop), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // that it hangs is the failure
	defer cancel()
	cmd := exec.CommandContext(ctx, busybox(t), "sh", path)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	want := "kcatch-workload: good begins\nkcatch-workload: good ok\nkcatch-workload: stuck begins\nkcatch-workload: stuck failed with 137: \n" +
		"kcatch-workload: ksm begins\nkcatch-workload: ksm not there: no more\n"
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || string(out) != want {
		t.Fatalf("%v:\n%s\nwant exit status 1 and\n%s", err, out, want)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "after")); err != nil || string(b) != "ksm\n" {
		t.Errorf("put back: %q, %v", b, err)
	}
	child, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	// A zombie of a session that nobody reaps has no command line.
	cmdline, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(child)), "cmdline"))
	if err == nil && strings.Contains(string(cmdline), "sh") {
		t.Errorf("child %s lives on: %q", child, cmdline)
	}
}
