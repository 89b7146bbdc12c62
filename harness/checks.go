package harness

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kcatch/harness/ktap"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
)

// GuestCheck is a command or a script that our own initramfs runs in the guest, with busybox's shell, as root, and whose exit status
// is looked at. A check that fails does not keep the next from running, and does not turn the kernel's verdict.
type GuestCheck struct {
	// Name is for the result: one line of up to 200 bytes, unique in a plan.
	Name string
	// Command is shell text. Script is the text of a shell script, in its place; its "#!" line does not count.
	Command string
	Script  []byte
	// Limit is how long it may take by the guest's clock, in whole seconds, 1 s to 1 h; zero is [CheckLimit].
	Limit time.Duration
}

// CheckLimit is how long a check may take that has no limit of its own.
const CheckLimit = 60 * time.Second

const (
	maxCheckName   = 200     // bytes
	maxCheckScript = 1 << 20 // bytes
	maxCheckLimit  = time.Hour
	maxCheckLine   = 1000 // characters of a line of output
)

func (c *GuestCheck) limit() time.Duration {
	if c.Limit == 0 {
		return CheckLimit
	}
	return c.Limit
}

// checkChecks refuses checks that cannot run.
func checkChecks(plan Plan) error {
	if len(plan.Checks) == 0 {
		return nil
	}
	refuse := func(hint, format string, args ...any) error {
		return blame.New(blame.Usage, "check: "+fmt.Sprintf(format, args...), hint)
	}
	switch {
	case plan.Initrd != "":
		return refuse("leave one of them out", "only kcatch's own initramfs runs them, and there is --initrd %s", plan.Initrd)
	case plan.Until != "init":
		return refuse("leave --until out", "they run after init, and --until %s ends the boot before", plan.Until)
	case len(plan.Checks) > images.MaxChecks:
		return refuse("", "%d of them, want at most %d", len(plan.Checks), images.MaxChecks)
	}
	seen := map[string]bool{}
	for i, c := range plan.Checks {
		name := report.Clean(c.Name, 60)
		switch {
		case c.Name == "" || strings.TrimSpace(c.Name) != c.Name || len(c.Name) > maxCheckName || report.Clean(c.Name, 0) != c.Name || !utf8.ValidString(c.Name):
			return refuse("", "name %q of number %d: want one line of 1 to %d bytes", name, i+1, maxCheckName)
		case seen[c.Name]:
			return refuse("give each a name of its own", "%s: two have this name", name)
		case (c.Command == "") == (len(c.Script) == 0):
			return refuse("", "%s: want a command or a script, one of them", name)
		case len(c.Script) > maxCheckScript || len(c.Command) > maxCheckScript:
			return refuse("", "%s: larger than %d MiB", name, maxCheckScript>>20)
		case bytes.ContainsRune(c.Script, 0) || strings.ContainsRune(c.Command, 0):
			return refuse("a program goes into an initramfs of your own", "%s: no shell script: it has a NUL byte", name)
		case c.Limit != 0 && (c.Limit < time.Second || c.Limit > maxCheckLimit || c.Limit%time.Second != 0):
			return refuse("", "%s: limit of %s: want whole seconds, 1s to %s", name, c.Limit, maxCheckLimit)
		}
		seen[c.Name] = true
	}
	return nil
}

// checkImages are the plan's checks as the initramfs has them.
func checkImages(list []GuestCheck) []images.Check {
	var out []images.Check
	for i := range list {
		script := list[i].Script
		if len(script) == 0 {
			script = []byte(list[i].Command)
		}
		out = append(out, images.Check{Script: script, Limit: list[i].limit()})
	}
	return out
}

// checks enters into the result how the plan's checks went and what tests of the kernel's and of the guest's said of themselves, from
// the console and the log.
func (b *boot) checks(r *verdict.Result) {
	heard := &hearing{log: r.Log, reader: images.CheckReader{Marker: b.marker, Checks: len(b.plan.Checks)}}
	heard.console(b.consoleLines)
	runs := heard.runs(len(b.plan.Checks))
	for i := range b.plan.Checks {
		r.Checks = append(r.Checks, checkOf(&b.plan.Checks[i], &runs[i], r.Verdict))
	}
	if i := slices.IndexFunc(runs, func(c images.CheckRun) bool { return c.Begun && !c.Ended }); i >= 0 && r.Verdict == verdict.Bad {
		name := report.Clean(b.plan.Checks[i].Name, 80)
		if r.Class == verdict.Hang {
			r.Summary += "; in the check " + name
		}
		r.Details = append(r.Details, "in the check "+name+", which did not come back")
	}
	var notes []string
	r.Subtests, notes = heard.subtests(r.Checks, runs)
	r.Notes = append(r.Notes, notes...)
}

