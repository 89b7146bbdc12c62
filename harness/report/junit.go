package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// maxJUnit is how many bytes of text reports one file carries: GitLab refuses a file of 30 MB.
const maxJUnit = 20 << 20

// JUnit writes s as JUnit XML, in the form that Surefire has given it: a suite for each kernel, a test for each cell with the
// text report as its output, and a test for each check and each KTAP test that ran in a cell's guest.
//
// A test fails only where the cell fails the run: a check that failed in a cell which passes nevertheless (a death that is
// expected, known or allowed) is skipped. What failed and then passed is a flakyFailure, with a failure in front of it unless
// flaky cells are allowed; attempts that failed after the first are rerunFailures.
//
// Source: jenkinsci/xunit-plugin, junit-10.xsd, which is Surefire's surefire-test-report.xsd and more; readers that were
// looked at: jenkinsci/junit-plugin CaseResult.java, dorny/test-reporter java-junit-parser.ts, and GitLab's "Unit test
// reports". All take classname as a dotted name, hence [junitClass].
func JUnit(w io.Writer, s *verdict.Smoke) error {
	j := &junit{smoke: s, left: maxJUnit}
	out := junitSuites{Name: "kcatch smoke", Time: junitSeconds(s.Seconds)}
	for i := range s.Cells {
		j.suite(&out, &s.Cells[i])
	}
	j.run(&out)
	for i := range out.Suites {
		suite := &out.Suites[i]
		suite.count()
		out.Tests, out.Failures, out.Errors = out.Tests+suite.Tests, out.Failures+suite.Failures, out.Errors+suite.Errors
	}
	b, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string           `xml:"name,attr"`
	Tests      int              `xml:"tests,attr"`
	Failures   int              `xml:"failures,attr"`
	Errors     int              `xml:"errors,attr"`
	Skipped    int              `xml:"skipped,attr"`
	Time       string           `xml:"time,attr"`
	Timestamp  string           `xml:"timestamp,attr,omitempty"`
	Properties *junitProperties `xml:"properties"`
	Cases      []junitCase      `xml:"testcase"`

	kernel string
	time   float64
	names  map[[2]string]int
}

type junitProperties struct {
	List []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// junitCase's elements stand in the order that Surefire's schema has.
type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Time    string       `xml:"time,attr"`
	Skipped *junitWhy    `xml:"skipped"`
	Error   *junitWhy    `xml:"error"`
	Failure *junitWhy    `xml:"failure"`
	Rerun   []junitRerun `xml:"rerunFailure"`
	Flaky   []junitRerun `xml:"flakyFailure"`
	Out     *junitText   `xml:"system-out"`
}

