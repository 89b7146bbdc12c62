package ktap

import (
	"strconv"
	"strings"
)

// kind is what a line is to KTAP.
type kind uint8

const (
	unknown   kind = iota // a diagnostic, or no KTAP
	version               // KTAP version 1
	header                // # Subtest: NAME
	planLine              // 1..N
	resultRow             // ok 1 - NAME # SKIP why
)

// line is one line, taken apart.
type line struct {
	kind   kind
	column int    // of its first character that is no blank; kselftest's "# " counts as two
	hashed bool   // it stands behind kselftest's "# "
	text   string // from column on

	name      string // of a header or a result; may be empty
	number    int    // of a result; of a plan, how many tests
	ok        bool
	directive string // SKIP, TODO, XFAIL, TIMEOUT, ERROR, in capitals; or empty
	reason    string // what stands behind "# ", without the directive
}

// tabStop is how far a tab indents: KUnit's log had a tab for a level before it had four blanks.
const tabStop = 4

// parse takes a line apart that has no printk prefix any more. inner tells whether a report is open behind kselftest's "# " at a
// column.
func parse(s string, inner func(column int) bool) line {
	s = strings.TrimRight(s, " \t\r\n")
	l := line{}
	for {
		l.column, s = indent(s, l.column)
		rest, ok := strings.CutPrefix(s, "# ")
		if !ok || strings.HasPrefix(s, subtest) {
			break
		}
		column, bare := indent(rest, l.column+2)
		if !isVersion(bare) && !inner(l.column+2) && !inner(column) {
			break
		}
		l.column, s, l.hashed = column, bare, true
	}
	l.text = s
	switch {
	case isVersion(s):
		l.kind = version
	case strings.HasPrefix(s, subtest):
		l.kind, l.name = header, strings.TrimSpace(s[len(subtest):])
	default:
		if !l.plan(s) {
			l.result(s)
		}
	}
	return l
}

const subtest = "# Subtest:"

// indent skips blanks and tabs.
func indent(s string, column int) (int, string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			column++
		case '\t':
			column += tabStop - column%tabStop
		default:
			return column, s[i:]
		}
	}
	return column, ""
}

func isVersion(s string) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "K"), "TAP version ")
	_, err := strconv.ParseUint(rest, 10, 8)
	return ok && err == nil
}

// plan reads "1..8", and "1..0 # SKIP why".
func (l *line) plan(s string) bool {
	rest, ok := strings.CutPrefix(s, "1..")
	if !ok {
		return false
	}
	count, why, _ := strings.Cut(rest, "#")
	n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 24)
	if err != nil {
		return false
	}
	l.kind, l.number = planLine, int(n)
	l.directed(why)
	return true
}

// result reads "not ok 3 - name # TODO why". The number must be there.
func (l *line) result(s string) {
	rest, failed := strings.CutPrefix(s, "not ")
	rest, ok := strings.CutPrefix(rest, "ok ")
	if !ok {
		return
	}
	number, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(number, 10, 24)
	if err != nil {
		return
	}
	l.kind, l.ok, l.number = resultRow, !failed, int(n)
	name, why := rest, ""
	if strings.HasPrefix(rest, "#") {
		name, why = "", rest[1:]
	} else if i := strings.Index(rest, " #"); i >= 0 {
		name, why = rest[:i], rest[i+2:]
	}
	name = strings.TrimSpace(name)
	if name == "-" {
		name = ""
	}
	l.name = strings.TrimPrefix(name, "- ")
	l.directed(why)
}

// directed reads what stands behind the "#" of a result or a plan.
func (l *line) directed(why string) {
	word, rest, _ := strings.Cut(strings.TrimSpace(why), " ")
	switch d := strings.ToUpper(strings.TrimSuffix(word, ":")); d {
	case "SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR":
		l.directive, l.reason = d, strings.TrimSpace(rest)
		if d == "TIMEOUT" || d == "ERROR" { // the word is the reason
			l.reason = strings.TrimSpace(d + " " + rest)
		}
	default:
		l.reason = strings.TrimSpace(why)
	}
}

// status is what a result says of its test. A directive that is not known leaves ok or not ok. What was expected to fail and does
// not has passed; kselftest says "ok" with XFAIL of what failed as it was expected to.
func (l *line) status() string {
	switch {
	case l.directive == "SKIP":
		return skip
	case l.directive == "XFAIL", l.directive == "TODO" && !l.ok:
		return todo
	case l.ok:
		return pass
	}
	return fail
}

// The words of verdict.Subtest.
const (
	pass = "pass"
	fail = "fail"
	skip = "skip"
	todo = "todo"
	lost = "lost"
)

// CutPrintk takes printk's time, and its caller, off a line of a console: "[    0.060000][    T1] text". ok is false when it has none.
// (kernel/printk/printk.c, print_time and print_caller: CONFIG_PRINTK_TIME, CONFIG_PRINTK_CALLER.)
func CutPrintk(s string) (text string, seconds float64, ok bool) {
	inside, rest, found := bracket(s)
	if !found {
		return s, 0, false
	}
	whole, micro, found := strings.Cut(strings.TrimLeft(inside, " "), ".")
	seconds, err := strconv.ParseFloat(whole+"."+micro, 64)
	if !found || !digits(whole) || !digits(micro) || len(micro) != 6 || err != nil {
		return s, 0, false
	}
	if caller, after, found := bracket(rest); found {
		if c := strings.TrimLeft(caller, " "); len(c) > 1 && (c[0] == 'T' || c[0] == 'C') && digits(c[1:]) {
			rest = after
		}
	}
	return strings.TrimPrefix(rest, " "), seconds, true
}

// bracket cuts "[...]" off the beginning of s; what is in it is short.
func bracket(s string) (inside, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	end := strings.IndexByte(s[:min(len(s), 32)], ']')
	if end < 0 {
		return "", s, false
	}
	return s[1:end], s[end+1:], true
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
