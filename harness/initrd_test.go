package harness

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/fixtures"
)

// TestAnotherInit: an initramfs that is not ours prints no marker of this boot; the kernel's word must do.
func TestAnotherInit(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	busybox, err := images.FindBusybox()
	fixtures.Need(t, err == nil, "busybox-static", "make test-deps")
	data, err := images.Build(images.Spec{Busybox: busybox, Marker: images.NewMarker(), Run: "sleep 60"})
	if err != nil {
		t.Fatal(err)
	}
	p.Initrd = filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(p.Initrd, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := boots(t, p); r.Verdict != verdict.Good {
		t.Errorf("verdict %s: %s", r.Verdict, r.Summary)
	}
}

// TestRun: a command in the guest may be silent for longer than a kernel may; the boot ends with the guest's shutdown.
func TestRun(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Run, p.Quiet = "sleep 4; exit 3", 2*time.Second
	r := boots(t, p)
	if r.Verdict != verdict.Good || r.Timing.Boot < 4 {
		t.Errorf("verdict %s after %.1f s: %s", r.Verdict, r.Timing.Boot, r.Summary)
	}
	if len(r.Details) != 2 || r.Details[1] != "--run exited with 3 (its status does not count for the verdict)" {
		t.Errorf("details %q", r.Details)
	}
}
