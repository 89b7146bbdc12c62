package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestHeld: a stop that is no death shows its chain, and text of the guest stays on its line.
func TestHeld(t *testing.T) {
	r := verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: "stopped at vfs_read\n::error::x", Details: []string{"q35"},
		CPUs: []verdict.CPU{{Frames: []verdict.Frame{{Function: "vfs_read", File: "fs/read_write.c", Line: 450, PC: 0xffffffff81000000}}}}}
	var b strings.Builder
	if err := Held(&b, &r, Style{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !strings.HasPrefix(text, "STOP  stopped at vfs_read") || strings.Contains(text, "\n::error::") || !strings.Contains(text, "vfs_read") || !strings.Contains(text, "fs/read_write.c:450") {
		t.Errorf("%s", text)
	}
	bad := verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops, Summary: "oops: #PF in f()"}
	var held, whole strings.Builder
	if err := Held(&held, &bad, Style{}); err != nil {
		t.Fatal(err)
	}
	if err := Text(&whole, &bad, Style{}); err != nil || held.String() != whole.String() || !strings.HasPrefix(held.String(), "BAD") {
		t.Errorf("%v: %s\nwant %s", err, held.String(), whole.String())
	}
}
