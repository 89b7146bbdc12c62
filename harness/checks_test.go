package harness

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// told is how checks went, in a line each, with the last lines of their output.
func told(checks []verdict.Check) string {
	var b strings.Builder
	for _, c := range checks {
		how := c.Note
		if c.Status != nil {
			how = fmt.Sprint(*c.Status)
		}
		fmt.Fprintf(&b, "%s: %s: %s\n", c.Name, how, strings.Join(c.Output[max(0, len(c.Output)-3):], ", "))
	}
	return b.String()
}

// TestChecks runs checks in a guest: they pass and fail, one prints TAP, one prints the log, and the kernel speaks while one speaks.
func TestChecks(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Run = "echo the run"
	p.Checks = []GuestCheck{
		{Name: "passes", Command: "echo a; echo b >&2"},
		{Name: "fails", Script: []byte("#!/bin/nothing\necho no\nexit 3\n")},
		{Name: "slow", Command: "echo begins; sleep 9", Limit: time.Second},
		{Name: "tap", Command: `printf 'TAP version 13\n1..3\nok 1 a\n# why\nnot ok 2 b # exit=1\n'; exit 1`},
		{Name: "log", Command: "dmesg | grep 'Linux version'"},
		{Name: "both", Command: "i=0; while [ $i -lt 40 ]; do echo '<3>of the kernel' >/dev/kmsg; echo of the check, a line that is not short; i=$((i+1)); done"},
	}
	r := boots(t, p)
	if r.Verdict != verdict.Good {
		t.Fatalf("%s: %s\n%s", r.Verdict, r.Summary, told(r.Checks))
	}
	if want := "passes: 0: a, b\nfails: 3: no\nslow: stopped after 1s: begins\ntap: 1: ok 1 a, # why, not ok 2 b # exit=1\n"; !strings.HasPrefix(told(r.Checks), want) {
		t.Fatalf("got\n%s\nwant\n%s", told(r.Checks), want)
	}
	if c := r.Checks[4]; !c.Passed() || len(c.Output) != 1 || !strings.Contains(c.Output[0], "] Linux version 6.1") {
		t.Errorf("log: %+v", c)
	}
	// Few of the 40 lines may be torn, where a line of the kernel began exactly behind a tag.
	whole := 0
	for _, l := range r.Checks[5].Output {
		if l == "of the check, a line that is not short" {
			whole++
		}
	}
	if c := r.Checks[5]; !c.Passed() || whole < 38 {
		t.Errorf("%d of 40 lines are whole:\n%s", whole, strings.Join(c.Output, "\n"))
	}
	if c := r.Checks[2]; c.Seconds < 0.9 || c.Seconds > 30 {
		t.Errorf("slow took %v s", c.Seconds)
	}
	want := []verdict.Subtest{{Name: "tap/a", Status: "pass"}, {Name: "tap/b", Status: "fail", Reason: "exit=1", Lines: []string{"# why"}}, {Name: "tap/#3", Status: "lost"}}
	if fmt.Sprint(r.Subtests) != fmt.Sprint(want) {
		t.Errorf("subtests %+v\nwant %+v", r.Subtests, want)
	}
	if !slices.Contains(r.Console, "the run") {
		t.Errorf("--run printed %q", r.Console)
	}
}