// checkOf is how a check went. One that did not begin is there too, so that a result has all of a plan's.
func checkOf(c *GuestCheck, run *images.CheckRun, v verdict.Verdict) verdict.Check {
	out := verdict.Check{Name: c.Name, Command: report.Clean(c.Command, maxCheckLine), Seconds: run.Seconds, Truncated: run.Truncated}
	if run.Output != "" {
		out.Output = report.Lines(run.Output, maxCheckLine)
	}
	switch {
	case !run.Begun:
		out.Note = verdict.NotBegun
	case run.Stopped:
		out.Note = fmt.Sprintf("stopped after %s", c.limit())
	case run.Ended:
		status := run.Status
		out.Status = &status
	case v == verdict.Bad:
		out.Note = "the boot ended in it"
	default:
		out.Note = "the guest shut down in it"
	}
	return out
}

// maxTorn is how often it is asked whether the end of a line of a check's is one of the kernel's, which begins with its time. Checks that
// print many times into one line would have us look for a minute; what is torn after that stays torn.
const maxTorn = 20000

// hearing is what the guest said, sorted by who said it.
type hearing struct {
	log    []verdict.LogLine
	reader images.CheckReader

	known  map[string]bool       // the lines of the log, cleaned; made when they are needed
	kernel ktap.Decoder          // of the console's lines that are the kernel's
	others ktap.Decoder          // of those that are neither the kernel's nor a check's
	checks map[int]*ktap.Decoder // by the checks' numbers
}

// console reads the console. Which lines are the kernel's tells printk's time in front of them, and the log.
func (h *hearing) console(lines func(func(string))) {
	h.kernel.Prefix, h.others.Prefix = kunit, "userspace"
	asked := 0
	h.reader.Kernel = func(text string) bool {
		text, _, ok := ktap.CutPrintk(text)
		if !ok || asked == maxTorn {
			return false
		}
		asked++
		return h.logged(text)
	}
	h.checks = map[int]*ktap.Decoder{}
	h.reader.Line = func(number int, text string) { // all of them: of a long report the result keeps the end, which says nothing alone
		d := h.checks[number]
		if d == nil {
			d = &ktap.Decoder{}
			h.checks[number] = d
		}
		d.Line(text, -1)
	}
	lines(func(line string) {
		if line = strings.TrimRight(line, "\r\n"); h.reader.Console(line) {
			return
		}
		if text, at, ok := ktap.CutPrintk(line); ok {
			h.kernel.Line(text, at)
		} else if !h.logged(line) {
			h.others.Line(line, -1)
		}
	})
	for _, l := range h.log {
		h.reader.Event(l.Text)
	}
}

// logged reports whether a line is one of the kernel's log.
func (h *hearing) logged(text string) bool {
	if h.known == nil {
		h.known = map[string]bool{}
		for _, l := range h.log {
			for _, s := range report.Lines(l.Text, 0) {
				h.known[strings.TrimRight(s, " ")] = true
			}
		}
	}
	return h.known[strings.TrimRight(report.Clean(text, 0), " ")]
}

// runs are the checks by their number; it has n of them, whatever the guest claims.
func (h *hearing) runs(n int) []images.CheckRun {
	runs := h.reader.End()
	for len(runs) < n {
		runs = append(runs, images.CheckRun{})
	}
	return runs[:n]
}

// leftOut is a test in the place of all whose results were in a part of a check's output that is nowhere.
const leftOut = "(output left out)"

// kunit is the suite that the kernel's own tests are put into.
const kunit = "kunit"

// subtests are the results of tests: the kernel's own from its log or, where that has been written over, from whichever of log and
// console has more of them; then those of each check's output, and of the rest of the console.
func (h *hearing) subtests(checks []verdict.Check, runs []images.CheckRun) (out []verdict.Subtest, notes []string) {
	log := ktap.Decoder{Prefix: kunit}
	for _, l := range h.log {
		for line := range strings.SplitSeq(l.Text, "\n") {
			log.Line(line, l.Time)
		}
	}
	out = log.Subtests()
	if whole := len(h.log) > 0 && h.log[0].Seq == 0; !whole {
		if seen := h.kernel.Subtests(); len(seen) > len(out) {
			out = seen
		} else if len(out) > 0 {
			notes = append(notes, "the beginning of the log is lost, and with it, maybe, results of the kernel's own tests")
		}
	}
	for i, c := range checks {
		d := h.checks[i+1]
		if d == nil {
			continue
		}
		d.Prefix = c.Name
		tests := d.Subtests()
		if len(tests) > 0 && runs[i].LeftOut { // without a plan nothing else would say that some are missing
			tests = append(tests, verdict.Subtest{Name: report.Clean(c.Name+"/"+leftOut, 0), Status: "lost", Reason: "the guest keeps the beginning and the end of an output"})
		}
		out = append(out, tests...)
	}
	return append(out, h.others.Subtests()...), notes
}
