package report

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"kcatch/harness/verdict"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "hello", 0, "hello"},
		{"escape sequence", "\x1b[2J\x1b]0;owned\x07", 0, `\x1b[2J\x1b]0;owned\x07`},
		{"NUL and DEL", "a\x00b\x7f", 0, `a\x00b\x7f`},
		{"C1 control", "a\u009bm", 0, `a\u009bm`},
		{"right-to-left override", "a\u202eb", 0, `a\u202eb`},
		{"broken UTF-8", "a\xffb", 0, `a\xffb`},
		{"newline", "a\nb", 0, `a\x0ab`},
		{"tab", "a\tb", 0, "a b"},
		{"cut", "abcdef", 4, "abcd… (2 more characters)"},
		{"at the limit", "abcd", 4, "abcd"},
		{"a command of GitHub's", "::error::x ::y", 0, `\x3a:error::x ::y`},
		{"behind spaces", " \t::error::x", 0, `  \x3a:error::x`},
		{"its older form, and Azure's", "a ##[error]b ##vso[task.x]c", 0, `a \x23#[error]b \x23#vso[task.x]c`},
		{"no command", "## a::b #[1]", 0, "## a::b #[1]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Clean(tc.in, tc.limit); got != tc.want {
				t.Errorf("Clean(%q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31m", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Clean(s, limit)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		if strings.HasPrefix(strings.TrimSpace(got), "::") || ciCommand.MatchString(got) {
			t.Errorf("Clean(%q) = %q: a CI would act upon it", s, got)
		}
	})
}

var ciCommand = regexp.MustCompile(`##[a-z]*\[`)

// JSON on a terminal or in a CI's log does nothing there, and a program reads the guest's own text.
func TestJSONIsInert(t *testing.T) {
	want := "\x1b[31m \u009b31m \u202e ##[error] ##vso[x] \U000e0041 ::error:: \x7f <b>&"
	var b strings.Builder
	if err := JSON(&b, &verdict.Result{Summary: want}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) }) || ciCommand.MatchString(b.String()) {
		t.Errorf("%q", b.String())
	}
	var back verdict.Result
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back.Summary != want {
		t.Errorf("read back %q, %v", back.Summary, err)
	}
}

func TestReadable(t *testing.T) {
	expansion := "page dumped because: VM_BUG_ON_PAGE(" + strings.Repeat("__builtin_choose_expr((x), ", 30)
	got := readable(expansion, "VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page)")
	if want := "page dumped because: VM_BUG_ON_PAGE(atomic_read(&policy(page, 1)->_refcount))  [macro-expanded, 810 characters]"; got != want {
		t.Errorf("readable = %q\n    want %q", got, want)
	}
	for _, plain := range []string{"page dumped because: VM_BUG_ON_PAGE(PageTail(page))", "hello", dumpReason} {
		if got := readable(plain, ""); got != plain {
			t.Errorf("readable(%q) = %q", plain, got)
		}
	}
}

// death is a result with everything in it that text.go prints; guest text is hostile.
func death() *verdict.Result {
	e := &verdict.Exception{Vector: 6, Name: "#UD"}
	return &verdict.Result{
		Schema: verdict.Schema, Verdict: verdict.Bad, Class: verdict.EarlyException, Stage: verdict.StartKernel,
		Summary: "early-exception: #UD in f()  include/linux/f.h:503", Blame: "kernel",
		Details: []string{"setup_arch (start_kernel), 57ms after power-on"},
		Cause: &verdict.Cause{Function: "f", File: "include/linux/f.h", Line: 503, Exception: e,
			Bug: &verdict.BugSite{File: "include/linux/f.h", Line: 503, Text: "kernel BUG at include/linux/f.h:503!"},
			Assertion: &verdict.Assertion{Text: "BUG_ON(x)", Patch: "p", Values: []verdict.ConditionValue{{Expression: "page", Value: "0x10", Through: true, ByLog: true},
				{Expression: "page->x", Value: "\"\x1b[31m\""}, {Expression: "tail", Value: "NULL", Through: true}}},
			Page: &verdict.Page{Text: "page 0x10: pfn\x1b 0x0"}, SourceFile: "mm/g.c",
			Source: []verdict.SourceLine{{Line: 7, Text: "\tbefore();"}, {Line: 8, Text: "\tf(\x1b[2J);", Here: true}}},
		CPUs: []verdict.CPU{{CPU: 0, State: "halted", Frames: []verdict.Frame{
			{Function: "die", PC: 1, FoundBy: "registers", File: "a.c", Line: 1},
			{Function: "f", PC: 2, FoundBy: "regs", File: "include/linux/f.h", Line: 503, Inline: true, Exception: e, Cause: true},
			{Function: "\x1b]0;owned\x07", PC: 3, FoundBy: "scan"},
			{PC: 0xffffffff81000000, FoundBy: "orc", Reason: "not in the kernel's code"},
		}, Stopped: "the chain ends here"}},
		Log:       []verdict.LogLine{{Text: "one\ntwo \x1b[31m", Open: true}},
		Warnings:  []verdict.Warning{{Summary: "WARNING at x.c:1"}},
		Notes:     []string{"a note"},
		Artifacts: verdict.Artifacts{Dir: "/a", QEMUCommand: "/a/qemu.sh", GDBCommand: "gdb x"},
	}
}

