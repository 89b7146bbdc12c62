package report

import (
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/internal/shell"
)

// deathPage is one boot for the template "death": the result itself, and beside it what has to be worked out for a page.
// Cell is nil for a boot that is no cell.
type deathPage struct {
	ID       string // of its element; those of its sections begin with it
	Cell     *verdict.Cell
	Glyph    glyph
	Result   *verdict.Result // nil when nothing was booted
	Headline string
	Facts    []fact
	Parts    []part
	CPUs     []cpuHTML
	Tasks    []taskHTML
	Writes   []writeHTML
	Warnings []warningHTML
	Log      logHTML
	Console  string
	Subtests subtestsHTML
	Longest  []verdict.InitcallTime
	Stages   []stageHTML
	Files    []fact
	Commands []fact
	bars     int
}

// fact is a name and what it is.
type fact struct{ Name, Text string }

// part is a section of the page.
type part struct{ ID, Name string }

// pageLimits bounds what a page of many boots shows of each.
type pageLimits struct {
	good, bad int // records of the log of a boot that ended well, and of one that did not
	bars      int // initcalls in the picture of its timeline
}

// Bounds of the lists of one boot in a page; what is left out is said, and is in result.json.
const (
	htmlFrames   = 300
	htmlVars     = 60
	htmlTasks    = 32
	htmlWarnings = 50
	htmlOutput   = 400 // lines of one check
	htmlSubtests = 300 // that passed, and as many that did not
)

// newDeathPage works out the page of a boot.
func newDeathPage(id string, c *verdict.Cell, r *verdict.Result, limits pageLimits) *deathPage {
	p := &deathPage{ID: id, Cell: c, Result: r, Glyph: glyphOf(verdict.CellError), bars: limits.bars}
	switch {
	case c != nil:
		p.Glyph = glyphOf(c.Status)
		p.Headline = c.Reason
	case r != nil && r.Verdict == verdict.Good:
		p.Glyph = glyphOf(verdict.CellPass)
	case r != nil && r.Verdict == verdict.Bad:
		p.Glyph = glyphOf(verdict.CellFail)
	case r != nil && r.Verdict == verdict.Skip:
		p.Glyph = glyphOf(verdict.CellSkip)
	}
	if r != nil {
		p.Headline = r.Summary
		if r.Verdict == verdict.Bad {
			p.Headline = firstPart(r.Summary)
		}
		p.result(r, limits)
	}
	p.files()
	p.parts()
	return p
}

func (p *deathPage) result(r *verdict.Result, limits pageLimits) {
	p.facts(r)
	for i := range r.CPUs {
		p.CPUs = append(p.CPUs, cpuOf(&r.CPUs[i], r))
	}
	for i, t := range r.Tasks {
		if i == htmlTasks {
			break
		}
		head := fmt.Sprintf("task %d %s, state %s", t.PID, Clean(t.Comm, 32), Clean(t.State, 8))
		if t.CPU != nil {
			head += fmt.Sprintf(", runs on vCPU %d", *t.CPU)
		}
		p.Tasks = append(p.Tasks, taskHTML{head, chain(t.Frames, nil)})
	}
	for i := range r.WhoWrote {
		p.Writes = append(p.Writes, writeOf(&r.WhoWrote[i]))
	}
	for i, w := range r.Warnings {
		if i == htmlWarnings {
			p.Warnings = append(p.Warnings, warningHTML{Summary: fmt.Sprintf("… and %d more, in result.json", len(r.Warnings)-i)})
			break
		}
		p.Warnings = append(p.Warnings, warningHTML{Clean(w.Summary, htmlValue), chain(w.Frames, nil)})
	}
	limit := limits.good
	if r.Verdict == verdict.Bad {
		limit = limits.bad
	}
	p.Log = logOf(r, limit)
	var console strings.Builder
	for _, l := range r.Console[max(0, len(r.Console)-limit):] {
		console.WriteString(Clean(l, htmlLine) + "\n")
	}
	p.Console = strings.TrimSpace(console.String())
	p.Subtests = subtestsOf(r.Subtests)
	p.Longest = longest(r.Initcalls, longestShown)
	p.Stages = stagesOf(r)
}

