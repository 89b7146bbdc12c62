package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

const (
	shownFrames   = 6 // of a death's chain, from the code at fault outward; the artifacts have it all
	shownSubtests = 8 // of a cell that fail
	shownOutput   = 5 // last lines of a check that fails
)

// under is where what belongs to a cell stands: below its name.
const under = "       "

// SmokeText writes s for a person: what fails first, each with its death, where its artifacts are and the command that does it again;
// then what was flaky, what could not be tested and what this machine failed; then all cells as a grid, what the baseline and the allow
// list have to say, and the score as the last line.
func SmokeText(w io.Writer, s *verdict.Smoke, style Style) error {
	t := &text{style: style}
	told := map[string]string{} // a death's signature, or what failed in the guest, to the cell that showed it
	for _, status := range []verdict.CellStatus{verdict.CellFail, verdict.CellFlaky} {
		for i := range s.Cells {
			if s.Cells[i].Status == status {
				t.badCell(&s.Cells[i], told)
			}
		}
	}
	t.untested(s, verdict.CellSkip)
	t.untested(s, verdict.CellError)
	t.excused(s)
	t.cellGrid(s)
	for _, n := range s.Notes {
		t.wrap(style.warn("note:")+" ", len("note: "), Clean(n, 0))
	}
	t.baseline(s)
	for _, a := range s.Expired {
		t.wrap(style.bad("expired")+"  ", len("expired  "), expired(a))
	}
	if s.Error != nil {
		t.wrap(style.bad("not finished:")+" ", len("not finished: "), Clean(s.Error.Message, 0))
		if s.Error.Hint != "" {
			t.wrap("hint: ", len("hint: "), Clean(s.Error.Hint, 0))
		}
	}
	t.score(s)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// badCell is a cell that failed, or was flaky.
func (t *text) badCell(c *verdict.Cell, told map[string]string) {
	t.cellHead(c.Status, c.Name, c.Novelty)
	r := c.Result
	summary := ""
	if r != nil {
		summary = Clean(r.Summary, 0)
		t.wrap(under, len(under), summary)
		if r.Verdict == verdict.Bad && len(r.Details) > 0 && told[r.Signature] == "" {
			t.wrap(under, len(under), Clean(r.Details[0], 0))
		}
	}
	first := toldBy(c, told)
	if reason := Clean(c.Reason, 0); reason != "" && !sameWords(reason, summary) && (first != "" || !ofCheck(r, reason)) {
		t.wrap(under, len(under), reason)
	}
	t.tries(c)
	signature := ""
	switch {
	case r == nil:
	case first != "":
		t.wrap(under, len(under), "the same as in "+Clean(first, 0))
	default:
		t.failedChecks(r)
		t.failedSubtests(r)
		if t.death(c, told) {
			signature = Clean(r.Signature, maxLine)
		}
	}
	if c.Artifacts != "" {
		t.line("%s%s  %s", under, t.style.dim("artifacts"), Clean(c.Artifacts, 0))
	}
	if c.Repeat != "" {
		t.line("%s%s  %s", under, t.style.dim("again    "), Clean(c.Repeat, 0))
	}
	if signature != "" {
		t.line("%s%s  %s", under, t.style.dim("signature"), signature)
	}
	t.line("")
}

// toldBy is the cell before c in which the same failed in a guest whose kernel lived, and printed the same; "" where c is the first.
func toldBy(c *verdict.Cell, told map[string]string) string {
	if c.Result == nil || c.Result.Verdict != verdict.Good {
		return ""
	}
	what := strings.Join(guestLines(c.Result), "\n")
	if what == "" {
		return ""
	}
	if told[what] == "" {
		told[what] = c.Name
		return ""
	}
	return told[what]
}

func sameWords(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }

// cellHead is the line with a cell's name.
func (t *text) cellHead(status verdict.CellStatus, name, novelty string) {
	word := pad(map[verdict.CellStatus]string{verdict.CellFail: "FAIL", verdict.CellFlaky: "FLAKY", verdict.CellSkip: "SKIP",
		verdict.CellError: "ERROR", verdict.CellPass: "pass"}[status], 5)
	tail := ""
	if novelty != "" {
		tail = "  " + t.style.mark(Clean(novelty, 20))
	}
	t.line("%s  %s%s", paintMark(t.style, status, word), t.style.strong(Clean(name, 0)), tail)
}

// tries says how each attempt of a cell ended that was booted more than once.
func (t *text) tries(c *verdict.Cell) {
	if len(c.Tries) < 2 {
		return
	}
	same := func(a verdict.Try) bool {
		return !a.Passed && a.Signature == c.Tries[0].Signature && a.Said() == c.Tries[0].Said()
	}
	if !slices.ContainsFunc(c.Tries, func(a verdict.Try) bool { return !same(a) }) {
		t.line("%s%d boots, and the same each time", under, len(c.Tries))
		return
	}
	for i, a := range c.Tries {
		word := t.style.bad("fail")
		if a.Passed {
			word = t.style.good("pass")
		}
		t.wrap(fmt.Sprintf("%sboot %d: %s ", under, i+1, word), len(under)+len("boot 1: fail "), Clean(a.Said(), 0)+"  "+span(a.Seconds))
	}
}

// failedChecks are the commands in the guest that failed, with the end of what they printed; those that a death left no time for are none.
func (t *text) failedChecks(r *verdict.Result) {
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Passed() || c.Note == verdict.NotBegun && r.Verdict == verdict.Bad {
			continue
		}
		t.wrap(under, len(under), checkEnd(c))
		for _, l := range c.Output[max(0, len(c.Output)-shownOutput):] {
			t.line("%s", t.within(under+"  | "+Clean(l, 160)))
		}
	}
}

