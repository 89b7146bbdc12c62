package images

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Check is shell text that init runs and whose exit status counts. It has no input; its output goes to the console behind tags, see
// [CheckReader].
type Check struct {
	Script []byte
	Limit  time.Duration // when it is ended, with all of its session that it started; whole seconds, at least 1
}

// MaxChecks is how many checks an image takes.
const MaxChecks = 999

// checkNodes are the members for checks. Their names are numbers of three digits, which a shell's * has in order.
func checkNodes(list []Check) []node {
	if len(list) == 0 {
		return nil
	}
	nodes := []node{
		{name: "etc/kcatch/checks", mode: modeDir | 0o755},
		{name: "etc/kcatch/checks.sh", mode: modeRegular | 0o644, data: checks},
	}
	for i, c := range list[:min(len(list), MaxChecks)] {
		at := fmt.Sprintf("etc/kcatch/checks/%03d", i+1)
		seconds := max(int(c.Limit/time.Second), 1)
		nodes = append(nodes, node{name: at, mode: modeDir | 0o755},
			node{name: at + "/limit", mode: modeRegular | 0o644, data: []byte(strconv.Itoa(seconds) + "\n")},
			node{name: at + "/script", mode: modeRegular | 0o644, data: append(c.Script[:len(c.Script):len(c.Script)], '\n')})
	}
	return nodes
}

// CheckRun is how one check went, as the guest told of it.
type CheckRun struct {
	Begun   bool
	Ended   bool    // it came back, or was stopped
	Stopped bool    // its time was over
	Status  int     // of one that came back, 0 to 255
	Seconds float64 // by the guest's clock; 0 is not known
	Output  string  // its end, when Truncated
	// Truncated says that some of its output is not here, and LeftOut that the guest did not even send it.
	Truncated, LeftOut bool

	began float64
	lines []byte
	line  []byte // that is not whole yet, for CheckReader.Line
	open  bool
}

// maxLine bounds a line that Line is told of, in bytes.
const maxLine = 4096

// maxOutput bounds the output of one check, in bytes.
const maxOutput = 64 << 10

// CheckReader reads what the guest told of its checks. On the console that is, for the check with the number 1:
//
//	kcatch: check 001 begins at 0.52 MARKER
//	| a line of its output
//	| a line that is longer than 1000 bytes, which
//	+ goes on
//	!                                           what is left out
//	kcatch: check 001 exited 0 at 0.61 MARKER   or "stopped at" when its time was over
//
// The serial line is one for the kernel and for the check. A whole line of the kernel between two of the check has no tag and is
// left out; one that cuts into a line of the check's is cut out again if Kernel knows it.
type CheckReader struct {
	Marker string
	Checks int // how many there are: a guest that tells of more is not believed
	// Kernel reports whether text, the end of a line, is a line of the kernel's own; may be nil.
	Kernel func(text string) bool
	// Line is told of each line of a check's output, once and whole, those too that [CheckRun.Output] has no room for; may be nil. Of a
	// line it gets maxLine bytes.
	Line func(number int, text string)
	Runs []CheckRun // by number, from 0

	now   int    // the number of the check that is running; 0: none
	whole string // the beginning of a line into which the kernel's cut
}

// Event reads a line of the log, which has the beginnings and the ends.
func (r *CheckReader) Event(line string) bool {
	number, words := r.event(line)
	if number == 0 || len(words) < 3 {
		return false
	}
	verb, words := words[0], words[1:]
	status := 0
	switch verb {
	case "begins":
	case "exited":
		var err error
		if status, err = strconv.Atoi(words[0]); err != nil || status < 0 || status > 255 {
			return false
		}
		words = words[1:]
	case "stopped":
	default:
		return false
	}
	if len(words) < 3 || words[0] != "at" || !strings.HasPrefix(words[2], r.Marker) {
		return false
	}
	at, _ := strconv.ParseFloat(words[1], 64) // "-" is 0: not known
	for len(r.Runs) < number {
		r.Runs = append(r.Runs, CheckRun{})
	}
	run := &r.Runs[number-1]
	switch {
	case verb == "begins":
		if !run.Begun {
			run.Begun, run.began, r.now = true, at, number
		}
	case !run.Ended:
		r.end(number)
		run.Begun, run.Ended, run.Status, run.Stopped, r.now = true, true, status, verb == "stopped", 0
		if run.began > 0 && at > run.began {
			run.Seconds = math.Round((at-run.began)*100) / 100 // as /proc/uptime has it
		}
	}
	return true
}

