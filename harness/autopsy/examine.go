package autopsy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Examine says what died, where and why. The parts of the Result that belong to the boot as a whole (timing, artifacts,
// machine) are the caller's. An error means that the machine could not be read at all.
func (s *Scene) Examine(ctx context.Context) (verdict.Result, error) {
	e, err := s.Gather(ctx)
	if err != nil {
		return verdict.Result{}, err
	}
	notes := s.readLog(e)
	e.Console = s.Console
	if s.modules.err != nil {
		notes = append(notes, s.modules.err.Error())
	}
	notes = append(notes, moreWarned(len(s.Warned), s.Warns, e.Reports)...)
	r := verdict.Result{Schema: verdict.Schema, Notes: notes, Log: logLines(e.Log), Warnings: s.warnings(e)}
	if s.Placement != nil {
		r.Kernel.KASLRSlide = verdict.Hex(s.Placement.Slide)
		r.Kernel.PhysBase = verdict.Hex(s.Placement.PhysBase)
		r.Kernel.CommandLine = s.commandLine()
	}
	e.Stop.Kind = ended(e)
	if e.Stop.Kind != watch.Reached {
		e = s.firstDeath(e)
		if s.First == nil && (e.Stop.Kind == watch.Stuck || e.Stop.Kind == watch.TimedOut || e.Stop.Kind == watch.Saved) {
			r.Notes = append(r.Notes, s.readTasks(e)...)
		}
		f := Judge(e)
		s.fill(&r, e, &f)
		return r, nil
	}
	if at, f := s.survived(e); f != nil {
		s.fill(&r, at, f)
		return r, nil
	}
	r.Verdict, r.Class = verdict.Good, verdict.OK
	r.Stage, r.StageCall = reachedStage(e)
	r.CPUs = cpus(e, nil)
	return r, nil
}

// ended is how the boot ended, where the chains tell it better than the watch could. After init a halt is as good an end as a
// power-off, if init is what was asked for. A reset is not, when an exception could not be delivered to the kernel's code, or QEMU
// logged a triple fault there, and nobody had asked for one; code outside of it (another kernel by kexec, the firmware) is not judged.
func ended(e *Evidence) watch.Kind {
	switch stop := e.Stop; {
	case stop.Kind == watch.Dead && stop.Marker && stop.Until == "init" && shutdown(e) != nil:
		return watch.Reached
	case stop.Kind == watch.Reached && stop.Reason == "guest-reset":
		fault, logged := false, e.Exceptions != nil && e.Exceptions.Whole && e.Exceptions.TripleFault
		for i := range e.Chains {
			c := &e.Chains[i]
			if askedFor(c, verdict.Reset, "") != nil || askedFor(c, verdict.Shutdown, "") != nil {
				return watch.Reached
			}
			fault = fault || (c.Undeliverable != "" || logged && !c.Halted) && c.Where == KernelText
		}
		if fault {
			return watch.Shutdown
		}
	}
	return e.Stop.Kind
}

// firstDeath is the evidence of the first oops or panic, if one was passed, with the log as it is now; else of the stop.
func (s *Scene) firstDeath(e *Evidence) *Evidence {
	if s.First == nil {
		return e
	}
	first := *s.First
	first.Stop, first.Log, first.Reports = e.Stop, e.Log, e.Reports
	return &first
}

// survived finds what makes a boot bad although it reached what was asked for: the first oops or BUG that was passed, else
// what the log says, as far as it is of a class of FailOn.
func (s *Scene) survived(e *Evidence) (*Evidence, *Finding) {
	if s.First != nil {
		first := s.firstDeath(e)
		if f := exception(first); f != nil && slices.Contains(s.FailOn, f.Class) {
			f.Notes = append(f.Notes, "the kernel survived this, and the boot reached what was asked for")
			return first, f
		}
	}
	if slices.Contains(s.FailOn, verdict.Warn) && len(s.Warned) > 0 {
		at := *e
		at.Chains, at.Moment = []Chain{s.Warned[0]}, s.Warned[0].moment
		if at.Moment != nil {
			at.Kernel = at.Moment.Kernel
		}
		if f := warned(&at.Chains[0]); f != nil {
			return &at, f
		}
	}
	return e, firstReport(e, s.FailOn)
}

// fill turns a finding into the result of a bad boot.
func (s *Scene) fill(r *verdict.Result, e *Evidence, f *Finding) {
	r.Verdict, r.Class, r.Hang, r.Blame = verdict.Bad, f.Class, f.Hang, "kernel"
	r.Summary = string(f.Class) + ": " + f.What
	if text := panicText(e); text != "" && f.Class != verdict.Panic {
		r.Summary += "; then panic: " + text
	}
	r.Notes = append(r.Notes, f.Notes...)
	if u := e.Stop.Until; u != "" && u != "init" && e.Stop.Kind != watch.Reached {
		r.Notes = append(r.Notes, "--until "+u+" was not reached")
	}
	c := f.Chain
	if c != nil {
		c.CPU = f.CPU
	} else if i := slices.IndexFunc(e.Chains, func(c Chain) bool { return c.CPU == f.CPU }); i >= 0 {
		c = &e.Chains[i]
	} else {
		c = &Chain{}
	}
	if t := f.Trap; t != nil && !t.HasCode && t.Vector.HasErrorCode() {
		if code, ok := errorCode(e.Log); ok {
			t.ErrorCode, t.HasCode = code, true
			c.Frames[t.Index].Exception = t.exception()
		} else if t.Known && t.Vector != amd64.DoubleFault { // which has always 0
			r.Notes = append(r.Notes, "the exception's error code is not known: the kernel's own report of it is not in the log, and error_code is 0 for want of it")
		}
	}
	if f.Task != nil {
		c = &f.Task.Chain
	}
	s.death = death{evidence: e, finding: f, chain: c}
	r.Stage, r.StageCall = stage(c, e.Kernel)
	r.LogAt = e.loggedAt()
	if r.Stage == verdict.Initcall && r.StageCall == "" {
		r.StageCall = e.Initcall
	}
	r.Notes = append(r.Notes, repeats(c)...)
	if f.Class == verdict.Hang || f.Task != nil {
		r.Tasks = tasks(e)
	}
	if f.Frame >= 0 && f.Frame < len(c.Frames) {
		c.Frames[f.Frame].Cause = true
		r.Cause = s.cause(e, c, f)
		r.Signature = verdict.Sign(r.Class, r.Stage, c.Frames[f.Frame:])
	} else {
		r.Signature = verdict.Sign(r.Class, r.Stage, nil)
	}
	r.CPUs = cpus(e, f.Chain)
	if f.Task != nil {
		c = &e.Chains[0] // for how the machine stands
	}
	r.Details = details(e, c, r)
}

// cpus lists the chains by vCPU. instead, if any, takes the place of its vCPU's: the death was before the stop.
func cpus(e *Evidence, instead *Chain) []verdict.CPU {
	out := []verdict.CPU{}
	for i := range e.Chains {
		c := &e.Chains[i]
		if instead != nil && instead.CPU == c.CPU {
			out = append(out, verdict.CPU{CPU: c.CPU, State: "at its first death, by the kernel's own log", Frames: instead.Frames})
			continue
		}
		frames := c.Frames
		if frames == nil {
			frames = []verdict.Frame{}
		}
		out = append(out, verdict.CPU{CPU: c.CPU, State: state(c), Frames: frames, Stopped: c.Stopped, Regs: registers(c)})
	}
	return out
}

// doing is whether a vCPU ran, and with interrupts on, in words.
func doing(c *Chain) string {
	flags := "interrupts on"
	if !c.Regs.InterruptsOn() {
		flags = "interrupts off"
	}
	what := "running"
	if c.Halted {
		what = "halted"
	}
	return what + " with " + flags
}

// state is what a vCPU was doing, and where, in words.
func state(c *Chain) string {
	in := ""
	for _, f := range c.Frames {
		if !f.Inline && f.Function != "" {
			in = " in " + f.Function
			break
		}
	}
	if in == "" {
		in = fmt.Sprintf(" at 0x%x", c.Regs.LinearPC())
		if c.Where != Elsewhere && c.Where != KernelText {
			in += ", " + c.Where.String()
		}
	}
	return doing(c) + in
}

func registers(c *Chain) *verdict.RegDump {
	r, h := &c.Regs, func(v uint64) verdict.Hex { return verdict.Hex(v) }
	return &verdict.RegDump{RIP: h(r.RIP), RSP: h(r.RSP), RFLAGS: h(r.EFLAGS), RAX: h(r.RAX), RBX: h(r.RBX), RCX: h(r.RCX),
		RDX: h(r.RDX), RSI: h(r.RSI), RDI: h(r.RDI), RBP: h(r.RBP), R8: h(r.R8), R9: h(r.R9), R10: h(r.R10), R11: h(r.R11),
		R12: h(r.R12), R13: h(r.R13), R14: h(r.R14), R15: h(r.R15), CR0: h(r.CR0), CR2: h(r.CR2), CR3: h(r.CR3), CR4: h(r.CR4),
		EFER: h(r.EFER)}
}

// details are the lines under the headline: where in the boot, when, whether anybody could have seen it, and how the
// vCPU stands.
func details(e *Evidence, c *Chain, r *verdict.Result) []string {
	where := r.StageCall
	if where == "" {
		where = string(r.Stage)
	} else {
		where = fmt.Sprintf("%s (%s)", where, r.Stage)
	}
	after := e.Stop.After
	if e.Moment != nil {
		after = e.Moment.After
	}
	parts := []string{where}
	if after > 0 { // of a core it is not known
		parts = append(parts, fmt.Sprintf("%s after power-on", after.Round(1e6)))
	}
	if e.Kernel.Consoles == 0 {
		parts = append(parts, "before any console")
	}
	return []string{strings.Join(parts, ", ") + fmt.Sprintf("; vCPU %d %s", c.CPU, state(c))}
}

// loggedAt is the number of the record that the kernel reported the moment with, of a boot that went on after it; the last one before
// the moment where the report is not in the log; nil when the chains are those of the stop, or the log is not known that far.
func (e *Evidence) loggedAt() *uint64 {
	if e.Moment == nil || e.Stop.Kind != watch.Reached {
		return nil
	}
	for i := range e.Reports {
		if seq := e.Reports[i].Seq; seq >= e.Moment.Records {
			return &seq
		}
	}
	if e.Moment.Records == 0 {
		return nil
	}
	last := e.Moment.Records - 1
	return &last
}

// repeats says which functions of a chain come again and again.
func repeats(c *Chain) (notes []string) {
	for i := range c.Frames {
		if r := c.Frames[i].Repeat; r != nil {
			notes = append(notes, fmt.Sprintf("recursion: %s is %d times in a row on the stack", strings.Join(r.Functions, " < "), r.Times))
		}
	}
	return notes
}

// cause describes the frame at fault.
func (s *Scene) cause(e *Evidence, c *Chain, f *Finding) *verdict.Cause {
	fr := &c.Frames[f.Frame]
	out := &verdict.Cause{Function: fr.Function, Module: fr.Module, File: fr.File, Line: fr.Line, Address: fr.PC, Return: fr.Return, InlinedInto: inlinedInto(c, f.Frame)}
	switch t := f.Trap; {
	case t != nil:
		out.Exception = c.Frames[t.Index].Exception
		out.Bug = t.Bug
		s.instruction(out, t)
	case f.Class == verdict.TripleFault: // frozen at the instruction that reset the machine
		s.instruction(out, &Trap{PC: c.Regs.RIP, Regs: c.Regs})
	}
	if c.told == nil || c.told.frame != f.Frame {
		s.tell(e.Log, c, f)
	}
	out.Assertion, out.Page, s.death.scope = c.told.assertion, c.told.page, c.told.scope
	s.excerpt(out, c, f.Frame)
	return out
}

// instruction disassembles what trapped and says what memory it touched.
func (s *Scene) instruction(out *verdict.Cause, t *Trap) {
	if t.WildPC {
		return
	}
	code := t.Code
	if len(code) == 0 {
		code = make([]byte, linux.MaxInstruction)
		code = code[:s.readCode(code, t.PC)]
	}
	in, err := linux.Explain(code, t.Regs, nil)
	if err != nil {
		return
	}
	out.Instruction = in.Text
	if a, ok := in.At(t.CR2); ok && t.Vector == amd64.PageFault {
		out.Access = a.String()
	} else if len(in.Accesses) > 0 {
		out.Access = in.Accesses[0].String()
	}
}

// readCode reads the instructions of the kernel, of a module or of the decompressor at a pc, which is a physical address in the
// decompressor and while the kernel starts.
func (s *Scene) readCode(p []byte, pc uint64) (n int) {
	mem := s.kernelMemory()
	switch {
	case pc>>32 == 0 || s.inIdentity(pc):
		n, _ = s.RAM.ReadPhysical(p, pc)
	case s.modules.list.At(pc) != nil:
		n, _ = s.modules.list.Memory().ReadMemory(p, pc)
	case mem != nil:
		n, _ = mem.ReadMemory(p, pc)
	}
	return n
}

// sourceAround is how many lines are shown before and after the one at fault.
const sourceAround = 3

// excerpt shows the source around the place at fault. For code inlined from a header that is the line of the function
// that owns the code, which is where a reader wants to look; the header's own line is the assertion.
func (s *Scene) excerpt(out *verdict.Cause, c *Chain, at int) {
	if s.Source == nil {
		return
	}
	for at+1 < len(c.Frames) && c.Frames[at].Inline && strings.HasSuffix(c.Frames[at].File, ".h") {
		at++
	}
	f := &c.Frames[at]
	if f.Outside {
		return
	}
	src, err := s.Source(f.File)
	if err != nil || f.Line < 1 {
		return
	}
	lines := strings.Split(string(src), "\n")
	if f.Line > len(lines) {
		return
	}
	out.SourceFile = f.File
	for n := max(1, f.Line-sourceAround); n <= min(len(lines), f.Line+sourceAround); n++ {
		out.Source = append(out.Source, verdict.SourceLine{Line: n, Text: lines[n-1], Here: n == f.Line})
	}
}

func logLines(records []linux.Record) []verdict.LogLine {
	out := []verdict.LogLine{}
	for _, r := range records {
		out = append(out, verdict.LogLine{Seq: r.Seq, Time: r.Time.Seconds(), Level: r.Level, Text: r.Text, Open: !r.Finalized})
	}
	return out
}

// warnings lists the WARNs that were passed, with their chains; for those that were not, as the log has them.
func (s *Scene) warnings(e *Evidence) []verdict.Warning {
	out := []verdict.Warning{}
	for i := range s.Warned {
		c := &s.Warned[i]
		w := verdict.Warning{Summary: "WARN", Frames: c.Frames}
		if f := warned(c); f != nil {
			w.Summary = "WARN in " + place(&c.Frames[f.Frame])
			w.Frames = c.Frames[f.Frame:]
		}
		w.Signature = warnSignature(c, e.Kernel, w.Frames)
		out = append(out, w)
	}
	if len(out) > 0 {
		return out
	}
	for i := range e.Reports {
		r := &e.Reports[i]
		if r.Class != verdict.Warn {
			continue
		}
		w := verdict.Warning{Summary: r.Text, Frames: r.Chain.Frames}
		frames := w.Frames
		if at := first(&r.Chain, reporting); at >= 0 {
			w.Summary = "WARN in " + place(&r.Chain.Frames[at])
			frames = frames[at:]
		}
		w.Signature = warnSignature(&r.Chain, e.Kernel, frames)
		out = append(out, w)
	}
	return out
}

// moreWarned says that there were more WARNs than are kept: passed of them by the watch, which looks away when they are too many, and
// some of them in the log, which may have lost others.
func moreWarned(kept, passed int, reports []Report) (notes []string) {
	inLog := 0
	for i := range reports {
		if reports[i].Class == verdict.Warn {
			inLog++
		}
	}
	if all := max(passed, inLog); kept > 0 && all > kept {
		notes = append(notes, fmt.Sprintf("the kernel warned at least %d times; the first %d are among the warnings", all, kept))
	}
	return notes
}

// warnSignature is the signature that a WARN would give to a boot, were warn among FailOn; frames begin at its own function.
func warnSignature(c *Chain, k KernelState, frames []verdict.Frame) string {
	if c.moment != nil {
		k = c.moment.Kernel
	}
	at, _ := stage(c, k)
	return verdict.Sign(verdict.Warn, at, frames)
}