// facts are what identifies the boot, in the order in which a reader asks.
func (p *deathPage) facts(r *verdict.Result) {
	add := func(name, text string) {
		if text != "" {
			p.Facts = append(p.Facts, fact{name, Clean(text, htmlValue)})
		}
	}
	stage := string(r.Stage)
	if r.StageCall != "" {
		stage += ", in " + r.StageCall
	}
	add("stage", stage)
	if r.Hang != "" {
		add("hang", string(r.Hang))
	}
	add("kernel", r.Kernel.Release)
	if m := r.Machine; m != nil {
		add("machine", fmt.Sprintf("%s, %s, %d vCPU%s, %d MiB", m.Name, m.Accel, m.CPUs, plural(m.CPUs), m.Memory>>20))
	}
	add("command line", r.Kernel.CommandLine)
	if r.Kernel.KASLRSlide != 0 {
		add("KASLR slide", r.Kernel.KASLRSlide.String())
	}
	add("build-id", r.Kernel.BuildID)
	add("time", fmt.Sprintf("build %s, boot %s, examined in %s", seconds(r.Timing.Build), seconds(r.Timing.Boot), seconds(r.Timing.Examine)))
	add("blame", r.Blame)
	add("signature", r.Signature)
}

// files are the artifacts, and the commands that do something with them.
func (p *deathPage) files() {
	file := func(name, path string) {
		if path != "" {
			p.Files = append(p.Files, fact{name, Clean(path, htmlValue)})
		}
	}
	command := func(name, line string) {
		if line != "" {
			p.Commands = append(p.Commands, fact{name, Clean(line, htmlValue)})
		}
	}
	if p.Cell != nil {
		command("this cell again", p.Cell.Repeat)
	}
	if p.Result == nil {
		if p.Cell != nil {
			file("directory", p.Cell.Artifacts)
		}
		return
	}
	a := &p.Result.Artifacts
	if a.QEMUCommand != "" {
		again := "sh " + shell.Word(a.QEMUCommand)
		command("boot it again", again)
		command("stop it at its first instruction", again+" nokaslr -S")
		command("then in gdb", a.GDBCommand)
	}
	dir := a.Dir
	if dir == "" && p.Cell != nil {
		dir = p.Cell.Artifacts
	}
	file("directory", dir)
	file("console", a.Console)
	file("log", a.Log)
	file("report", a.Report)
	file("result", a.Result)
	file("core", a.VMCore)
	file("exceptions", a.Exceptions)
	file("vmlinux", a.Vmlinux)
	file("build log", a.BuildLog)
}

// parts are the sections that there are.
func (p *deathPage) parts() {
	add := func(there bool, id, name string) {
		if there {
			p.Parts = append(p.Parts, part{p.ID + "/" + id, name})
		}
	}
	r := p.Result
	if r == nil {
		r = &verdict.Result{}
	}
	add(p.Cell != nil && len(p.Cell.Tries) > 1, "attempts", "attempts")
	add(r.Cause != nil, "cause", "cause")
	add(p.HasChain(), "chain", "chain")
	add(len(p.Tasks) > 0, "tasks", "tasks")
	add(len(p.Writes) > 0, "writes", "who wrote")
	add(len(p.Warnings) > 0, "warnings", fmt.Sprintf("warnings %d", len(r.Warnings)))
	add(len(r.Checks) > 0, "checks", fmt.Sprintf("checks %d", len(r.Checks)))
	add(len(r.Subtests) > 0, "tests", fmt.Sprintf("subtests %d", len(r.Subtests)))
	add(r.Workload != nil, "workload", "workload")
	add(p.HasTimeline(), "timeline", "timeline")
	add(len(r.Log) > 0, "log", fmt.Sprintf("log %d", len(r.Log)))
	add(p.Console != "", "console", "console")
	add(len(p.Files)+len(p.Commands) > 0, "again", "again")
}

// HasChain reports whether there is something to show of a vCPU: of a boot that ended well there is not.
func (p *deathPage) HasChain() bool {
	return len(p.CPUs) > 0 && p.Result.Verdict == verdict.Bad
}

// HasTimeline reports whether the boot has marks or initcalls.
func (p *deathPage) HasTimeline() bool {
	return p.Result != nil && (len(p.Stages) > 0 || len(p.Longest) > 0)
}

// Class is the class of a death, empty for a good end.
func (p *deathPage) Class() string {
	if p.Result == nil || p.Result.Verdict == verdict.Good {
		return ""
	}
	return Clean(string(p.Result.Class), 40)
}

