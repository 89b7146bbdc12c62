package ktap

import (
	"cmp"
	"fmt"
	"math"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
)

// Bounds on what a guest may claim.
const (
	maxTests  = 20000    // results of one Decoder, those that are lost included
	maxDepth  = 16       // suites in suites
	maxLost   = 256      // of one plan, each by itself; the rest is one
	maxLines  = 40       // of one test; the last ones are kept
	maxKept   = 1 << 20  // bytes of the lines of all tests
	maxText   = 200      // characters of a name, a reason or a line
	maxColumn = 16 * 100 // a report that is indented further is none
)

// Decoder reads KTAP from lines. The zero value is ready.
type Decoder struct {
	// Prefix is the suite that all are put into; empty for none.
	Prefix string

	root  test    // all reports
	open  []*test // the suites that are open, the outermost first; each stands in no suite yet
	tests int
	kept  int
	at    float64 // of the line, negative when it is not known
}

// test is a test, and when it has tests of its own a suite.
type test struct {
	name, status, reason string
	number               int
	lines                []string
	seconds              float64
	suite                bool
	tests                []*test

	// While it is open; lines as they came:
	column   int
	hashed   bool // kselftest's "# " stands before its lines
	fresh    bool // it has its version line, and nothing else
	named    bool // by "# Subtest:"
	planned  bool
	plan     int
	skipAll  string // the reason of a plan like "1..0 # SKIP why"
	pending  []string
	begin    float64 // when it began
	mark     float64 // when its last test ended
	numbered map[int]bool
}

// Line takes a line. seconds is its time on the log's clock; negative when it is not known.
func (d *Decoder) Line(s string, seconds float64) {
	l := parse(s, d.inner)
	if l.column > maxColumn {
		return
	}
	d.at = seconds
	switch l.kind {
	case version:
		d.report(&l)
	case header:
		d.header(&l)
	case planLine:
		d.plan(&l)
	case resultRow:
		if !d.result(&l) {
			d.remark(l.text)
		}
	default:
		d.remark(l.text)
	}
}

// inner reports whether a report is open behind "# " at column.
func (d *Decoder) inner(column int) bool {
	for _, t := range d.open {
		if t.hashed && t.column == column {
			return true
		}
	}
	return false
}

// top is the innermost open suite; nil when no report is open.
func (d *Decoder) top() *test {
	if len(d.open) == 0 {
		return nil
	}
	return d.open[len(d.open)-1]
}

// report begins a report, or a suite in one.
func (d *Decoder) report(l *line) {
	d.closeTo(l.column)
	d.push(l, true)
}

// header names the suite whose version line it follows, or begins one.
func (d *Decoder) header(l *line) {
	if t := d.top(); t != nil && t.fresh && t.column == l.column && l.name != "" {
		t.name, t.named, t.fresh = l.name, true, false
		return
	}
	d.closeTo(l.column)
	if t := d.push(l, false); t != nil {
		t.name, t.named = l.name, l.name != ""
	}
}

func (d *Decoder) push(l *line, fresh bool) *test {
	if len(d.open) == maxDepth {
		return nil
	}
	t := &test{suite: true, column: l.column, hashed: l.hashed, fresh: fresh, begin: d.at, mark: d.at, numbered: map[int]bool{}}
	d.open = append(d.open, t)
	return t
}

// plan gives the suite at its column its plan, and ends what is further in. One that stands further in than its suite is taken too.
func (d *Decoder) plan(l *line) {
	for i := len(d.open) - 1; i >= 0; i-- {
		t := d.open[i]
		if t.column > l.column {
			continue
		}
		if !t.planned {
			d.closeTo(l.column + 1)
			t.planned, t.plan, t.fresh = true, l.number, false
			if l.directive == "SKIP" {
				t.skipAll = l.reason
			}
			d.full(t)
		}
		return
	}
}

// result enters a result. It is not one when no report is open.
func (d *Decoder) result(l *line) bool {
	// The suites further in than this line end with it; the outermost of them is what it is the result of.
	var of *test
	for t := d.top(); t != nil && t.column > l.column; t = d.top() {
		if of != nil {
			d.keep(of, lost)
		}
		of = t
		d.open = d.open[:len(d.open)-1]
	}
	if of != nil && of.named && l.name != "" && of.name != l.name {
		d.keep(of, lost)
		of = nil
	}
	in := d.top()
	switch {
	case of != nil:
		if l.name != "" {
			of.name = l.name
		}
		of.number, of.reason, of.seconds = l.number, l.reason, d.since(of.begin)
		status := l.status()
		if status == pass && len(of.tests) == 0 && of.plan == 0 {
			status, of.reason = skip, "it ran no tests"
		}
		d.keep(of, status)
	case in == nil:
		return false
	default:
		d.keep(&test{name: l.name, number: l.number, reason: l.reason, seconds: d.since(in.mark)}, l.status())
	}
	if in != nil {
		in.mark = d.at
		d.full(in)
	}
	return true
}