// A command that is printed can be pasted, whatever --out was.
func TestTextQuotesPathsForTheShell(t *testing.T) {
	r := death()
	r.Artifacts.QEMUCommand = "/a b/it's/qemu.sh"
	var b bytes.Buffer
	if err := Text(&b, r, Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`sh '/a b/it'\''s/qemu.sh'` + "\n", `sh '/a b/it'\''s/qemu.sh' nokaslr -S` + "\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
}

func TestTextShowsTheDeath(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, death(), Style{}); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	for _, want := range []string{
		"BAD  early-exception  #UD in f()  include/linux/f.h:503\n", "kernel BUG at include/linux/f.h:503!", "BUG_ON(x)     <- p",
		" ──  exception #UD (6)", "◀ here", "guess", "0xffffffff81000000", "      8 > ", "note: a note", "sh /a/qemu.sh",
		"WARNING at x.c:1", "not on any console",
		"\n    page->x = \"\\x1b[31m\", page = 0x10 (by the kernel's own dump of it in the log)\n    tail = NULL\n  page 0x10: pfn\\x1b 0x0\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if strings.ContainsAny(out, "\x1b\x07") {
		t.Errorf("an escape of the guest's came through:\n%q", out)
	}
}

func TestColourIsOnlyAskedFor(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, death(), Style{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\x1b[1;31mBAD\x1b[0m") {
		t.Error("no colour")
	}
}

func TestJSONReadsBack(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, death()); err != nil {
		t.Fatal(err)
	}
	var r verdict.Result
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != "kcatch/result/v1" || r.Cause.Line != 503 || r.CPUs[0].Frames[1].FoundBy != "regs" {
		t.Errorf("read back: %+v", r)
	}
	for _, want := range []string{`"inlined_into":`, `"kaslr_slide": "0x0"`, `"pc": "0xffffffff81000000"`, `"error_code": 0`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("JSON lacks %s:\n%s", want, b.String())
		}
	}
}

func TestWithoutDumpKeepsWhatIsSaid(t *testing.T) {
	var log []verdict.LogLine
	for _, s := range []string{
		"flags: 0x0(zone=0)", "kernel BUG at include/linux/page-flags.h:503!", "CPU: 0 PID: 0 Comm: swapper Not tainted 6.1.192-kcatch #1",
		"RIP: 0010:init_unavailable_range+0xb3/0x121", "Code: ea 48", "R13: ffffffff8c6a0640 R14: 0", "R08: 1", "Call Trace:", " <TASK>",
		" ? free_area_init+0xa4c/0xac4", " </TASK>", "RAMDISK: [mem 0x0fdfb000-0x0ffdffff]",
	} {
		log = append(log, verdict.LogLine{Text: s})
	}
	var got []string
	for _, l := range withoutDump(log) {
		got = append(got, l.Text)
	}
	if want := "flags: 0x0(zone=0)|kernel BUG at include/linux/page-flags.h:503!|RAMDISK: [mem 0x0fdfb000-0x0ffdffff]"; strings.Join(got, "|") != want {
		t.Errorf("left: %q", got)
	}
}