// frameHTML is a frame, worked out.
type frameHTML struct {
	Number               int
	Rule                 string // the exception that interrupted this frame, which stands above it
	Name, Where, Title   string
	Inline, Cause, Guess bool
	How                  string // how it was found where that is worth a word, or why there is no name
	Args, Locals, Lost   []string
	Repeat               string
}

// chain works out frames, innermost first.
func chain(frames []verdict.Frame, cause *verdict.Cause) []frameHTML {
	var out []frameHTML
	number := -1
	for i := range frames {
		if i == htmlFrames {
			out = append(out, frameHTML{Number: number + 1, Name: fmt.Sprintf("… and %d more frames, in result.json", len(frames)-i)})
			break
		}
		f := &frames[i]
		number++
		v := frameHTML{Number: number, Name: label(*f), Where: where(*f), Inline: f.Inline, Cause: f.Cause}
		if e := f.Exception; e != nil {
			v.Rule = ruleText(e)
		}
		v.Title = fmt.Sprintf("%s, pc %s, found by %s", symbol(f), f.PC, Clean(f.FoundBy, 40))
		switch f.FoundBy {
		case "scan":
			v.How, v.Guess = "guess: found by scanning the stack", true
		case "frame-pointer":
			v.How = "by frame pointer"
		case "log":
			v.How = "by the kernel's own report in the log"
		}
		if f.Reason != "" {
			v.How = strings.TrimPrefix(v.How+"; "+Clean(f.Reason, htmlLine), "; ")
		}
		v.variables(f.Args)
		if r := f.Repeat; r != nil {
			number += r.LeftOut
			v.Repeat = fmt.Sprintf("%s: %d times in all; %d frames are left out", Clean(strings.Join(r.Functions, " < "), htmlLine), r.Times, r.LeftOut)
		}
		out = append(out, v)
	}
	return out
}

// variables sorts a frame's variables like the text report does: those without a value are names only.
func (v *frameHTML) variables(vars []verdict.Arg) {
	for _, a := range vars[:min(len(vars), htmlVars)] {
		name := Clean(a.Name, 60)
		switch {
		case unknown(a.Value):
			if !slices.Contains(v.Lost, name) && !(a.Local && ofMacro(name)) {
				v.Lost = append(v.Lost, name)
			}
		case a.Local:
			v.Locals = append(v.Locals, declared(a)+" = "+Clean(a.Value, htmlValue))
		default:
			v.Args = append(v.Args, declared(a)+" = "+Clean(a.Value, htmlValue))
		}
	}
	if n := len(vars) - htmlVars; n > 0 {
		v.Locals = append(v.Locals, fmt.Sprintf("… and %d more, in result.json", n))
	}
}

// symbol is where in the code a frame is: "init_unavailable_range+0xb3/0x121".
func symbol(f *verdict.Frame) string {
	name := f.Symbol
	if name == "" {
		name = f.Function
	}
	if name == "" {
		name = "no symbol"
	}
	if f.Size == 0 {
		return Clean(name, 120)
	}
	return fmt.Sprintf("%s+0x%x/0x%x", Clean(name, 120), f.Offset, f.Size)
}

// ruleText names an exception.
func ruleText(e *verdict.Exception) string {
	s := Clean(e.Name, 40)
	if e.Vector >= 0 {
		s = fmt.Sprintf("exception %s (%d)", s, e.Vector)
	}
	if e.Text != "" {
		s += fmt.Sprintf(": %s, cr2 %s", Clean(e.Text, htmlLine), e.CR2)
	}
	if e.Guessed {
		s += " (vector deduced from the instruction)"
	}
	return s
}

// cpuHTML is a vCPU: its chain, or its registers where there is none.
type cpuHTML struct {
	Head    string
	Open    bool
	Frames  []frameHTML
	Stopped string
	Regs    []fact
}