// since is the time from then to now in seconds, as exact as printk has it; 0 is not known.
func (d *Decoder) since(then float64) float64 {
	if then < 0 || d.at < then {
		return 0
	}
	return math.Round((d.at-then)*1e6) / 1e6
}

// keep ends a test with a status, and puts it into the suite that is open now, or among the reports.
func (d *Decoder) keep(t *test, status string) {
	in := d.top()
	if in == nil {
		in = &d.root
	}
	in.fresh = false
	t.status = status
	d.miss(t)
	own := in.pending
	in.pending = nil
	if bad(t.status) {
		t.lines = d.hold(append(own, t.pending...))
	}
	t.pending = nil
	if d.tests >= maxTests {
		return
	}
	d.tests++
	if t.number == 0 {
		t.number = len(in.tests) + 1
	}
	if in.numbered != nil {
		in.numbered[t.number] = true
	}
	in.tests = append(in.tests, t)
}

// hold cleans and keeps lines, as long as there is room for them.
func (d *Decoder) hold(lines []string) []string {
	var out []string
	for _, s := range lines[max(0, len(lines)-maxLines):] {
		s = clean(s)
		if d.kept += len(s); d.kept > maxKept {
			break
		}
		out = append(out, s)
	}
	return out
}

// miss enters what a suite's plan promised and nobody saw.
func (d *Decoder) miss(t *test) {
	missing := 0
	if t.planned {
		missing = t.plan - len(t.tests)
	}
	for n := 1; missing > 0 && d.tests < maxTests && n <= t.plan; n++ {
		if t.numbered[n] {
			continue
		}
		one := &test{name: fmt.Sprintf("#%d", n), status: lost}
		if n > maxLost {
			one.name = fmt.Sprintf("#%d and %d more", n, missing-1)
			missing = 1
		}
		one.lines, t.pending = d.hold(t.pending), nil // they tell of the first
		t.tests = append(t.tests, one)
		d.tests++
		missing--
	}
}

// full closes a report once it has all its tests: what follows is no part of it. A suite waits for its own result.
func (d *Decoder) full(t *test) {
	if len(d.open) == 1 && t == d.open[0] && !t.awaits() && t.planned && len(t.tests) >= t.plan {
		d.closeTo(0)
	}
}

// awaits reports whether an outermost suite is to have a result of its own, further out: a module's suites have no report around them.
func (t *test) awaits() bool { return t.named && t.column > 0 }

// closeTo ends the suites whose column is column or further in; their own results did not come.
func (d *Decoder) closeTo(column int) {
	for t := d.top(); t != nil && t.column >= column; t = d.top() {
		d.open = d.open[:len(d.open)-1]
		if len(d.open) > 0 || t.awaits() {
			d.keep(t, lost)
			continue
		}
		d.miss(t)
		if t.planned && t.plan == 0 && d.tests < maxTests {
			d.tests++
			t.tests = append(t.tests, &test{name: "all", status: skip, reason: cmp.Or(t.skipAll, "the plan has no tests")})
		}
		d.root.tests = append(d.root.tests, t.tests...)
	}
}

// remark keeps a line for the next test of the innermost suite.
func (d *Decoder) remark(s string) {
	t := d.top()
	if t == nil || s == "" || s == "#" {
		return
	}
	t.fresh = false
	if len(t.pending) == 2*maxLines { // as a ring, but seldom moved
		t.pending = append(t.pending[:0], t.pending[maxLines:]...)
	}
	t.pending = append(t.pending, s)
}

// Subtests ends the reports and gives what they had.
func (d *Decoder) Subtests() []verdict.Subtest {
	d.closeTo(0)
	return flat(nil, clean(d.Prefix), d.root.tests)
}

// flat appends the tests that have none of their own, and the suites that disagree with theirs, which come after them.
func flat(to []verdict.Subtest, in string, tests []*test) []verdict.Subtest {
	for _, t := range tests {
		name := clean(t.name)
		if name == "" {
			name = fmt.Sprintf("#%d", t.number)
		}
		if in != "" {
			name = clean(in + "/" + name)
		}
		to = flat(to, name, t.tests)
		if len(t.tests) == 0 || bad(t.status) != anyBad(t.tests) {
			to = append(to, verdict.Subtest{Name: name, Status: t.status, Reason: clean(t.reason), Lines: t.lines, Seconds: t.seconds})
		}
	}
	return to
}

func anyBad(tests []*test) bool {
	for _, t := range tests {
		if bad(t.status) || anyBad(t.tests) {
			return true
		}
	}
	return false
}

func bad(status string) bool { return status == fail || status == lost }

func clean(s string) string { return report.Clean(s, maxText) }