// event cuts "kcatch: check 001 begins at 0.52 MARKER" into the number and the words after it; 0 when it is none.
func (r *CheckReader) event(line string) (number int, words []string) {
	_, rest, ok := strings.Cut(line, "kcatch: check ")
	if !ok || r.Marker == "" {
		return 0, nil
	}
	words = strings.Fields(rest)
	if len(words) < 2 || len(words[0]) != 3 {
		return 0, nil
	}
	number, err := strconv.Atoi(words[0])
	if err != nil || number < 1 || number > min(r.Checks, MaxChecks) {
		return 0, nil
	}
	return number, words[1:]
}

// Console reads a line of the console. It reports whether the line was ours: an event or output of a check.
func (r *CheckReader) Console(line string) bool {
	line = strings.TrimRight(line, "\r\n")
	if r.whole != "" {
		line, r.whole = r.whole+line, ""
	}
	if r.now == 0 || line == "" || !strings.Contains("|+!", line[:1]) {
		return r.Event(line)
	}
	if at, ok := r.cut(line); ok {
		r.whole = line[:at]
		return true
	}
	run := &r.Runs[r.now-1]
	tag, text := line[0], strings.TrimPrefix(line[1:], " ")
	switch tag {
	case '|':
		if len(run.lines) > 0 {
			run.lines = append(run.lines, '\n')
		}
		r.end(r.now)
		run.open = true
	case '+':
	default: // '!'
		r.end(r.now)
		run.Truncated, run.LeftOut = true, true
		return true
	}
	run.lines = append(run.lines, text...)
	run.line = append(run.line, text[:min(len(text), maxLine-len(run.line))]...)
	if n := len(run.lines); n > 4*maxOutput {
		run.lines = append(run.lines[:0], run.lines[n-maxOutput:]...)
		run.Truncated = true
	}
	return true
}

// end tells of a line that is whole now.
func (r *CheckReader) end(number int) {
	if run := &r.Runs[number-1]; run.open {
		if r.Line != nil {
			r.Line(number, string(run.line))
		}
		run.open, run.line = false, run.line[:0]
	}
}

// maxCut is the longest line that is looked through for one of the kernel's, in bytes. The guest's own are half as long.
const maxCut = 4096

// cut finds where a line of the kernel's cuts into one that begins with a tag. Directly behind the tag it is the check's own: a
// check may print the log.
func (r *CheckReader) cut(line string) (at int, ok bool) {
	if r.Kernel == nil || len(line) > maxCut {
		return 0, false
	}
	for at := 1; at < len(line); at++ {
		if line[at] == '[' && at != len("| ") && r.Kernel(line[at:]) {
			return at, true
		}
	}
	return 0, false
}

// End is called after the last line.
func (r *CheckReader) End() []CheckRun {
	for i := range r.Runs {
		run := &r.Runs[i]
		r.end(i + 1)
		if n := len(run.lines); n > maxOutput {
			run.lines, run.Truncated = run.lines[n-maxOutput:], true
		}
		run.Output, run.lines, run.line = string(run.lines), nil, nil
	}
	return r.Runs
}

// ChecksLine is the line that init prints when all of [Spec.Checks] have had their turn.
func ChecksLine(marker string) string { return "kcatch: checks ended " + marker }