func cpuOf(c *verdict.CPU, r *verdict.Result) cpuHTML {
	v := cpuHTML{Head: fmt.Sprintf("vCPU %d", c.CPU), Frames: chain(c.Frames, r.Cause), Stopped: Clean(c.Stopped, htmlLine)}
	if c.State != "" {
		v.Head += ": " + Clean(c.State, htmlLine)
	}
	v.Open = len(r.CPUs) == 1 || slices.ContainsFunc(c.Frames, func(f verdict.Frame) bool { return f.Cause })
	if g := c.Regs; g != nil {
		for _, reg := range []struct {
			name string
			v    verdict.Hex
		}{
			{"rip", g.RIP}, {"rsp", g.RSP}, {"rbp", g.RBP}, {"rflags", g.RFLAGS}, {"rax", g.RAX}, {"rbx", g.RBX}, {"rcx", g.RCX}, {"rdx", g.RDX},
			{"rsi", g.RSI}, {"rdi", g.RDI}, {"r8", g.R8}, {"r9", g.R9}, {"r10", g.R10}, {"r11", g.R11}, {"r12", g.R12}, {"r13", g.R13},
			{"r14", g.R14}, {"r15", g.R15}, {"cr0", g.CR0}, {"cr2", g.CR2}, {"cr3", g.CR3}, {"cr4", g.CR4}, {"efer", g.EFER},
		} {
			v.Regs = append(v.Regs, fact{reg.name, fmt.Sprintf("%016x", uint64(reg.v))})
		}
	}
	return v
}

type taskHTML struct {
	Head   string
	Frames []frameHTML
}

type warningHTML struct {
	Summary string
	Frames  []frameHTML
}

// writeHTML is the answer to who wrote some memory.
type writeHTML struct {
	Head, Last string
	Frames     []frameHTML
	Stopped    string
	Earlier    []string
}

func writeOf(w *verdict.Write) writeHTML {
	v := writeHTML{Head: fmt.Sprintf("%s (%s, %d byte%s)", Clean(w.Expression, htmlLine), w.Address, w.Size, plural(w.Size)), Stopped: Clean(w.Stopped, htmlLine)}
	if w.Writers == 0 || len(w.Frames) == 0 && w.Via == "" {
		v.Last = fmt.Sprintf("nobody since power-on; it holds %s", w.New)
		return v
	}
	at, least := "", ""
	if w.Offset > 0 {
		at = fmt.Sprintf(" at byte %d", w.Offset)
	}
	if w.Sampled {
		least = "at least "
	}
	v.Last = fmt.Sprintf("%s%d write%s; the last: %s → %s%s%s", least, w.Writers, plural(w.Writers), w.Old, w.New, at, by(w))
	v.Frames = chain(w.Frames, nil)
	for i := len(w.Earlier) - 1; i >= 0 && len(v.Earlier) < 16; i-- {
		e := w.Earlier[i]
		who := place(e.Function, e.File, e.Line, e.PC)
		if e.Loading {
			who = loading + who
		}
		v.Earlier = append(v.Earlier, fmt.Sprintf("%s → %s by %s", e.Old, e.New, who))
	}
	return v
}

// logHTML is a log in pieces: many lines that look alike are one text, so that a page of a hundred logs has few elements.
type logHTML struct {
	Note   string
	Pieces []piece
	Report bool // a piece is the kernel's own report
}

type piece struct {
	Kind string // "report" where the kernel's own report begins, "err" from its level on; "" for all other lines
	Text string
}

// reportHead matches how the kernel begins the report of a death (arch/x86/kernel/traps.c, arch/x86/mm/fault.c, kernel/panic.c,
// lib/bug.c).
var reportHead = regexp.MustCompile(`^(kernel BUG at |BUG: |Kernel panic - not syncing|Oops: |general protection fault|divide error|invalid opcode|stack segment|int3: |PANIC: |watchdog: BUG)`)

// reportAt is the index of the record in which the kernel reported what the boot is bad for; -1 where none does.
func reportAt(r *verdict.Result) int {
	if r.Verdict != verdict.Bad {
		return -1
	}
	return slices.IndexFunc(r.Log, func(l verdict.LogLine) bool {
		if r.LogAt != nil {
			return l.Seq == *r.LogAt
		}
		return reportHead.MatchString(l.Text)
	})
}

