package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/internal/shell"
)

// logTail is how many of the last log records the text report shows; the artifact directory has them all.
const logTail = 12

// Text writes r for a person: the verdict in one line, where and when, the assertion, the chain through the exception
// frame, the source at fault, the last log records, and what to run next.
func Text(w io.Writer, r *verdict.Result, style Style) error {
	t := &text{style: style}
	t.headline(r)
	if r.Verdict == verdict.Bad {
		t.bug(r)
	}
	t.chains(r)
	t.tasks(r)
	t.whoWrote(r)
	if r.Cause != nil {
		t.source(r.Cause)
	}
	t.warnings(r)
	t.initcalls(r)
	t.checks(r)
	t.subtests(r)
	t.log(r)
	t.notes(r)
	t.next(r)
	_, err := io.WriteString(w, t.b.String())
	return err
}

type text struct {
	b     strings.Builder
	style Style
}

func (t *text) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	t.b.WriteByte('\n')
}

func (t *text) headline(r *verdict.Result) {
	switch r.Verdict {
	case verdict.Good:
		t.line("%s  %s", t.style.good("GOOD"), Clean(r.Summary, 0))
	case verdict.Bad:
		t.line("%s  %s  %s", t.style.bad("BAD"), t.style.strong(Clean(string(r.Class), 40)), Clean(firstPart(r.Summary), 0))
	default:
		t.line("%s  %s", t.style.warn("SKIP"), Clean(r.Summary, 0))
	}
	for _, more := range r.Details {
		t.line("     %s", Clean(more, 0))
	}
	t.stages(r)
	if r.Error != nil && r.Error.Hint != "" {
		t.line("     hint: %s", Clean(r.Error.Hint, 0))
	}
}

// firstPart is the summary without the class in front of it, which the headline shows by itself.
func firstPart(summary string) string {
	if _, rest, ok := strings.Cut(summary, ": "); ok {
		return rest
	}
	return summary
}

func (t *text) bug(r *verdict.Result) {
	c := r.Cause
	if c == nil {
		return
	}
	switch {
	case c.Bug != nil:
		t.line("")
		t.line("%s", t.style.strong(Clean(c.Bug.Text, 0)))
	case c.Access != "" || c.Instruction != "":
		t.line("")
		t.line("%s  %s", t.style.strong(Clean(c.Instruction, 0)), Clean(c.Access, 0))
	}
	if a := c.Assertion; a != nil {
		from := ""
		if a.Patch != "" {
			from = t.style.dim("     <- " + Clean(a.Patch, 0))
		}
		t.line("  %s%s", Clean(a.Text, 0), from)
		t.condition(a)
	}
	if c.Page != nil {
		t.line("  %s", Clean(c.Page.Text, 0))
	}
}

// maxConditionValue is the longest value of a condition in the text report; the JSON has all of it.
const maxConditionValue = 100

// condition shows what the condition read, a line each. What only led to another object stands with it.
func (t *text) condition(a *verdict.Assertion) {
	through := ""
	for _, v := range a.Values {
		s := Clean(v.Expression, 80) + " = " + Clean(v.Value, maxConditionValue)
		if v.ByLog {
			s += " (by the kernel's own dump of it in the log)"
		}
		if v.Through {
			through += ", " + s
			continue
		}
		t.line("    %s%s", s, t.style.dim(through))
		through = ""
	}
	if through != "" {
		t.line("    %s", t.style.dim(strings.TrimPrefix(through, ", ")))
	}
}

func (t *text) chains(r *verdict.Result) {
	for _, cpu := range r.CPUs {
		if r.Verdict == verdict.Good {
			continue
		}
		if len(cpu.Frames) == 0 {
			t.registers(cpu)
			continue
		}
		t.line("")
		if len(r.CPUs) > 1 {
			t.line("%s", t.style.dim(fmt.Sprintf("vCPU %d: %s", cpu.CPU, Clean(cpu.State, 0))))
		}
		t.frames(cpu.Frames, r.Cause)
		if cpu.Stopped != "" {
			t.line("     %s", t.style.dim("("+Clean(cpu.Stopped, 0)+")"))
		}
	}
}

