package report

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"kcatch/harness/verdict"
)

// seedDeath is the death of kcatch's own story.
func seedDeath() *verdict.Result {
	return &verdict.Result{
		Verdict: verdict.Bad, Class: verdict.EarlyException, Signature: "early-exception start_kernel __SetPageReserved init_unavailable_range",
		Summary: "early-exception: #UD in __SetPageReserved()  include/linux/page-flags.h:503",
		Details: []string{"setup_arch (start_kernel), 296ms after power-on, before any console; vCPU 0 halted with interrupts off in early_fixup_exception"},
		CPUs: []verdict.CPU{{Frames: []verdict.Frame{
			{Function: "halt", File: "arch/x86/include/asm/irqflags.h", Line: 99, Inline: true},
			{Function: "early_fixup_exception", File: "arch/x86/mm/extable.c", Line: 339},
			{Function: "__SetPageReserved", File: "include/linux/page-flags.h", Line: 503, Inline: true, Cause: true},
			{Function: "init_unavailable_range", File: "mm/page_alloc.c", Line: 6958},
			{Function: "memmap_init_zone_range", File: "mm/page_alloc.c", Line: 6986, Inline: true},
			{Function: "memmap_init", File: "mm/page_alloc.c", Line: 7006, Inline: true},
			{Function: "free_area_init", File: "mm/page_alloc.c", Line: 8403},
			{Function: "zone_sizes_init", File: "arch/x86/mm/init.c", Line: 1073},
			{Function: "setup_arch", File: "arch/x86/kernel/setup.c", Line: 1238},
			{Function: "start_kernel", File: "init/main.c", Line: 935},
		}}},
	}
}

// smokeRun is a smoke test with a cell of every kind.
func smokeRun() *verdict.Smoke {
	three := 3
	good := &verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: "reached init"}
	checks := *good
	checks.Checks = []verdict.Check{{Name: "modprobe", Command: "modprobe loop", Status: new(int)}, {Name: "mount", Status: &three,
		Output: []string{"one", "two", "three", "four", "mount: special device /dev/vda does not exist", "mount: giving up"}}, {Name: "after"}}
	checks.Subtests = []verdict.Subtest{{Name: "kunit/list/list_init", Status: "pass"}, {Name: "kunit/list/list_add", Status: "fail", Reason: "expected 1, got 2"},
		{Name: "kunit/rbtree", Status: "lost"}}
	again := func(name string) string { return "kcatch smoke --profile ci.yaml --only " + name }
	s := &verdict.Smoke{Profile: "ci.yaml", Shard: "2/5", Jobs: 2, Seconds: 123, Baseline: "main.json",
		Fixed:   []verdict.Known{{Cell: "old/q35", Signature: "panic init mount_root"}},
		Expired: []verdict.Allow{{Signature: "warn initcall foo*", Cells: "old/*", Owner: "mm", Reason: "bug 17", Expires: "2026-01-31"}},
		Notes:   []string{"2 jobs: 2 cores, 256 MiB a cell"}}
	add := func(kernel, machine string, c verdict.Cell) {
		c.Name, c.Kernel, c.Machine = kernel+"/"+machine, kernel, machine
		if c.Append != "" {
			c.Name += "/" + c.Append
		}
		if c.Status == verdict.CellFail || c.Status == verdict.CellFlaky {
			c.Artifacts, c.Repeat = "~/.local/state/kcatch/smoke/20261123/"+c.Name, again(c.Name)
		}
		s.Add(c)
	}
	add("stable", "q35", verdict.Cell{Status: verdict.CellPass, Attempts: 1, Seconds: 0.41, Result: good})
	add("stable", "microvm", verdict.Cell{Status: verdict.CellFail, Attempts: 1, Seconds: 0.9, Result: &checks,
		Reason: "check mount: exit status 3; check after: did not come back"})
	add("patched", "q35", verdict.Cell{Status: verdict.CellFail, Attempts: 2, Seconds: 0.61, Result: seedDeath(), Novelty: "new", Tries: []verdict.Try{
		{Summary: "x", Signature: "s"}, {Summary: "x", Signature: "s"}}})
	add("patched", "microvm", verdict.Cell{Status: verdict.CellFail, Attempts: 1, Seconds: 0.5, Result: seedDeath(), Novelty: "new",
		Reason: "early-exception: #UD in __SetPageReserved() include/linux/page-flags.h:503"})
	add("patched", "q35", verdict.Cell{Append: "quiet", Status: verdict.CellFlaky, Attempts: 2, Seconds: 12.4, Result: &verdict.Result{Verdict: verdict.Bad,
		Class: verdict.Hang, Summary: "hang: idle in wait_for_completion()"}, Tries: []verdict.Try{
		{Summary: "hang: idle in wait_for_completion()", Seconds: 11.9}, {Summary: "reached init", Seconds: 0.5, Passed: true}}})
	for _, m := range []string{"q35", "microvm"} {
		add("next", m, verdict.Cell{Status: verdict.CellSkip, Reason: "build: mm/slub.c:17:1: error: unknown type name 'foo'", Repeat: again("next/" + m)})
	}
	add("old", "q35", verdict.Cell{Status: verdict.CellPass, Attempts: 1, Seconds: 2, Novelty: "known", Result: &verdict.Result{Verdict: verdict.Bad,
		Summary: "panic: VFS: Unable to mount root fs"}})
	add("old", "microvm", verdict.Cell{Status: verdict.CellPass, Attempts: 1, Seconds: 63, Result: &verdict.Result{Verdict: verdict.Bad,
		Summary: "warn: in foo()"}, Allowed: &verdict.Allow{Owner: "mm", Reason: "bug 18", Expires: "2027-01-31"}})
	add("stable", "pc", verdict.Cell{Status: verdict.CellError, Reason: "qemu-system-x86_64: not found", Attempts: 0})
	add("next", "pc", verdict.Cell{Status: verdict.CellNotRun})
	return s
}

