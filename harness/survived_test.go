package harness

import (
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestSurvivedWarn holds what is said of a WARN that the kernel survived to the moment of the WARN. It stands in init text, which the
// kernel has freed and filled with int3 when the boot is over (objdump -d vmlinux has ud2 there), before there is a console, and its
// report is far from the end of the log.
func TestSurvivedWarn(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Survey61))
	p.FailOn = []verdict.Class{verdict.Oops, verdict.Bug, verdict.Warn}
	r := boots(t, p)
	if r.Class != verdict.Warn || r.Cause == nil || r.Cause.Instruction != "ud2" || r.Cause.InlinedInto[0] != "init_unavailable_range" {
		t.Fatalf("%s, cause %+v", r.Summary, r.Cause)
	}
	// The same WARN says the same of itself when it only is survived: allow lists go by that.
	if len(r.Warnings) == 0 || r.Warnings[0].Signature != r.Signature || r.Signature != "warn/start_kernel/__SetPageReserved/init_unavailable_range/memmap_init_zone_range/memmap_init/free_area_init" {
		t.Errorf("signature %s, and of the first of %d WARNs %+v", r.Signature, len(r.Warnings), r.Warnings[:min(1, len(r.Warnings))])
	}
	if len(r.Details) == 0 || !strings.Contains(r.Details[0], "before any console") {
		t.Errorf("details %q", r.Details)
	}
	at := slices.IndexFunc(r.Log, func(l verdict.LogLine) bool { return r.LogAt != nil && l.Seq == *r.LogAt })
	first := slices.IndexFunc(r.Log, func(l verdict.LogLine) bool { return strings.HasPrefix(l.Text, "WARNING: ") })
	if at != first || at < 0 || at > len(r.Log)/2 {
		t.Errorf("record %d of %d is said to report it, and record %d does", at, len(r.Log), first)
	}
}