// TestDeathInCheck: the kernel dies in a check, or does not go on.
func TestDeathInCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command string
		quiet         time.Duration
		class         verdict.Class
	}{
		{"dies", "echo before; echo c >/proc/sysrq-trigger", 0, verdict.Panic},
		{"waits", "echo before; sleep 3600", 3 * time.Second, verdict.Hang}, // nothing says anything for longer than it may
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, fixtures.Good61))
			p.Quiet = c.quiet
			p.Checks = []GuestCheck{{Name: "first", Command: "true"}, {Name: c.name, Command: c.command}, {Name: "last", Command: "true"}}
			r := boots(t, p)
			want := "first: 0: \n" + c.name + ": the boot ended in it: before\nlast: not begun: \n"
			if r.Verdict != verdict.Bad || r.Class != c.class || told(r.Checks) != want {
				t.Fatalf("%s, %s: %s\ngot\n%s\nwant\n%s", r.Verdict, r.Class, r.Summary, told(r.Checks), want)
			}
			if line := "in the check " + c.name; !slices.ContainsFunc(r.Details, func(s string) bool { return strings.HasPrefix(s, line) }) ||
				strings.Contains(r.Summary, line) != (c.class == verdict.Hang) || strings.Contains(r.Signature, c.name) {
				t.Errorf("summary %q, signature %q, details %q", r.Summary, r.Signature, r.Details)
			}
		})
	}
}

func TestChecksRefused(t *testing.T) {
	many := make([]GuestCheck, images.MaxChecks+1)
	ok := GuestCheck{Name: "a", Command: "true"}
	for want, p := range map[string]Plan{
		"only kcatch's own initramfs": {Initrd: "none", Until: "init", Checks: []GuestCheck{ok}},
		"--until console":             {Until: "console", Checks: []GuestCheck{ok}},
		"at most 999":                 {Until: "init", Checks: many},
		`name ""`:                     {Until: "init", Checks: []GuestCheck{{Command: "true"}}},
		`name "a\\x1b"`:               {Until: "init", Checks: []GuestCheck{{Name: "a\x1b", Command: "true"}}},
		"two have this name":          {Until: "init", Checks: []GuestCheck{ok, ok}},
		"a: want a command or a":      {Until: "init", Checks: []GuestCheck{{Name: "a"}}},
		"b: want a command or a":      {Until: "init", Checks: []GuestCheck{{Name: "b", Command: "x", Script: []byte("x")}}},
		"larger than 1 MiB":           {Until: "init", Checks: []GuestCheck{{Name: "a", Script: make([]byte, maxCheckScript+1)}}},
		"NUL byte":                    {Until: "init", Checks: []GuestCheck{{Name: "a", Script: []byte("\x7fELF\x00")}}},
		"limit of 1ms":                {Until: "init", Checks: []GuestCheck{{Name: "a", Command: "x", Limit: time.Millisecond}}},
		"limit of 2h0m0s":             {Until: "init", Checks: []GuestCheck{{Name: "a", Command: "x", Limit: 2 * time.Hour}}},
	} {
		if err := checkChecks(p); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := checkChecks(Plan{Until: "init", Checks: []GuestCheck{ok, {Name: "b", Script: []byte("x"), Limit: time.Hour}}}); err != nil {
		t.Error(err)
	}
}

// TestHearing: the results of tests are taken from where they are whole.
func TestHearing(t *testing.T) {
	const report = "KTAP version 1\n1..2\nok 1 a\nnot ok 2 b"
	log := func(first uint64, text string) (out []verdict.LogLine) {
		for i, line := range strings.Split(text, "\n") {
			out = append(out, verdict.LogLine{Seq: first + uint64(i), Time: 1, Text: line})
		}
		return out
	}
	stamped := "[    1.000000] " + strings.ReplaceAll(report, "\n", "\r\n[    1.000000] ") + "\r\n"
	const tap = "TAP version 13\r\n1..1\r\nok 1 x\r\n"
	const began, ended = "kcatch: check 001 begins at 1.00 m\n", "kcatch: check 001 exited 0 at 1.00 m\n"
	for _, c := range []struct {
		name, console string
		log           []verdict.LogLine
		want          string
		notes         int
	}{
		{"none", "hello\n", nil, "", 0},
		{"log and console", stamped, log(0, report), "kunit/a kunit/b", 0},
		{"quiet console", "", log(0, report), "kunit/a kunit/b", 0},
		{"no log", stamped, nil, "kunit/a kunit/b", 0},
		{"the log is written over", stamped, log(7, "not ok 2 b\nmore"), "kunit/a kunit/b", 0},
		{"the log is written over, and the console quiet", "", log(7, report), "kunit/a kunit/b", 1},
		{"without times", report + "\n" + tap, log(0, report), "kunit/a kunit/b userspace/x", 0},
		{"both", stamped + tap, log(0, report), "kunit/a kunit/b userspace/x", 0},
		{"the kernel's lines between", "TAP version 13\n1..2\nok 1 x\n" + stamped + "ok 2 y\n", log(0, report), "kunit/a kunit/b userspace/x userspace/y", 0},
		{"a check", "kcatch: check 001 begins at 1.00 m\n| TAP version 13\n| 1..1\n| ok 1 x\nkcatch: check 001 exited 0 at 1.00 m\nkcatch: check 002 begins at 1.00 m\n" + tap,
			nil, "one/x userspace/x", 0},
		{"a long report of a check", began + "| TAP version 13\n| not ok 1 x\n" + strings.Repeat("| "+strings.Repeat("y", 999)+"\n", 300) + "| ok 2 z\n" + ended, nil, "one/x one/z", 0},
		{"a part of it left out", began + "| TAP version 13\n| ok 1 x\n!\n| ok 3 z\n" + ended, nil, "one/x one/z one/(output left out)", 0},
		{"no report, a part left out", began + "| x\n!\n| ok 3 z\n" + ended, nil, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hearing{log: c.log, reader: images.CheckReader{Marker: "m", Checks: 1}}
			h.console(func(each func(string)) {
				for line := range strings.Lines(c.console) {
					each(line)
				}
			})
			run := h.runs(1)[0]
			got, notes := h.subtests([]verdict.Check{checkOf(&GuestCheck{Name: "one"}, &run, verdict.Good)}, []images.CheckRun{run})
			var names []string
			for _, s := range got {
				names = append(names, s.Name)
			}
			if strings.Join(names, " ") != c.want || len(notes) != c.notes {
				t.Errorf("got %q, notes %q", names, notes)
			}
		})
	}
}