func TestSmokeText(t *testing.T) {
	for _, tt := range []struct {
		name  string
		style Style
	}{{"smoke-plain.txt", Style{}}, {"smoke-80.txt", Style{Width: 80}}, {"smoke-160-color.txt", Style{Width: 160, Color: true}}} {
		var b strings.Builder
		if err := SmokeText(&b, smokeRun(), tt.style); err != nil {
			t.Fatal(err)
		}
		golden(t, tt.name, strings.ReplaceAll(b.String(), "\x1b", "^["))
		for _, l := range strings.Split(b.String(), "\n") {
			copied := strings.Contains(l, "artifacts") || strings.Contains(l, "again") || strings.Contains(l, "signature")
			if n := utf8.RuneCountInString(l); tt.style.Width == 80 && n > 80 && !copied {
				t.Errorf("%d columns: %s", n, l)
			}
		}
	}
}

// TestSmokeTextOfAllPassed: what is well takes little room.
func TestSmokeTextOfAllPassed(t *testing.T) {
	var s verdict.Smoke
	s.Add(verdict.Cell{Name: "a/b", Kernel: "a", Machine: "b", Status: verdict.CellPass, Attempts: 1, Seconds: 0.44})
	s.Seconds = 1
	var b strings.Builder
	if err := SmokeText(&b, &s, Style{}); err != nil {
		t.Fatal(err)
	}
	if want := "   b\na  pass 0.4s\n\nPASS  1 cell in 1.0s: 1 passed\n"; b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestSameGuestFailure: what failed in several guests alike is shown once, and each boot of a cell says what it failed of.
func TestSameGuestFailure(t *testing.T) {
	two := 2
	var s verdict.Smoke
	add := func(name, output string, summaries ...string) {
		c := verdict.Cell{Name: "k/" + name, Kernel: "k", Machine: name, Status: verdict.CellFail, Attempts: len(summaries), Reason: "check net: exit status 2",
			Result: &verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: summaries[0],
				Checks: []verdict.Check{{Name: "net", Status: &two, Output: []string{output}}}}}
		for _, text := range summaries {
			c.Tries = append(c.Tries, verdict.Try{Verdict: verdict.Good, Class: verdict.OK, Summary: text, Reason: c.Reason, Seconds: 1})
		}
		s.Add(c)
	}
	add("a", "no socket", "6.1 reached init after 1s", "6.1 reached init after 2s")
	add("b", "no socket", "6.1 reached init after 3s")
	add("c", "no device", "6.1 reached init after 4s")
	var b, md, xml strings.Builder
	if err := errors.Join(SmokeText(&b, &s, Style{}), SmokeMarkdown(&md, &s), JUnit(&xml, &s)); err != nil {
		t.Fatal(err)
	}
	want := `FAIL   k/a
       6.1 reached init after 1s
       2 boots, and the same each time
       check net: exit status 2
         | no socket

FAIL   k/b
       6.1 reached init after 3s
       check net: exit status 2
       the same as in k/a

FAIL   k/c
       6.1 reached init after 4s
       check net: exit status 2
         | no device

`
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if n := strings.Count(md.String(), "\n        no socket\n"); n != 1 || !strings.Contains(md.String(), "The same as in `k/a`.\n") {
		t.Errorf("Markdown has the output %d times:\n%s", n, md.String())
	}
	if want := `<rerunFailure message="attempt 2: check net: exit status 2" type="check">`; !strings.Contains(xml.String(), want) {
		t.Errorf("JUnit has no %s:\n%s", want, xml.String())
	}
}