// logOf takes at most limit records: of a death those around its report, else the last ones.
func logOf(r *verdict.Result, limit int) logHTML {
	at := reportAt(r)
	end := len(r.Log)
	if at >= 0 {
		end = min(end, max(at+limit/4, limit))
	}
	begin := max(0, end-limit)
	v := logHTML{Report: at >= begin && at < end}
	if begin > 0 || end < len(r.Log) {
		v.Note = fmt.Sprintf("records %d to %d of %d; all of them are in the log file and in result.json", begin+1, end, len(r.Log))
	}
	assertion := ""
	if r.Cause != nil && r.Cause.Assertion != nil {
		assertion = r.Cause.Assertion.Text
	}
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			v.Pieces = append(v.Pieces, piece{Text: plain.String()})
			plain.Reset()
		}
	}
	for i := begin; i < end; i++ {
		l := &r.Log[i]
		text := recordText(l, assertion)
		kind := ""
		switch {
		case i == at:
			kind = "report"
		case l.Level <= 3: // not 4, which a record has that says no level (CONFIG_MESSAGE_LOGLEVEL_DEFAULT)
			kind = "err"
		}
		if kind == "" {
			plain.WriteString(text)
			continue
		}
		flush()
		v.Pieces = append(v.Pieces, piece{kind, text})
	}
	flush()
	return v
}

// recordText is a record as lines with its time in front.
func recordText(l *verdict.LogLine, assertion string) string {
	var b strings.Builder
	for i, s := range Lines(readable(l.Text, assertion), htmlLine) {
		stamp := fmt.Sprintf("[%12.6f]", l.Time)
		if i > 0 {
			stamp = strings.Repeat(" ", len(stamp))
		}
		b.WriteString(stamp + " " + s)
		if l.Open && i == 0 {
			b.WriteString("   (not on any console: the record is still open)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// subtestsHTML is KTAP: those that did not pass first, each with its lines.
type subtestsHTML struct {
	Counts  string
	Failed  []subtestHTML
	Passed  []subtestHTML
	LeftOut int
}

type subtestHTML struct {
	Name, Status, Kind, Reason, Lines string
}

func subtestsOf(all []verdict.Subtest) subtestsHTML {
	var v subtestsHTML
	count := map[string]int{}
	var order []string
	for i := range all {
		s := &all[i]
		status := Clean(s.Status, 20)
		if count[status] == 0 && len(order) < 16 {
			order = append(order, status)
		}
		count[status]++
		h := subtestHTML{Name: Clean(s.Name, 200), Status: status, Kind: "skip", Reason: Clean(s.Reason, htmlLine), Lines: output(s.Lines)}
		list := &v.Passed
		switch s.Status {
		case "pass":
			h.Kind = "pass"
		case "fail", "lost":
			h.Kind, list = "fail", &v.Failed
		}
		if len(*list) == htmlSubtests {
			v.LeftOut++
			continue
		}
		*list = append(*list, h)
	}
	var parts []string
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
	}
	v.Counts = strings.Join(parts, ", ")
	return v
}

// output is lines of a program in the guest, as one text.
func output(lines []string) string {
	var out []string
	for i, l := range lines {
		if i == htmlOutput {
			out = append(out, fmt.Sprintf("… and %d more lines, in result.json", len(lines)-i))
			break
		}
		out = append(out, Clean(l, htmlLine))
	}
	return strings.Join(out, "\n")
}

// Output is what a check printed.
func (p *deathPage) Output(c verdict.Check) string { return output(c.Output) }

// CheckKind is the shape of a check's outcome.
func (p *deathPage) CheckKind(c verdict.Check) glyph {
	if c.Passed() {
		return glyphOf(verdict.CellPass)
	}
	return glyphOf(verdict.CellFail)
}

// stageHTML is a stage with what it took.
type stageHTML struct {
	Stage    string
	From, In float64 // seconds
	Within   float64 // From is known so precisely; 0 is exact
}

func stagesOf(r *verdict.Result) []stageHTML {
	marks, calls := drawable(r, shownInitcalls)
	end := bootEnd(r, marks, calls)
	var out []stageHTML
	for i, m := range marks {
		until := end
		if i+1 < len(marks) {
			until = marks[i+1].Seconds
		}
		out = append(out, stageHTML{Clean(m.Stage, 40), m.Seconds, until - m.Seconds, m.Within})
	}
	return out
}

// Picture is the boot's timeline.
func (p *deathPage) Picture() (template.HTML, error) {
	var b strings.Builder
	err := TimelineSVG(&b, p.Result, TimelineSize{Initcalls: p.bars})
	return template.HTML(b.String()), err
}