// registers shows what there is of a vCPU without a chain.
func (t *text) registers(cpu verdict.CPU) {
	r := cpu.Regs
	if r == nil {
		return
	}
	t.line("")
	t.line("vCPU %d: %s", cpu.CPU, Clean(cpu.State, 0))
	for _, row := range [][4]struct {
		name string
		v    verdict.Hex
	}{
		{{"rip", r.RIP}, {"rsp", r.RSP}, {"rflags", r.RFLAGS}, {"cr2", r.CR2}},
		{{"rax", r.RAX}, {"rbx", r.RBX}, {"rcx", r.RCX}, {"rdx", r.RDX}},
		{{"rsi", r.RSI}, {"rdi", r.RDI}, {"rbp", r.RBP}, {"r8", r.R8}},
		{{"r9", r.R9}, {"r10", r.R10}, {"r11", r.R11}, {"r12", r.R12}},
		{{"r13", r.R13}, {"r14", r.R14}, {"r15", r.R15}, {"cr3", r.CR3}},
	} {
		var cells []string
		for _, c := range row {
			cells = append(cells, fmt.Sprintf("%-6s %016x", c.name, uint64(c.v)))
		}
		t.line("  %s", strings.Join(cells, "  "))
	}
	if cpu.Stopped != "" {
		t.line("     %s", t.style.dim("("+Clean(cpu.Stopped, 0)+")"))
	}
}

func (t *text) tasks(r *verdict.Result) {
	for _, task := range r.Tasks {
		t.line("")
		head := fmt.Sprintf("task %d %s, state %s", task.PID, Clean(task.Comm, 32), Clean(task.State, 8))
		if task.CPU != nil { // its frames are its vCPU's
			t.line("%s", t.style.dim(fmt.Sprintf("%s, runs on vCPU %d", head, *task.CPU)))
			continue
		}
		t.line("%s", t.style.dim(head))
		t.frames(task.Frames, nil)
	}
}

// frames prints a chain, innermost first, with a rule where an exception interrupted it.
// The instruction at fault stands on the rule of the exception that is the cause.
func (t *text) frames(frames []verdict.Frame, cause *verdict.Cause) {
	name, place := 0, 0
	for _, f := range frames {
		name = max(name, len(label(f)))
		place = max(place, len(where(f)))
	}
	name, place = min(name, 40), min(place, 56)
	number := -1
	for _, f := range frames {
		number++
		if e := f.Exception; e != nil {
			instruction := ""
			if cause != nil && cause.Exception == e {
				instruction = cause.Instruction
			}
			t.rule(e, instruction)
		}
		tail := ""
		if f.Inline {
			tail = "inlined"
		}
		switch f.FoundBy {
		case "scan":
			tail = strings.TrimSpace(tail + " guess (found by scanning the stack)")
		case "frame-pointer":
			tail = strings.TrimSpace(tail + " by frame pointer")
		}
		if f.Reason != "" {
			tail = strings.TrimSpace(tail + " " + Clean(f.Reason, 80))
		}
		if f.Cause {
			t.line("  %2d  %s  %s  %s", number, t.style.strong(pad(label(f), name)), pad(where(f), place),
				pad(tail, 8)+t.style.mark(" ◀ here"))
		} else {
			t.line("  %2d  %s  %s  %s", number, pad(label(f), name), pad(where(f), place), t.style.dim(tail))
		}
		t.variables(f.Args)
		if r := f.Repeat; r != nil {
			number += r.LeftOut
			t.line("   ⋮  %s", t.style.dim(fmt.Sprintf("%s: %d times in all; %d frames are left out", Clean(strings.Join(r.Functions, " < "), 60), r.Times, r.LeftOut)))
		}
	}
}

func (t *text) rule(e *verdict.Exception, instruction string) {
	head := fmt.Sprintf(" ──  exception %s (%d)", Clean(e.Name, 40), e.Vector)
	if e.Vector < 0 {
		head = " ──  " + Clean(e.Name, 40)
	}
	if instruction != "" {
		head += "  " + Clean(instruction, 60)
	}
	if e.Text != "" {
		head += fmt.Sprintf("  %s, cr2 %s", Clean(e.Text, 0), e.CR2)
	}
	if e.Guessed {
		head += "  (vector deduced from the instruction)"
	}
	head += "  "
	fill := max(4, min(t.style.width(), 80)-len([]rune(head)))
	t.line("%s", t.style.warn(head+strings.Repeat("─", fill)))
}

func label(f verdict.Frame) string {
	name := Clean(f.Function, 80)
	if name == "" {
		name = f.PC.String()
	}
	if f.Module != "" {
		name += " [" + Clean(f.Module, 60) + "]"
	}
	return name
}

func where(f verdict.Frame) string {
	switch {
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s:%d", Clean(f.File, 120), f.Line)
	case f.File != "":
		return Clean(f.File, 120)
	case f.Size > 0:
		return fmt.Sprintf("+0x%x/0x%x", f.Offset, f.Size)
	case f.Function != "":
		return fmt.Sprintf("+0x%x", f.Offset)
	}
	return ""
}