// checkEnd says how a check that failed came back.
func checkEnd(c *verdict.Check) string {
	return "check " + Clean(c.Name, 80) + ": " + checkSaid(c)
}

// ofCheck reports whether a reason only says what the lines of checks say.
func ofCheck(r *verdict.Result, reason string) bool {
	if r == nil {
		return false
	}
	var ends []string
	for i := range r.Checks {
		if c := &r.Checks[i]; !c.Passed() {
			ends = append(ends, checkEnd(c))
		}
	}
	return saidBy(ends, reason)
}

// failedSubtests are the lines of KTAP that failed.
func (t *text) failedSubtests(r *verdict.Result) {
	n := 0
	for _, s := range r.Subtests {
		if s.Status != "fail" && s.Status != "lost" {
			continue
		}
		if n++; n <= shownSubtests {
			t.line("%s", t.within(strings.TrimRight(fmt.Sprintf("%ssubtest %s: %s  %s", under, Clean(s.Name, 100), Clean(s.Status, 20), Clean(s.Reason, 100)), " ")))
		}
	}
	if n > shownSubtests {
		t.line("%s%s", under, t.style.dim(fmt.Sprintf("and %d more subtests", n-shownSubtests)))
	}
}

// death is the first frames of a death, from the code at fault outward: what the kernel did to report it is in the artifacts. One that
// another cell died as well is shown once; it reports whether this is the one.
func (t *text) death(c *verdict.Cell, told map[string]string) bool {
	r := c.Result
	if r.Verdict != verdict.Bad {
		return false
	}
	if first := told[r.Signature]; r.Signature != "" && first != "" {
		t.wrap(under, len(under), "the same death as "+Clean(first, 0))
		return false
	}
	told[r.Signature] = c.Name
	frames := fromCause(r)
	shown := frames[:min(len(frames), shownFrames)]
	name := 0
	for _, f := range shown {
		name = max(name, len([]rune(label(f))))
	}
	name = min(name, 40)
	for _, f := range shown {
		line := strings.TrimRight(fmt.Sprintf("%s  %s  %s", under, pad(label(f), name), where(f)), " ")
		if f.Cause {
			t.line("%s", t.style.strong(t.within(line)))
			continue
		}
		t.line("%s", t.within(line))
	}
	if more := len(frames) - len(shown); more > 0 {
		t.line("%s  %s", under, t.style.dim("and "+counted(more, "more frame")))
	}
	return true
}

