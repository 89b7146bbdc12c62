package faults

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/kernels/faults"
)

// Differences are what is wrong in a result, a line each; none when it is what the fault must get.
func Differences(want faults.Expectation, r *verdict.Result) []string {
	var d differences
	good := verdict.Bad
	if want.Good() {
		good = verdict.Good
	}
	d.word("verdict", string(r.Verdict), string(good))
	d.word("class", string(r.Class), want.Class)
	d.word("hang", string(r.Hang), want.Hang)
	d.word("stage", string(r.Stage), want.Stage)
	d.word("stage call", r.StageCall, want.StageCall)
	d.cause(want, r.Cause)
	d.frames(want, r)
	if !strings.Contains(r.Summary, want.Summary) {
		d.add("summary %q, want %q in it", r.Summary, want.Summary)
	}
	if want.Warnings != nil && len(r.Warnings) != *want.Warnings {
		d.add("%d warnings, want %d", len(r.Warnings), *want.Warnings)
	}
	d.tasks(want.Tasks, r)
	d.writer(want.Writer, r)
	return d
}

type differences []string

func (d *differences) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

// word compares one word, unless anything will do.
func (d *differences) word(what, got, want string) {
	if want != "" && got != want {
		d.add("%s %s, want %s", what, or(got, "none"), want)
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// cause compares the function at fault, what it is inlined into, and the exception.
func (d *differences) cause(want faults.Expectation, got *verdict.Cause) {
	if got == nil {
		if want.Cause != "" && want.Cause != "none" {
			d.add("no cause, want %s", want.Cause)
		}
		got = &verdict.Cause{}
	} else {
		d.word("cause", or(got.Function, "without a name"), want.Cause)
	}
	if len(want.InlinedInto) > 0 && !slices.Equal(got.InlinedInto, want.InlinedInto) {
		d.add("inlined into %s, want %s", or(strings.Join(got.InlinedInto, " "), "nothing"), strings.Join(want.InlinedInto, " "))
	}
	e := got.Exception
	switch v := want.Vector; {
	case v == nil:
	case *v < 0 && e != nil:
		d.add("vector %d, want no exception", e.Vector)
	case *v >= 0 && e == nil:
		d.add("no exception, want vector %d", *v)
	case *v >= 0 && e.Vector != *v:
		d.add("vector %d, want %d", e.Vector, *v)
	case *v >= 0 && want.ErrorCode != nil && e.ErrorCode != *want.ErrorCode:
		d.add("error code 0x%x, want 0x%x", e.ErrorCode, *want.ErrorCode)
	}
}

// frames looks for the functions in the chain that has the cause, outward from it.
func (d *differences) frames(want faults.Expectation, r *verdict.Result) {
	if len(want.Frames) == 0 {
		return
	}
	for _, cpu := range r.CPUs {
		at := slices.IndexFunc(cpu.Frames, func(f verdict.Frame) bool { return f.Cause })
		if at < 0 {
			continue
		}
		if left := missing(cpu.Frames[at+1:], want.Frames); len(left) > 0 {
			d.add("the chain of the cause lacks %s", strings.Join(left, " "))
		}
		return
	}
	d.add("no chain has the cause")
}

// missing are the functions that do not come in this order, from the first one that does not.
func missing(frames []verdict.Frame, want []string) []string {
	for _, f := range frames {
		if len(want) > 0 && f.Function == want[0] {
			want = want[1:]
		}
	}
	return want
}

func (d *differences) tasks(want []string, r *verdict.Result) {
	if len(want) == 0 {
		return
	}
	for _, t := range r.Tasks {
		if t.PID == 1 {
			if left := missing(t.Frames, want); len(left) > 0 {
				d.add("the chain of task 1 lacks %s", strings.Join(left, " "))
			}
			return
		}
	}
	d.add("no task 1")
}

// writer looks at who wrote the memory that the kernel died of.
func (d *differences) writer(want string, r *verdict.Result) {
	if want == "" {
		return
	}
	var got []string
	for _, w := range r.WhoWrote {
		if w.Function == want {
			return
		}
		got = append(got, w.Function)
	}
	d.add("writer %s, want %s", or(strings.Join(got, " "), "none"), want)
}

// Expected is what must be said, in a few words for a table: class, kind of hang, cause, or stage where there is no cause.
func Expected(want faults.Expectation) string {
	cause := want.Cause
	if cause == "none" {
		cause = ""
	}
	return words(want.Class, want.Hang, cause, want.Stage)
}

// got is the same of a result.
func got(r *verdict.Result) string {
	cause := ""
	if r.Cause != nil {
		cause = r.Cause.Function
	}
	return words(string(r.Class), string(r.Hang), cause, string(r.Stage))
}

func words(class, hang, cause, stage string) string {
	out := class
	if hang != "" {
		out += " " + hang
	}
	switch {
	case class == string(verdict.OK):
	case cause != "":
		out += " in " + cause
	case stage != "":
		out += " at " + stage
	}
	return out
}