func pad(s string, n int) string {
	if d := n - len([]rune(s)); d > 0 {
		return s + strings.Repeat(" ", d)
	}
	return s
}

func (t *text) source(c *verdict.Cause) {
	if len(c.Source) == 0 {
		return
	}
	t.line("")
	for _, l := range c.Source {
		if l.Here {
			t.line("%s", t.style.strong(fmt.Sprintf("  %5d > %s", l.Line, indent(l.Text))))
			continue
		}
		t.line("%s", t.style.dim(fmt.Sprintf("  %5d   %s", l.Line, indent(l.Text))))
	}
	t.line("        %s", t.style.dim(Clean(c.SourceFile, 0)+", as it was built"))
}

// indent cleans a source line but keeps its leading tabs, as four columns each.
func indent(s string) string {
	trimmed := strings.TrimLeft(s, "\t")
	return strings.Repeat("    ", len(s)-len(trimmed)) + Clean(trimmed, 160)
}

func (t *text) warnings(r *verdict.Result) {
	if len(r.Warnings) == 0 {
		return
	}
	t.line("")
	t.line("%s", t.style.warn(fmt.Sprintf("survived by the kernel: %d", len(r.Warnings))))
	for i, w := range r.Warnings {
		if i == 8 {
			t.line("  … and %d more, in result.json", len(r.Warnings)-i)
			break
		}
		t.line("  %s", Clean(w.Summary, 160))
	}
}

func (t *text) log(r *verdict.Result) {
	if strings.TrimSpace(strings.Join(r.Console, "")) != "" {
		t.line("")
		title := "the end of the console:"
		if r.Verdict == verdict.Good {
			title = "--run printed:"
		}
		t.line("%s", t.style.dim(title))
		for _, l := range r.Console[max(0, len(r.Console)-logTail):] {
			t.line("  %s", Clean(l, 120))
		}
	}
	if r.Verdict != verdict.Bad || len(r.Log) == 0 {
		return
	}
	log, title := r.Log, "the last %d of %d log records, read from memory%s:"
	if r.LogAt != nil {
		if end := slices.IndexFunc(log, func(l verdict.LogLine) bool { return l.Seq > *r.LogAt }); end > 0 {
			log, title = log[:end], "up to the kernel's own report, %d of %d log records, read from memory%s:"
		}
	}
	told := withoutDump(log)
	tail := told[max(0, len(told)-logTail):]
	assertion := ""
	if r.Cause != nil && r.Cause.Assertion != nil {
		assertion = r.Cause.Assertion.Text
	}
	t.line("")
	left := ""
	if n := len(log) - len(told); n > 0 {
		left = fmt.Sprintf("; without the kernel's own register dump of %d", n)
	}
	t.line("%s", t.style.dim(fmt.Sprintf(title, len(tail), len(r.Log), left)))
	for _, l := range tail {
		open := ""
		if l.Open {
			open = t.style.dim("   (not on any console: the record is still open)")
		}
		for i, s := range Lines(readable(l.Text, assertion), 120) {
			stamp := fmt.Sprintf("[%9.6f]", l.Time)
			if i > 0 {
				stamp = strings.Repeat(" ", len(stamp))
			}
			t.line("  %s %s%s", t.style.dim(stamp), s, open)
			open = ""
		}
	}
}

func (t *text) notes(r *verdict.Result) {
	if len(r.Notes) == 0 {
		return
	}
	t.line("")
	for _, n := range r.Notes {
		t.line("%s %s", t.style.warn("note:"), Clean(n, 0))
	}
}

func (t *text) next(r *verdict.Result) {
	if r.Verdict != verdict.Bad {
		return
	}
	t.line("")
	if r.Artifacts.QEMUCommand != "" {
		script := Clean(shell.Word(r.Artifacts.QEMUCommand), 0)
		t.line("%s  sh %s", t.style.dim("boot it again "), script)
		t.line("%s  sh %s nokaslr -S", t.style.dim("stop it at 0  "), script)
	}
	if r.Artifacts.GDBCommand != "" {
		t.line("%s  %s", t.style.dim("then in gdb   "), Clean(r.Artifacts.GDBCommand, 0))
	}
	if r.Artifacts.Dir != "" {
		t.line("%s  %s", t.style.dim("artifacts     "), Clean(r.Artifacts.Dir, 0))
	}
	ran := fmt.Sprintf("build %.1fs, boot %.2fs, ", r.Timing.Build, r.Timing.Boot)
	if r.Timing.Build == 0 && r.Timing.Boot == 0 {
		ran = "" // of a core: nothing was
	}
	t.line("%s  %sexamined in %.0f ms", t.style.dim("time          "), ran, r.Timing.Examine*1000)
}