// fromCause is the chain of the death from the frame at fault outward; the whole chain of the first vCPU that has one where no frame is.
func fromCause(r *verdict.Result) []verdict.Frame {
	var first []verdict.Frame
	chains := make([][]verdict.Frame, 0, len(r.CPUs)+len(r.Tasks))
	for _, c := range r.CPUs {
		chains = append(chains, c.Frames)
	}
	for _, task := range r.Tasks {
		chains = append(chains, task.Frames)
	}
	for _, frames := range chains {
		if i := slices.IndexFunc(frames, func(f verdict.Frame) bool { return f.Cause }); i >= 0 {
			return frames[i:]
		}
		if first == nil {
			first = frames
		}
	}
	return first
}

// untested are the cells that were skipped, or that this machine failed; those with one reason stand together, as they do when their
// kernel does not build.
func (t *text) untested(s *verdict.Smoke, status verdict.CellStatus) {
	var reasons []string
	by := map[string][]*verdict.Cell{}
	for i := range s.Cells {
		c := &s.Cells[i]
		if c.Status != status {
			continue
		}
		why := Clean(c.Reason, 0)
		if c.Result != nil && why == "" {
			why = Clean(c.Result.Summary, 0)
		}
		if by[why] == nil {
			reasons = append(reasons, why)
		}
		by[why] = append(by[why], c)
	}
	for _, why := range reasons {
		for _, c := range by[why] {
			t.cellHead(status, c.Name, "")
		}
		t.wrap(under, len(under), why)
		c := by[why][0]
		if c.Result != nil && c.Result.Error != nil && c.Result.Error.Hint != "" {
			t.wrap(under, len(under), "hint: "+Clean(c.Result.Error.Hint, 0))
		}
		if c.Artifacts != "" {
			t.line("%s%s  %s", under, t.style.dim("artifacts"), Clean(c.Artifacts, 0))
		}
		if c.Repeat != "" {
			t.line("%s%s  %s", under, t.style.dim("again    "), Clean(c.Repeat, 0))
		}
		t.line("")
	}
}

// excused are the cells that pass although they died: of what is known, or allowed for a time.
func (t *text) excused(s *verdict.Smoke) {
	any := false
	for i := range s.Cells {
		c := &s.Cells[i]
		if c.Status != verdict.CellPass || c.Allowed == nil && c.Novelty != "known" {
			continue
		}
		any = true
		t.cellHead(verdict.CellPass, c.Name, c.Novelty)
		if c.Result != nil {
			t.wrap(under, len(under), Clean(c.Result.Summary, 0))
		}
		if a := c.Allowed; a != nil {
			t.wrap(under, len(under), fmt.Sprintf("allowed until %s by %s: %s", Clean(a.Expires, 20), Clean(a.Owner, 80), Clean(a.Reason, 0)))
		}
	}
	if any {
		t.line("")
	}
}

// cellGrid is every cell in a few letters.
func (t *text) cellGrid(s *verdict.Smoke) {
	if len(s.Cells) == 0 {
		return
	}
	places := make([]placed, len(s.Cells))
	least := 0
	for i := range s.Cells {
		c := &s.Cells[i]
		places[i] = placed{c.Kernel, c.Machine, c.Append}
		least = max(least, len(markOf(c)))
	}
	paint := func(i int, text string) string { return paintMark(t.style, s.Cells[i].Status, text) }
	if m, ok := matrixOf(places); ok {
		for _, l := range m.lines(t.style, t.style.width(), least, func(i int) string { return markOf(&s.Cells[i]) }, paint) {
			t.line("%s", l)
		}
	} else {
		for i := range s.Cells {
			t.line("%s  %s", paint(i, pad(markOf(&s.Cells[i]), least)), Clean(s.Cells[i].Name, 0))
		}
	}
	t.line("")
}

func markOf(c *verdict.Cell) string { return mark(c.Status, c.Seconds, c.Attempts > 0) }

