package bisect

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// Two guests at once on the real stand: each finds its own death and keeps its own artifacts.
func TestTwoGuestsAtOnce(t *testing.T) {
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "make test-deps")
	s := Stand{Out: t.TempDir()}
	dies, lives := fixtures.Find(t, fixtures.Seed61), fixtures.Find(t, fixtures.Good61)
	boot := func(commit string, k fixtures.Kernel) (verdict.Result, error) {
		return s.Boot(context.Background(), commit, Kernel{Plan: harness.Plan{
			Kernel: k.BzImage, Vmlinux: k.Vmlinux, Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "console", Timeout: 2 * time.Minute,
		}}, 1)
	}
	commits := []string{"dddddddddddddddddddddddddddddddddddddddd", "1111111111111111111111111111111111111111"}
	results := make([]verdict.Result, 2)
	var wait sync.WaitGroup
	for i, k := range []fixtures.Kernel{dies, lives} {
		wait.Go(func() {
			var err error
			if results[i], err = boot(commits[i], k); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if r := results[0]; r.Verdict != verdict.Bad || r.Cause == nil || r.Cause.Function != "__SetPageReserved" {
		t.Errorf("the one that dies: %s %s", r.Verdict, r.Summary)
	}
	if r := results[1]; r.Verdict != verdict.Good {
		t.Errorf("the one that lives: %s %s", r.Verdict, r.Summary)
	}
	list, err := os.ReadDir(s.Out)
	if err != nil || len(list) != 1 || list[0].Name() != "dddddddddddd-01" {
		t.Errorf("kept: %v, %v", list, err)
	}
	if _, err := os.Stat(filepath.Join(s.Out, "dddddddddddd-01", "result.json")); err != nil {
		t.Error(err)
	}
}
