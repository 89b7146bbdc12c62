package autopsy

import (
	"regexp"
	"strconv"
	"strings"

	"kcatch/gdb/linux"
	"kcatch/harness/verdict"
)

// Logged is an oops, BUG or WARN as the kernel itself reported it in its log. It is how a death is known that the kernel
// survived: its stack is gone by the time the machine stops.
type Logged struct {
	Class verdict.Class // oops, bug or warn
	Text  string        // the telling line
	Seq   uint64        // of that record
	CPU   int           // -1 when not said
	Bug   *verdict.BugSite
	RIP   logPlace   // zero when not said
	Trace []logPlace // the call trace, innermost first
}

// logPlace is symbol+offset/size as printk's %pS gives it. Guess marks the "? " entries of a trace.
type logPlace struct {
	Symbol       string
	Offset, Size uint64
	Module       string
	Guess        bool
}

// The forms, of 6.1 and 6.12 (arch/x86/kernel/{dumpstack,traps}.c, arch/x86/mm/fault.c, lib/bug.c, kernel/panic.c):
//
//	------------[ cut here ]------------
//	WARNING: CPU: 0 PID: 1 at kernel/x.c:12 f+0x10/0x20
//	kernel BUG at mm/page_alloc.c:1!
//	invalid opcode: 0000 [#1] SMP           Oops: invalid opcode: 0000 [#1] SMP    (6.12)
//	BUG: kernel NULL pointer dereference, address: 0000000000000030
//	Oops: 0002 [#1] SMP
//	CPU: 0 PID: 1 Comm: swapper/0 Tainted: G
//	RIP: 0010:f+0x10/0x20 [module]
//	Call Trace:
//	 <TASK>
//	 ? g+0x1/0x2
//	 h+0x3/0x4
var (
	warnLine  = regexp.MustCompile(`^WARNING: CPU: (\d+) PID: \d+ at (?:(\S+):(\d+) )?`)
	bugLine   = regexp.MustCompile(`^kernel BUG at (\S+):(\d+)!`)
	faultLine = regexp.MustCompile(`^BUG: (kernel NULL pointer dereference|unable to handle (page fault|kernel))`)
	oopsLine  = regexp.MustCompile(`^(?:Oops: )?[#A-Za-z][^:=]*: ([0-9a-f]{4}) \[#(\d+)\](?: [A-Z][A-Z_+{},]*(?:\([a-z]+\)}?)?)*$`)
	cpuLine   = regexp.MustCompile(`^CPU: (\d+) `)
	ripLine   = regexp.MustCompile(`^RIP: [0-9a-f]{4}:(\S+)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[(\w+)\])?`)
	traceLine = regexp.MustCompile(`^ (\? )?([\w.]+)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[(\w+)\])?`)
)

// reportLines bounds how many records after its telling line may belong to a report.
const reportLines = 120

// logged finds the reports in a log. What user space wrote to the log (facility other than kernel) is not the kernel's
// word.
func logged(records []linux.Record) []Logged {
	var out []Logged
	var open *Logged // the report that lines still belong to
	since := 0
	begin := func(class verdict.Class, r linux.Record) {
		out = append(out, Logged{Class: class, Text: r.Text, Seq: r.Seq, CPU: -1})
		open, since = &out[len(out)-1], 0
	}
	for _, r := range records {
		if r.Facility != 0 {
			continue
		}
		text, _, _ := strings.Cut(r.Text, "\n")
		if since++; since > reportLines {
			open = nil
		}
		switch {
		case warnLine.MatchString(text):
			begin(verdict.Warn, r)
			m := warnLine.FindStringSubmatch(text)
			open.CPU = number(m[1])
			if m[2] != "" {
				open.Bug = &verdict.BugSite{File: m[2], Line: number(m[3]), Warning: true, Text: r.Text}
			}
		case bugLine.MatchString(text):
			begin(verdict.Bug, r)
			m := bugLine.FindStringSubmatch(text)
			open.Bug = &verdict.BugSite{File: m[1], Line: number(m[2]), Text: text}
		case faultLine.MatchString(text):
			begin(verdict.Oops, r)
		case oopsLine.MatchString(text):
			// The line that every oops has; the BUG or fault line before it says more.
			if open == nil || open.Class == verdict.Warn || len(open.Trace) > 0 || open.RIP.Symbol != "" {
				begin(verdict.Oops, r)
			}
		case open == nil:
		case strings.HasPrefix(text, "---[ end trace"):
			open = nil
		case cpuLine.MatchString(text):
			open.CPU = number(cpuLine.FindStringSubmatch(text)[1])
		case ripLine.MatchString(text) && open.RIP.Symbol == "":
			m := ripLine.FindStringSubmatch(text)
			open.RIP = logPlace{Symbol: m[1], Offset: hex(m[2]), Size: hex(m[3]), Module: m[4]}
		case traceLine.MatchString(text):
			m := traceLine.FindStringSubmatch(text)
			open.Trace = append(open.Trace, logPlace{Guess: m[1] != "", Symbol: m[2], Offset: hex(m[3]), Size: hex(m[4]), Module: m[5]})
		}
	}
	return out
}

// errorCode is the error code of the first oops in the log: the four hex digits before "[#1]" (__die_header,
// arch/x86/kernel/dumpstack.c).
func errorCode(records []linux.Record) (uint64, bool) {
	for _, r := range records {
		text, _, _ := strings.Cut(r.Text, "\n")
		if m := oopsLine.FindStringSubmatch(text); m != nil && m[2] == "1" && r.Facility == 0 {
			return hex(m[1]), true
		}
	}
	return 0, false
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func hex(s string) uint64 {
	v, _ := strconv.ParseUint(s, 16, 64) // the pattern has hex digits only; too many give the largest number
	return v
}