// baseline says what of the baseline is new, came again, or is gone.
func (t *text) baseline(s *verdict.Smoke) {
	if s.Baseline == "" {
		return
	}
	fresh, known := 0, 0
	for i := range s.Cells {
		switch s.Cells[i].Novelty {
		case "new":
			fresh++
		case "known":
			known++
		}
	}
	t.wrap(t.style.dim("against")+"  ", len("against  "), fmt.Sprintf("%s: %d new, %d known, %d fixed", Clean(s.Baseline, 0), fresh, known, len(s.Fixed)))
	for _, f := range s.Fixed {
		t.wrap("  "+t.style.good("fixed")+"  ", len("  fixed  "), Clean(f.Cell, 0)+"  "+Clean(f.Signature, 200))
	}
}

func expired(a verdict.Allow) string {
	cells := ""
	if a.Cells != "" {
		cells = " in " + Clean(a.Cells, 100)
	}
	return fmt.Sprintf("%s%s: allowed until %s by %s: %s", Clean(a.Signature, 200), cells, Clean(a.Expires, 20), Clean(a.Owner, 80), Clean(a.Reason, 0))
}

// score is the last line.
func (t *text) score(s *verdict.Smoke) {
	word := map[int]string{verdict.ExitGood: t.style.good("PASS"), verdict.ExitBad: t.style.bad("FAIL"), verdict.ExitSkip: t.style.warn("SKIP"),
		verdict.ExitInfrastructure: t.style.bad("ERROR")}[s.ExitCode()]
	if s.Error != nil && s.ExitCode() == verdict.ExitGood {
		word = t.style.bad("ERROR")
	}
	var how []string
	if s.Profile != "" {
		how = append(how, "profile "+Clean(s.Profile, 0))
	}
	if s.Shard != "" {
		how = append(how, "shard "+Clean(s.Shard, 20))
	}
	if s.Jobs > 1 {
		how = append(how, fmt.Sprintf("%d boots at a time", s.Jobs))
	}
	if s.AllowFlaky && s.Flaky > 0 {
		how = append(how, "flaky cells are allowed")
	}
	if len(how) > 0 {
		t.line("%s", t.style.dim(strings.Join(how, ", ")))
	}
	t.wrap(word+"  ", len("FAIL  "), fmt.Sprintf("%s in %s: %s", counted(len(s.Cells), "cell"), span(s.Seconds), scores(s)))
}

// scores is how many cells came out how: "3 passed, 2 failed".
func scores(s *verdict.Smoke) string {
	parts := []string{fmt.Sprintf("%d passed", s.Passed)}
	for _, p := range []struct {
		n    int
		what string
	}{{s.Failed, "failed"}, {s.Flaky, "flaky"}, {s.Skipped, "skipped"}, {s.Errors, "in error"}, {s.NotRun, "not run"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if n := len(s.Expired); n > 0 {
		parts = append(parts, counted(n, "allowance")+" expired")
	}
	return strings.Join(parts, ", ")
}

// wrap writes head and s, which is taken to further lines at its spaces where it is wider than the terminal; those begin under s. indent is
// the width of head on the screen, colours left out. Off a terminal it is one line.
func (t *text) wrap(head string, indent int, s string) {
	width := t.style.Width - indent
	if t.style.Width <= 0 || width < 20 {
		t.line("%s%s", head, s)
		return
	}
	for first := true; first || s != ""; first = false {
		r := []rune(s)
		piece := s
		s = ""
		if len(r) > width {
			cut := width
			for i := width; i > width/2; i-- {
				if r[i] == ' ' {
					cut = i
					break
				}
			}
			piece, s = string(r[:cut]), strings.TrimLeft(string(r[cut:]), " ")
		}
		t.line("%s%s", head, Clean(piece, 0)) // again: "::" may now stand at the beginning
		head = strings.Repeat(" ", indent)
	}
}

// within cuts a line to the terminal; off a terminal it is whole.
func (t *text) within(s string) string {
	if t.style.Width <= 0 {
		return s
	}
	return fitted(s, t.style.Width)
}
