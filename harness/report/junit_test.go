package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	junitxml "github.com/joshdk/go-junit"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// readJUnit takes JUnit XML apart: only the elements that it has, as many tests as there must be, and counts that agree.
func readJUnit(text string, s *verdict.Smoke) error {
	if strings.Contains(text, "[[ATTACHMENT") {
		return errors.New("names a file to publish")
	}
	if err := onlyTags(text, "testsuites testsuite properties property testcase skipped error failure rerunFailure flakyFailure stackTrace system-out",
		"name tests failures errors skipped time timestamp value classname message type"); err != nil {
		return err
	}
	var all junitSuites
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	want := len(s.Expired)
	if s.Error != nil {
		want++
	}
	for _, c := range s.Cells {
		want++
		if c.Result != nil {
			want += len(c.Result.Checks) + len(c.Result.Subtests)
		}
	}
	names := map[[3]string]bool{}
	red := false
	for _, suite := range all.Suites {
		counted := junitSuite{Cases: suite.Cases}
		counted.count()
		if counted.Failures != suite.Failures || counted.Errors != suite.Errors || counted.Skipped != suite.Skipped || counted.Tests != suite.Tests {
			return errors.New("the counts of suite " + suite.Name + " are wrong")
		}
		red = red || suite.Failures+suite.Errors > 0
		for _, c := range suite.Cases {
			key := [3]string{suite.Name, c.Class, c.Name}
			if names[key] {
				return errors.New("two tests are called " + c.Name)
			}
			names[key] = true
		}
	}
	if all.Tests != want || len(names) != want {
		return errors.New("another number of tests")
	}
	if code := s.ExitCode(); red != (code == verdict.ExitBad || code == verdict.ExitInfrastructure || s.Error != nil) {
		return errors.New("red where the exit code is not, or the other way round")
	}
	return nil
}

// TestJUnitBySecondReaders: two parsers of other people find the tests that were written, in the example and under attack.
func TestJUnitBySecondReaders(t *testing.T) {
	const module = "/usr/lib/python3/dist-packages/junitparser"
	_, err := os.Stat(module)
	fixtures.Need(t, err == nil, "python3-junitparser", "make test-deps")
	_, err = exec.LookPath("xmllint")
	fixtures.Need(t, err == nil, "xmllint", "make test-deps")
	example := "13 tests, 7 failed, 1 errors, 2 skipped"
	// Ten cells with a check and three KTAP tests each, an expired entry, an error. Red: three cells, the check and one test in each
	// of the five that fail the run, and the entry. Skipped: two cells, a test of an odd status in each, and what is red elsewhere in the other five.
	hostile := "52 tests, 14 failed, 3 errors, 22 skipped"
	for _, tt := range []struct {
		name  string
		smoke *verdict.Smoke
		want  string
	}{{"example", exampleSmoke(), example}, {"attack", everyAttack(), hostile}} {
		text := written(t, JUnit, tt.smoke)
		suites, err := junitxml.Ingest(text)
		if err != nil {
			t.Fatal(err)
		}
		var sum junitxml.Totals
		for _, s := range suites {
			sum.Tests, sum.Failed, sum.Error, sum.Skipped = sum.Tests+s.Totals.Tests, sum.Failed+s.Totals.Failed, sum.Error+s.Totals.Error, sum.Skipped+s.Totals.Skipped
		}
		if got := fmt.Sprintf("%d tests, %d failed, %d errors, %d skipped", sum.Tests, sum.Failed, sum.Error, sum.Skipped); got != tt.want {
			t.Errorf("%s: go-junit: %s, want %s", tt.name, got, tt.want)
		}
		cmd := exec.Command("/usr/bin/python3", "-c", `
import sys, junitparser as j
x = j.JUnitXml.fromstring(sys.stdin.buffer.read())
cases = [c for suite in x for c in suite]
n = lambda kind: sum(any(isinstance(r, kind) for r in c.result) for c in cases)
print(f"{len(cases)} tests, {n(j.Failure)} failed, {n(j.Error)} errors, {n(j.Skipped)} skipped")
assert (x.tests, x.failures, x.errors) == (len(cases), n(j.Failure), n(j.Error)), "the counts at the top"`) // Debian's own python3, which has Debian's junitparser
		cmd.Stdin = bytes.NewReader(text)
		cmd.Stderr = os.Stderr
		if got, err := cmd.Output(); err != nil || strings.TrimSpace(string(got)) != tt.want {
			t.Errorf("%s: junitparser: %s, want %s: %v", tt.name, got, tt.want, err)
		}
		lint := exec.Command("xmllint", "--noout", "--nonet", "-")
		lint.Stdin = bytes.NewReader(text)
		if out, err := lint.CombinedOutput(); err != nil {
			t.Errorf("%s: xmllint: %v\n%s", tt.name, err, out)
		}
	}
}

func FuzzJUnit(f *testing.F) { fuzzSink(f, "junit.xml") }

// TestJUnitAgreesWithTheExitCode: a flaky cell is red unless it is allowed, and a check that failed is red where its cell is.
func TestJUnitAgreesWithTheExitCode(t *testing.T) {
	flaky := func(allow bool) *verdict.Smoke {
		s := &verdict.Smoke{AllowFlaky: allow}
		s.Add(exampleSmoke().Cells[3])
		return s
	}
	pass := &verdict.Smoke{}
	c := exampleSmoke().Cells[1]
	c.Status, c.Reason, c.Expect = verdict.CellPass, "died as expected", "oops"
	pass.Add(c)
	for _, tt := range []struct {
		name        string
		smoke       *verdict.Smoke
		has, hasNot string
	}{
		{"flaky", flaky(false), "<failure message=\"flaky: passed at attempt 2; ", "<skipped"},
		{"flaky, too", flaky(false), "<flakyFailure message=\"attempt 1: hang", "<skipped"},
		{"flaky and allowed", flaky(true), "<flakyFailure message=\"attempt 1: hang", "<failure"},
		{"passes nevertheless", pass, "<skipped message=\"exit status 3, and the cell passes nevertheless: died as expected\"", "<failure"},
	} {
		got := string(written(t, JUnit, tt.smoke))
		if !strings.Contains(got, tt.has) || strings.Contains(got, tt.hasNot) {
			t.Errorf("%s: want %s and no %s:\n%s", tt.name, tt.has, tt.hasNot, got)
		}
		if err := readJUnit(got, tt.smoke); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
