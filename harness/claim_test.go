package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestClaim(t *testing.T) {
	dir := t.TempDir()
	release, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir); blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), "another kcatch writes there") {
		t.Errorf("a second one: %v, want it refused", err)
	}
	release()
	release, err = Claim(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	release()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v; want nothing", left, err)
	}
}

// A boot must not touch the files of another that is under way.
func TestBootIntoClaimedDirectory(t *testing.T) {
	dir := t.TempDir()
	console := filepath.Join(dir, "console.log")
	if err := os.WriteFile(console, []byte("of the first\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	first := &boot{plan: Plan{Out: dir}}
	release, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.openArtifacts(); err == nil {
		t.Error("a directory that another boot has was taken")
	}
	if _, err := os.Stat(console); err != nil {
		t.Error(err)
	}
	release()
	if err := first.openArtifacts(); err != nil {
		t.Fatal(err)
	}
	if err := (&boot{plan: Plan{Out: dir}}).openArtifacts(); err == nil {
		t.Error("a boot does not claim its directory")
	}
	first.artifacts.release()
	second := &boot{plan: Plan{Out: dir}}
	if err := second.openArtifacts(); err != nil {
		t.Error(err)
	}
	second.artifacts.release()
}
