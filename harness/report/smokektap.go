package report

import (
	"fmt"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// SmokeKTAP writes s as KTAP: a test for each cell, and below a cell whose guest ran checks or KTAP tests of its own a nested one
// with the boot, the checks and those tests. Diagnostics stand in front of the result that they belong to, as "#   text".
//
// It is written so that readers of TAP 13 and 14 (prove) understand it too: nested tests are indented by four spaces, as TAP 14
// and the kernel's KUnit have it, not by the two of ktap.rst, and they begin with both a version line and "# Subtest: name". Readers
// of KTAP take any indentation.
//
// Source: Documentation/dev-tools/ktap.rst; tools/testing/kunit/kunit_parser.py; testanything.org, TAP 14.
func SmokeKTAP(w io.Writer, s *verdict.Smoke) error {
	k := &ktap{smoke: s}
	run := len(s.Expired)
	if s.Error != nil {
		run++
	}
	k.line("KTAP version 1")
	k.line("1..%d", len(s.Cells)+run)
	if s.Profile != "" {
		k.about("profile " + s.Profile)
	}
	n := 0
	for i := range s.Cells {
		n++
		k.cell(n, &s.Cells[i])
	}
	for i := range s.Expired {
		n++
		k.about(expiredSaid(&s.Expired[i]))
		k.line("not ok %d allowed %s", n, ktapName(s.Expired[i].Signature))
	}
	if s.Error != nil {
		k.about(s.Error.Message)
		k.line("not ok %d run # ERROR %s", n+1, ktapText(s.Error.Message))
	}
	_, err := io.WriteString(w, k.b.String())
	return err
}

type ktap struct {
	b      strings.Builder
	indent string
	smoke  *verdict.Smoke
}

func (k *ktap) line(format string, args ...any) {
	k.b.WriteString(k.indent)
	k.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	k.b.WriteByte('\n')
}

// about writes diagnostics. They are indented, because "# Subtest: x" at the usual place would begin a nested test.
func (k *ktap) about(lines ...string) {
	for _, l := range lines {
		if l = ktapText(l); strings.TrimSpace(l) != "" {
			k.line("#   %s", l)
		}
	}
}

func (k *ktap) cell(n int, c *verdict.Cell) {
	name := ktapName(c.Name)
	result, directive := k.outcome(c)
	if r := c.Result; r != nil && len(r.Checks)+len(r.Subtests) > 0 {
		k.indent = "    "
		k.line("KTAP version 1")
		k.line("# Subtest: %s", name)
		k.line("1..%d", 1+len(r.Checks)+len(r.Subtests))
		k.boot(c)
		for i := range r.Checks {
			k.check(2+i, c, &r.Checks[i])
		}
		for i := range r.Subtests {
			k.subtest(2+len(r.Checks)+i, c, &r.Subtests[i])
		}
		k.indent = ""
	}
	k.diagnose(c)
	k.line("%s %d %s%s", result, n, name, directive)
}

// outcome is the result of a cell, with its directive.
func (k *ktap) outcome(c *verdict.Cell) (result, directive string) {
	switch c.Status {
	case verdict.CellSkip, verdict.CellNotRun:
		return "ok", " # SKIP " + ktapText(reasonOf(c))
	case verdict.CellPass, verdict.CellFlaky, verdict.CellFail:
		if failsRun(k.smoke, c) {
			return "not ok", ""
		}
		return "ok", ""
	}
	return "not ok", " # ERROR " + ktapText(reasonOf(c))
}

// diagnose says why a cell is no plain pass.
func (k *ktap) diagnose(c *verdict.Cell) {
	switch c.Status {
	case verdict.CellPass:
		if why := reasonOf(c); why != "" {
			k.about(why)
		}
	case verdict.CellSkip, verdict.CellNotRun: // the directive says it
	default:
		if c.Status == verdict.CellFlaky {
			k.about(fmt.Sprintf("flaky: passed at attempt %d", c.Attempts))
		}
		f := finding{at: placeOf(c), cells: []*verdict.Cell{c}}
		k.about(f.linesWith(func(*verdict.Result) []string { return nil })...) // the nested tests have just said it
		if c.Artifacts != "" {
			k.about("artifacts: " + c.Artifacts)
		}
	}
}

// boot is the first nested test: whether the kernel itself did what it must.
func (k *ktap) boot(c *verdict.Cell) {
	switch {
	case c.Result.Verdict == verdict.Good || !failsRun(k.smoke, c):
		k.line("ok 1 the boot")
	default:
		k.line("not ok 1 the boot")
	}
}

func (k *ktap) check(n int, c *verdict.Cell, check *verdict.Check) {
	name := "check " + ktapName(check.Name)
	if check.Passed() {
		k.line("ok %d %s", n, name)
		return
	}
	k.about(checkSaid(check) + ": " + check.Command)
	k.about(bounded(check.Output[max(0, len(check.Output)-maxListed):], maxExcerpt)...)
	k.bad(n, c, name)
}

func (k *ktap) subtest(n int, c *verdict.Cell, t *verdict.Subtest) {
	name := "test " + ktapName(t.Name)
	switch {
	case badSubtest(*t):
		k.about(strings.TrimSuffix(subtestSaid(t)+": "+t.Reason, ": "))
		k.about(bounded(t.Lines[max(0, len(t.Lines)-maxListed):], maxExcerpt)...)
		k.bad(n, c, name)
	case t.Status == "pass":
		k.line("ok %d %s", n, name)
	default:
		k.line("ok %d %s # SKIP %s", n, name, ktapText(t.Reason))
	}
}

// bad fails a nested test where its cell fails.
func (k *ktap) bad(n int, c *verdict.Cell, name string) {
	if failsRun(k.smoke, c) {
		k.line("not ok %d %s", n, name)
		return
	}
	k.line("ok %d %s # SKIP failed, and the cell passes nevertheless", n, name)
}

// ktapName is s as a description: one line, without the "#" that begins a directive.
func ktapName(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(ktapText(s), "#", `\x23`))
	if s == "" {
		return "?"
	}
	return s
}

// ktapEnds are the phrases at which kunit_parser.py takes a console to be at its end, wherever in a line they stand; a kernel that
// finds no root prints one of them.
var ktapEnds = strings.NewReplacer(
	"List of all partitions:", `List of all partitions\x3a`,
	"Kernel panic - not syncing: VFS:", `Kernel panic - not syncing: VFS\x3a`,
	"reboot: System halted", `reboot\x3a System halted`)

// ktapText is s as one clean line of a diagnostic.
func ktapText(s string) string { return ktapEnds.Replace(Clean(s, maxLine)) }