// TestHearingIsBounded: times that a guest prints over and over are looked up so often and not more.
func TestHearingIsBounded(t *testing.T) {
	h := &hearing{log: []verdict.LogLine{{Text: "of the kernel"}}, reader: images.CheckReader{Marker: "m", Checks: 1}}
	const stamp = "[    1.000000] "
	h.console(func(each func(string)) {
		each("kcatch: check 001 begins at 1.00 m")
		for range maxTorn / 50 {
			each("| " + strings.Repeat(stamp+"x", 52))
		}
		each("| c" + stamp + "of the kernel")
		each("kcatch: check 001 exited 0 at 1.00 m")
	})
	if out := h.runs(1)[0].Output; !strings.HasSuffix(out, "\nc"+stamp+"of the kernel") {
		t.Errorf("it is looked for without end: %q", out[max(0, len(out)-40):])
	}
}

// TestReachedAfter: the time to init is that of its first word, whatever ran then; another good end has no word.
func TestReachedAfter(t *testing.T) {
	marks := []verdict.Mark{{Stage: "userspace", Seconds: 1}, {Stage: verdict.MarkInit, Seconds: 1.25, Event: true}, {Stage: verdict.MarkEnd, Seconds: 5, Event: true}}
	for _, tt := range []struct {
		until string
		marks []verdict.Mark
		after time.Duration
		want  time.Duration
	}{
		{"init", marks, 5 * time.Second, 1250 * time.Millisecond},
		{"init", marks, time.Second, time.Second},
		{"init", marks[:1], 5 * time.Second, 5 * time.Second},
		{"do_exit", marks, 5 * time.Second, 5 * time.Second},
	} {
		if got := reachedAfter(tt.until, tt.marks, tt.after); got != tt.want {
			t.Errorf("%s of %d marks after %s: %s, want %s", tt.until, len(tt.marks), tt.after, got, tt.want)
		}
	}
}