// TestSmokeTextOfForeignCells: a result whose cells have no place, or two of them the same, is a list.
func TestSmokeTextOfForeignCells(t *testing.T) {
	var s verdict.Smoke
	s.Add(verdict.Cell{Name: "x", Status: verdict.CellPass, Attempts: 1})
	s.Add(verdict.Cell{Name: "y", Status: "surely", Attempts: 1})
	s.Error = &verdict.Error{Message: "interrupted", Hint: "again"}
	var b strings.Builder
	if err := SmokeText(&b, &s, Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pass 0.0s   x\n", "ERROR 0.0s  y\n", "not finished: interrupted\nhint: again\n", "ERROR  2 cells in 0.0s: 1 passed, 1 in error"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestSmokeTextOfHostileGuest: nothing that a guest can write reaches the terminal or a CI's commands as it is.
func TestSmokeTextOfHostileGuest(t *testing.T) {
	const evil = "\n::error::owned and so on until ::error::it ::error::wraps ::error::here\n##[error]x \x1b[2J\u202e\x00"
	s := smokeRun()
	for i := range s.Cells {
		c := &s.Cells[i]
		c.Reason, c.Artifacts = evil, evil
		if c.Result == nil {
			continue
		}
		r := *c.Result
		r.Summary, r.Details = evil, []string{evil}
		r.Checks = []verdict.Check{{Name: evil, Output: []string{evil}}}
		r.Subtests = []verdict.Subtest{{Name: evil, Status: "fail", Reason: evil}}
		r.CPUs = []verdict.CPU{{Frames: []verdict.Frame{{Function: evil, File: evil, Line: 1, Module: evil}}}}
		r.Error = &verdict.Error{Message: evil, Hint: evil}
		c.Result = &r
		for j := range c.Tries {
			c.Tries[j].Summary = evil
			c.Tries[j].Passed = true
		}
	}
	s.Fixed, s.Notes = []verdict.Known{{Cell: evil, Signature: evil}}, []string{evil}
	s.Expired = []verdict.Allow{{Signature: evil, Owner: evil, Reason: evil, Expires: evil}}
	s.Error = &verdict.Error{Message: evil, Hint: evil}
	for _, style := range []Style{{}, {Width: 80}, {Width: 24}} {
		var b strings.Builder
		if err := SmokeText(&b, s, style); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "owned") {
			t.Fatal("the text is not there at all")
		}
		for _, l := range strings.Split(b.String(), "\n") {
			if strings.HasPrefix(strings.TrimSpace(l), "::") || strings.Contains(l, "##[") || strings.ContainsAny(l, "\x1b\x00\u202e") {
				t.Errorf("width %d: hostile text went through: %q", style.Width, l)
			}
		}
	}
}

// TestChecksOfADeath: a check whose turn did not come is told of where the kernel lived, and is no news of one that died.
func TestChecksOfADeath(t *testing.T) {
	for v, want := range map[verdict.Verdict]bool{verdict.Bad: false, verdict.Good: true} {
		s := &verdict.Smoke{}
		s.Add(verdict.Cell{Name: "a", Status: verdict.CellFail, Result: &verdict.Result{Verdict: v, Checks: []verdict.Check{{Name: "late", Note: verdict.NotBegun}}}})
		var b strings.Builder
		if err := SmokeText(&b, s, Style{}); err != nil || strings.Contains(b.String(), "check late") != want {
			t.Errorf("%s: %v\n%s", v, err, b.String())
		}
	}
}