type junitWhy struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",innerxml"`
}

type junitRerun struct {
	Message string    `xml:"message,attr"`
	Type    string    `xml:"type,attr"`
	Stack   junitText `xml:"stackTrace"`
}

type junitText struct {
	Text string `xml:",innerxml"`
}

type junit struct {
	smoke *verdict.Smoke
	left  int // bytes of text reports that may still come
}

// suite puts c into the suite of its kernel.
func (j *junit) suite(out *junitSuites, c *verdict.Cell) {
	at := slices.IndexFunc(out.Suites, func(s junitSuite) bool { return s.kernel == c.Kernel })
	if at < 0 {
		name := xmlLine(c.Kernel, maxName)
		if name == "" {
			name = "kernel"
		}
		out.Suites = append(out.Suites, junitSuite{Name: name, kernel: c.Kernel, Timestamp: junitTime(j.smoke.Started),
			names: map[[2]string]int{}, Properties: j.properties(c)})
		at = len(out.Suites) - 1
	}
	s := &out.Suites[at]
	s.time += max(0, c.Seconds)
	s.add(j.cell(c, junitClass(s.Name)))
	if c.Result == nil {
		return
	}
	class := junitClass(xmlLine(c.Name, maxName))
	for i := range c.Result.Checks {
		s.add(j.check(c, &c.Result.Checks[i], class))
	}
	for i := range c.Result.Subtests {
		s.add(j.subtest(c, &c.Result.Subtests[i], class))
	}
}

// add gives the test a name that no other one has: GitLab keeps the first of those with the same name only.
func (s *junitSuite) add(c junitCase) {
	key := [2]string{c.Class, c.Name}
	s.names[key]++
	if n := s.names[key]; n > 1 {
		c.Name = fmt.Sprintf("%s (%d)", c.Name, n)
	}
	s.Cases = append(s.Cases, c)
}

func (s *junitSuite) count() {
	s.Tests, s.Time = len(s.Cases), junitSeconds(s.time)
	for i := range s.Cases {
		switch c := &s.Cases[i]; {
		case c.Error != nil:
			s.Errors++
		case c.Failure != nil:
			s.Failures++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

// properties are what the cells of a kernel have in common.
func (j *junit) properties(c *verdict.Cell) *junitProperties {
	p := &junitProperties{}
	add := func(name, value string) {
		if value = xmlLine(value, maxLine); value != "" {
			p.List = append(p.List, junitProperty{name, value})
		}
	}
	add("profile", j.smoke.Profile)
	add("shard", j.smoke.Shard)
	add("baseline", j.smoke.Baseline)
	if c.Result != nil {
		add("kernel.release", c.Result.Kernel.Release)
		add("kernel.build_id", c.Result.Kernel.BuildID)
	}
	if len(p.List) == 0 {
		return nil
	}
	return p
}

// cell is the test of a cell's boot.
func (j *junit) cell(c *verdict.Cell, class string) junitCase {
	out := junitCase{Class: class, Name: xmlLine(c.Name, maxName), Time: junitSeconds(c.Seconds)}
	why := &junitWhy{Message: defuse(reasonOf(c)), Type: ruleOf(c)}
	switch c.Status {
	case verdict.CellPass:
		if why.Message != "" {
			out.Out = &junitText{xmlText([]string{why.Message})}
		}
		return out
	case verdict.CellSkip, verdict.CellNotRun:
		why.Type = string(c.Status)
		out.Skipped = why
	case verdict.CellFail:
		why.Text = j.stack(c)
		out.Failure, out.Rerun = why, j.reruns(c, 1)
	case verdict.CellFlaky:
		out.Flaky = j.reruns(c, 0)
		if len(out.Flaky) == 0 {
			out.Flaky = []junitRerun{{why.Message, why.Type, junitText{j.stack(c)}}}
		}
		if !j.smoke.AllowFlaky {
			why.Message = defuse(fmt.Sprintf("flaky: passed at attempt %d; %s", c.Attempts, why.Message))
			why.Text = j.stack(c)
			out.Failure = why
		}
	default:
		why.Type = "error"
		if c.Result != nil && c.Result.Blame != "" {
			why.Type = xmlLine(c.Result.Blame, maxName)
		}
		out.Error = why
	}
	out.Out = j.output(c)
	return out
}

// stack is the chain, and how to boot the cell again.
func (j *junit) stack(c *verdict.Cell) string {
	f := finding{at: placeOf(c), cells: []*verdict.Cell{c}}
	return xmlText(f.lines())
}

// reruns are the attempts that failed, without the first skip ones.
func (j *junit) reruns(c *verdict.Cell, skip int) []junitRerun {
	var out []junitRerun
	for i, t := range c.Tries {
		if t.Passed {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		kind := ruleUnexpected
		switch {
		case t.Class.Known() && t.Class != verdict.OK:
			kind = string(t.Class)
		case t.Class == verdict.OK && c.Result != nil && c.Result.Verdict == verdict.Good:
			kind = ruleOf(c)
		}
		said := xmlLine(t.Said(), maxLine)
		stack := []string{said}
		if s := xmlLine(t.Summary, maxLine); s != said {
			stack = append(stack, s)
		}
		if t.Artifacts != "" {
			stack = append(stack, "artifacts: "+xmlLine(t.Artifacts, maxLine))
		}
		out = append(out, junitRerun{fmt.Sprintf("attempt %d: %s", i+1, said), kind, junitText{xmlText(stack)}})
		if len(out) == maxListed {
			break
		}
	}
	return out
}

// output is the text report and where the artifacts are.
func (j *junit) output(c *verdict.Cell) *junitText {
	lines := excerpt(c.Result, min(maxExcerpt, j.left))
	if c.Artifacts != "" {
		lines = append(lines, "artifacts: "+xmlLine(c.Artifacts, maxLine))
	}
	if len(lines) == 0 {
		return nil
	}
	text := xmlText(lines)
	j.left = max(0, j.left-len(text))
	return &junitText{text}
}

// check is the test of a command that ran in the guest.
func (j *junit) check(c *verdict.Cell, k *verdict.Check, class string) junitCase {
	out := junitCase{Class: class, Name: xmlLine("check "+k.Name, maxName), Time: junitSeconds(k.Seconds)}
	if !k.Passed() {
		j.bad(&out, c, ruleCheck, checkSaid(k))
	}
	lines := bounded(k.Output, min(maxExcerpt, j.left))
	if k.Command != "" {
		lines = append([]string{"$ " + xmlLine(k.Command, maxLine)}, lines...)
	}
	if len(lines) > 0 {
		text := xmlText(lines)
		j.left = max(0, j.left-len(text))
		out.Out = &junitText{text}
	}
	return out
}

// subtest is a line of KTAP.
func (j *junit) subtest(c *verdict.Cell, t *verdict.Subtest, class string) junitCase {
	out := junitCase{Class: class, Name: xmlLine("test "+t.Name, maxName), Time: junitSeconds(t.Seconds)}
	reason := xmlLine(t.Reason, maxLine)
	switch {
	case badSubtest(*t):
		j.bad(&out, c, ruleSubtest, strings.TrimSuffix(subtestSaid(t)+": "+reason, ": "))
	case t.Status != "pass":
		out.Skipped = &junitWhy{Message: reason, Type: xmlLine(t.Status, maxName)}
	}
	if lines := bounded(t.Lines, min(maxExcerpt, j.left)); len(lines) > 0 {
		text := xmlText(lines)
		j.left = max(0, j.left-len(text))
		out.Out = &junitText{text}
	}
	return out
}

// bad makes a test red where its cell is.
func (j *junit) bad(out *junitCase, c *verdict.Cell, kind, message string) {
	why := &junitWhy{Message: message, Type: kind}
	if failsRun(j.smoke, c) {
		out.Failure = why
		return
	}
	why.Message += ", and the cell passes nevertheless: " + defuse(reasonOf(c))
	out.Skipped = why
}

// run is a suite for what fails the run as a whole.
func (j *junit) run(out *junitSuites) {
	suite := junitSuite{Name: "kcatch", names: map[[2]string]int{}, Timestamp: junitTime(j.smoke.Started)}
	for _, a := range j.smoke.Expired {
		suite.add(junitCase{Class: "kcatch", Name: xmlLine("allowed "+a.Signature, maxName), Time: junitSeconds(0),
			Failure: &junitWhy{Message: xmlLine(expiredSaid(&a), maxLine), Type: "expired"}})
	}
	if e := j.smoke.Error; e != nil {
		suite.add(junitCase{Class: "kcatch", Name: "run", Time: junitSeconds(0), Error: &junitWhy{Message: xmlLine(e.Message, maxLine), Type: "error"}})
	}
	if len(suite.Cases) > 0 {
		out.Suites = append(out.Suites, suite)
	}
}

func subtestSaid(t *verdict.Subtest) string {
	if t.Status == "lost" {
		return "its plan promised it, and it did not come"
	}
	return "failed"
}

// expiredSaid is what is wrong with an entry of the allow list.
func expiredSaid(a *verdict.Allow) string {
	return fmt.Sprintf("the entry of %s in the allow list expired on %s: %s", a.Owner, a.Expires, a.Reason)
}

// junitClass is name without what a reader of JUnit splits a class name at: Jenkins takes all up to the last dot for a package,
// and would show "debian-6.1/q35" as 1/q35 of debian-6.
func junitClass(name string) string { return strings.ReplaceAll(name, ".", "_") }

// xmlLine is one clean line for JUnit.
func xmlLine(s string, limit int) string { return defuse(Clean(s, limit)) }

// defuse takes out the one thing in a test's output that a reader of JUnit acts upon: GitLab and the Jenkins plugin
// junit-attachments publish the file that is named in "[[ATTACHMENT|path]]".
func defuse(s string) string { return strings.ReplaceAll(s, "[[", `[\x5b`) }

// xmlText is clean lines as character data. The escaping is encoding/xml's, which puts U+FFFD where XML 1.0 has no way to write a
// character; the line breaks stay what they are.
func xmlText(lines []string) string {
	var b strings.Builder
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		_ = xml.EscapeText(&b, []byte(defuse(l))) // a strings.Builder takes everything
	}
	return b.String()
}

// junitSeconds is a time of JUnit: decimal, not negative.
func junitSeconds(s float64) string {
	if !(s > 0) { // not a number, too
		s = 0
	}
	return fmt.Sprintf("%.3f", s)
}

// junitTime is an RFC 3339 time as JUnit has it: UTC, without a zone. It is empty for what is none.
func junitTime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05")
}
