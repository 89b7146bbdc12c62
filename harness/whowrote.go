package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kcatch/gdb/guest"
	"kcatch/gdb/value"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/harness/writer"
	"kcatch/internal/blame"
)

// Auto as a question of [WhoWrote] asks for the memory that the failed condition read.
const Auto = "auto"

// tries are the ways in which the deterministic boots are made, one after the other until one answers. An instruction takes 2^shift
// ns of the guest's time (QEMU's -icount), so that a race has other odds with another shift. shift=auto follows the host's clock, and
// so does a guest that idles without sleep=off: SeaBIOS does, and the kernel's KASLR slide then differs from run to run.
//
// sleep=off has its price: a vCPU that stops for the debugger counts as idle until QEMU's main loop has heard of it, which takes
// the guest's clock to its next timer (softmmu/icount.c, icount_start_warp_timer). So each write that is seen may bring a tick
// forward. Seen with QEMU 7.2.22. It also makes KASLR choose differently, when memory is written before it has chosen: the
// decompressor takes the slide, and kernel_randomize_memory() the place of the direct map, from the TSC. The recorder follows the
// direct map (writer.Maps.DirectVar); for what it cannot follow the boots are made without KASLR.
var tries = []struct {
	icount string
	append string // to the kernel's command line
}{{"shift=3,sleep=off", ""}, {"shift=3,sleep=off", "nokaslr"}, {"shift=4,sleep=off", "nokaslr"}}

// CheckQuestion refuses a question that no boot of the plan can answer, before anything is booted. Its errors are usage errors.
func CheckQuestion(plan Plan, question string) error {
	switch {
	case plan.Accel == string(machine.KVM):
		return blame.New(blame.Usage, "--who-wrote with --accel kvm: the boots that answer it count instructions, and only tcg does", "leave --accel out")
	case plan.Build == nil && plan.Vmlinux == "":
		return blame.New(blame.Usage, "--who-wrote: it needs a vmlinux", "give it with --vmlinux")
	case question == Auto:
		return nil
	case strings.EqualFold(question, Auto):
		return blame.New(blame.Usage, "--who-wrote "+question+": not "+Auto, "did you mean --who-wrote "+Auto+"?")
	}
	if _, err := value.Parse(question); err != nil {
		if p, ok := errors.AsType[*value.ParseError](err); ok {
			p.Text = autopsy.Shortened(p.Text)
		}
		return blame.New(blame.Usage, "--who-wrote: "+err.Error(), "")
	}
	return nil
}

// WhoWrote boots the plan as Boot does, and finds out who last wrote the memory that question names: a C expression, or Auto.
// Two more boots answer it, three for Auto, in which the guest's only clock is its count of instructions, so that they are the same to
// the bit. The first must die as the plain boot did, and gives the address; the last has a write watchpoint there from power-on. It
// asks as much again in each of three ways (tries) while a death does not show, a boot fails or two differ.
//
// The result is the plain boot's. Where there is no answer its notes say why, also when the other boots could not be made. An error
// that comes with a result is a usage error for an expression that names no memory, [blame.Interrupted], or about artifacts of the
// plain boot that could not be kept.
func WhoWrote(ctx context.Context, plan Plan, question string, p Progress) (verdict.Result, error) {
	quiet := p
	quiet.Verdict = nil // there is more to say
	plain := &boot{plan: plan.whole(), progress: quiet}
	if err := plain.build(ctx); err != nil {
		return verdict.Result{}, err
	}
	r, err := plain.run(ctx)
	if err != nil {
		if r.Verdict != "" { // something of the boot could not be kept
			p.verdict(&r)
		}
		return r, err
	}
	w := whoWrote{question: question, plain: plain, result: &r, progress: p}
	err = w.answer(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		w.note("interrupted")
		err = &blame.Error{Kind: blame.Interrupted, Msg: "who wrote: interrupted: " + err.Error(), Err: err}
	default:
		w.note(err.Error())
		if blame.Of(err) != blame.Usage {
			err = nil
		}
	}
	err = errors.Join(err, artifacts{dir: r.Artifacts.Dir}.report(&r))
	p.verdict(&r)
	return r, err
}

// whoWrote is a question under way.
type whoWrote struct {
	question string
	plain    *boot
	result   *verdict.Result // of the plain boot
	progress Progress

	marker, initrd string // of the first deterministic boot, for all
}

// answer puts the answer into the result.
func (w *whoWrote) answer(ctx context.Context) error {
	r := w.result
	switch {
	case w.question != Auto:
	case r.Verdict == verdict.Good:
		w.note("there is nothing to ask: the boot is good, and no condition failed")
		return nil
	case r.Cause == nil || r.Cause.Exception == nil || r.Class == verdict.Panic || r.Class == verdict.Hang:
		w.note("auto: the death is no exception of which the code would tell what it read; name an expression")
		return nil
	}
	if w.single() {
		w.note("the boots that answer have one vCPU, because QEMU's -icount does not bring up a second")
	}
	var why []string
	for i, how := range tries {
		name := strings.TrimSpace(how.icount + " " + how.append)
		reason, err := w.try(ctx, i+1, name, exact{icount: how.icount, append: how.append, question: w.question})
		switch {
		case err != nil:
			return err
		case reason == "" && i > 0:
			w.note(fmt.Sprintf("answered at try %d, by boots with %s; %s", i+1, name, strings.Join(why, "; ")))
			return nil
		case reason == "":
			return nil
		}
		why = append(why, fmt.Sprintf("with %s %s", name, reason))
	}
	w.note(fmt.Sprintf("no answer after %d tries: %s", len(tries), strings.Join(why, "; ")))
	return nil
}

func (w *whoWrote) note(text string) { w.result.Notes = append(w.result.Notes, "who wrote it: "+text) }

// try makes the boots. reason is why they do not answer, empty when they do.
func (w *whoWrote) try(ctx context.Context, n int, how string, as exact) (reason string, err error) {
	// boot makes the next one; it must die as the plain boot did.
	boot := func(what string, x *exact) (*verdict.Result, error) {
		w.progress.stage("who wrote", fmt.Sprintf("a deterministic boot %s (%s)", what, how))
		x.icount, x.append, x.question = as.icount, as.append, as.question
		name, _, _ := strings.Cut(what, " ")
		r, err := w.boot(ctx, fmt.Sprintf("%d-%s", n, name), x)
		for again := 1; aborted(err, notIO) && again < maxAborts && ctx.Err() == nil; again++ {
			*x = exact{icount: x.icount, append: x.append, question: x.question, suspect: x.suspect, watched: x.watched, maps: x.maps}
			r, err = w.boot(ctx, fmt.Sprintf("%d-%s", n, name), x)
		}
		if aborted(err, notIO) {
			reason = fmt.Sprintf("QEMU aborted %d times (%s; a bug of QEMU's)", maxAborts, notIO)
			return &r, nil
		}
		switch {
		case err == nil && r.Signature != w.result.Signature:
			reason = fmt.Sprintf("the boot that %s ended in %s", what, endOf(&r))
		case err != nil && ctx.Err() == nil && !aborted(err, mutexTwice):
			reason, err = fmt.Sprintf("the boot that %s failed: %v", what, err), nil
		}
		return &r, err
	}
	first := &exact{}
	end := "finds the death"
	if w.result.Verdict == verdict.Good {
		end = "finds the address"
	}
	if _, err = boot(end, first); err != nil || reason != "" {
		return reason, err
	}
	if first.err != nil {
		if w.question != Auto {
			return "", first.err
		}
		w.note("auto: " + first.err.Error())
		return "", nil
	}
	if first.suspect.Groups != nil {
		second := &exact{suspect: first.suspect}
		if _, err = boot("locates the memory that was read", second); err != nil || reason != "" {
			return reason, err
		}
		if second.err != nil {
			w.note("auto: " + second.err.Error())
			return "", nil
		}
		if reason := first.differs(second); reason != "" {
			return reason, nil
		}
		w.result.Notes = append(w.result.Notes, second.told...)
		first.targets = second.targets
	}
	if first.suspect.Groups == nil {
		w.result.Notes = append(w.result.Notes, first.told...)
	}
	last := &exact{watched: first.targets, maps: first.maps}
	if _, err = boot("watches it from power-on", last); aborted(err, mutexTwice) {
		w.note("QEMU aborts when it delivers an interrupt or exception onto watched memory, as onto a stack (" + mutexTwice + "; a bug of QEMU's)")
		return "", nil
	}
	if err != nil || reason != "" {
		return reason, err
	}
	if reason := first.differs(last); reason != "" {
		return reason, nil
	}
	if w.result.Class == verdict.Warn && len(last.answers) > 0 {
		w.note("the kernel lived on after the WARN: what was written between it and the end of the boot counts, too")
	}
	for _, a := range last.answers {
		write := writeOf(a)
		write.Slide = verdict.Hex(last.slide)
		w.result.WhoWrote = append(w.result.WhoWrote, write)
		w.result.Notes = append(w.result.Notes, tell(a, w.result.Verdict == verdict.Good || w.result.Class == verdict.Hang)...)
	}
	return "", nil
}

// single reports whether the deterministic boots have one vCPU although the plain one has more: under -icount QEMU 7.2 does not bring
// up a second one (6.1 and 6.12 wait for it in smp_init() for ever). A death before that is the same with all of them.
func (w *whoWrote) single() bool {
	switch w.result.Stage {
	case verdict.Initcall, verdict.Init, verdict.Userspace:
		return w.plain.plan.CPUs > 1
	}
	return false
}

// notIO is what QEMU 7.2 aborts in when it is busy with something else between a write to watched memory and the stop for it
// (accel/tcg/tcg-accel-ops-icount.c, icount_handle_interrupt): on a loaded host in one of four boots with 55 writes. The boot is
// made again: it is the same.
const notIO = "Raised interrupt while not in I/O function"

// maxAborts is how often it may.
const maxAborts = 6

// aborted reports whether QEMU ended by an assertion of its own that has this text.
func aborted(err error, text string) bool {
	return err != nil && (strings.Contains(err.Error(), text) || strings.Contains(blame.Detail(err), text))
}

// mutexTwice is what QEMU 7.2 aborts in when the frame of an interrupt is pushed onto watched memory: cpu_check_watchpoint()
// (softmmu/physmem.c) takes the big lock, which the delivery of an interrupt holds already.
const mutexTwice = "qemu_mutex_lock_iothread_impl"

// endOf is how a boot ended, for a sentence.
func endOf(r *verdict.Result) string {
	if r.Signature == "" {
		return "a good end"
	}
	return r.Signature
}

// boot makes one deterministic boot of what the plain one booted, with its artifacts in a directory of their own.
func (w *whoWrote) boot(ctx context.Context, name string, how *exact) (verdict.Result, error) {
	b := &boot{plan: w.plain.plan, built: w.plain.built, exact: how, initrd: w.initrd, marker: w.marker,
		progress: Progress{}, again: false}
	b.plan.Accel = string(machine.TCG)
	if w.single() {
		b.plan.CPUs = 1
	}
	b.plan.Append = strings.TrimSpace(b.plan.Append + " " + how.append)
	b.plan.Out = filepath.Join(w.result.Artifacts.Dir, "who-wrote", name)
	r, err := b.once(ctx)
	if b.initrd != w.plain.plan.Initrd {
		w.initrd, w.marker = b.initrd, b.marker
	}
	if errors.Is(err, errStarved) {
		err = blame.New(blame.Infrastructure, "who wrote: the deterministic boot panicked: "+starvedPanic, "")
	}
	return r, err
}

// exact is what a deterministic boot does besides.
type exact struct {
	icount   string
	append   string // to the kernel's command line
	question string
	suspect  autopsy.Suspect // loads whose addresses are to be located, in the second boot of Auto
	watched  []writer.Target // memory with write watchpoints on it, in the last boot
	maps     writer.Maps     // what the kernel maps, found at the end of a boot, or given for watched

	sightings sightings
	recorder  *writer.Recorder

	// What it found.
	targets []writer.Target
	slide   uint64
	told    []string // how Auto came to its targets
	answers []writer.Answer
	err     error // about the question
}

// watch puts break and watchpoints into the watch of a boot.
func (x *exact) watch(b *boot, in *watch.Input) {
	if len(x.suspect.Groups) > 0 {
		in.Breaks, in.Broken = x.sightings.begin(x.suspect.Groups), x.sightings.saw
	}
	if x.watched == nil {
		return
	}
	x.recorder = writer.NewRecorder(b.ram, x.maps, x.watched)
	in.Watched = x.recorder.Watchpoints()
	_ = b.openDecompressor() // for names; where it fails there are none
	in.Rewatch = x.recorder.Watchpoints
	in.Rearmed = x.recorder.Rearmed
	in.Written = func(_ context.Context, w watch.Write) (watch.Next, error) {
		space := guest.NewSpace(b.ram, w.Regs)
		return x.recorder.Written(w, b.place == nil, space.Translate, func(at uint64, size int) autopsy.Chain {
			scene := b.scene(watch.Stop{})
			return scene.WriterOf(w.CPU, w.Regs, at, size)
		}), nil
	}
}

// passed is told of breakpoints: the first oops or panic ends what counts, an early exception may.
func (x *exact) passed(b *boot, h watch.Hit) {
	end := (h.Symbol == "oops_begin" || h.Symbol == "panic") && b.first == nil
	if !end && h.Symbol != "early_fixup_exception" {
		return
	}
	x.sightings.cut(end)
	switch {
	case x.recorder == nil:
	case end:
		x.recorder.End()
	default:
		x.recorder.Cut()
	}
}

// examined finds the memory that was asked for, while the machine stands at its end.
func (x *exact) examined(s *autopsy.Scene, r *verdict.Result) {
	early := r.Class == verdict.EarlyException
	if s.Placement != nil {
		x.slide = s.Placement.Slide
		if s.Kernel != nil {
			text, end := s.Kernel.Bounds()
			x.maps = writer.Maps{Direct: s.Kernel.Memory(s.RAM, *s.Placement).DirectMap(),
				Image: s.Placement.Run(text), ImagePhys: s.Placement.Phys, ImageSize: end - text}
			if base, ok := s.Kernel.Symbol("page_offset_base"); ok {
				x.maps.DirectVar = s.Placement.Run(uint64(base.Addr))
				x.maps.DirectVarPhys = s.Placement.Physical(x.maps.DirectVar)
			}
		}
	}
	if x.recorder != nil {
		var ptRegs uint64
		if r.Verdict == verdict.Bad && r.Cause != nil && r.Cause.Exception != nil {
			ptRegs = uint64(r.Cause.Exception.PtRegs)
		}
		x.answers = x.recorder.Answers(early, ptRegs)
		return
	}
	if x.question == Auto && x.suspect.Groups == nil {
		if x.suspect, x.err = s.Suspect(); x.err == nil {
			return
		}
	}
	places, err := x.bySource(s, r)
	if len(places) == 0 && err == nil {
		places, err = x.places(s, r)
	}
	for i := 0; i < len(places) && err == nil; i++ {
		p := places[i]
		var pieces []writer.Piece
		pieces, err = writer.Split(p.Addr, p.Size, p.Translate)
		x.targets = append(x.targets, writer.Target{Expression: p.Expression, Addr: p.Addr, Size: p.Size, Pieces: pieces})
	}
	x.err = err
}

// bySource are the objects that the condition reads as the source says it, for Auto where the machine code has not told: a WARN(1) in an if
// has no condition before its ud2. The code's error comes back when there are none.
func (x *exact) bySource(s *autopsy.Scene, r *verdict.Result) (places []autopsy.Place, err error) {
	if x.question != Auto || x.err == nil {
		return nil, nil
	}
	for _, v := range readBySource(r.Cause) {
		if p, perr := s.PlaceAt(v.Expression, uint64(v.Address), v.Size); perr == nil {
			places = append(places, p)
		}
	}
	if len(places) == 0 {
		return nil, x.err
	}
	x.told = append(x.told, fmt.Sprintf("who wrote it: auto: what the condition reads as the source has it, because of the code: %v", x.err))
	x.err = nil
	return places, nil
}

// readBySource are the objects in memory that a failed condition reads, those left out that only lead to them; maxTargets at most.
func readBySource(c *verdict.Cause) (all []verdict.ConditionValue) {
	if c == nil || c.Assertion == nil {
		return nil
	}
	for _, v := range c.Assertion.Values {
		if v.Address != 0 && v.Size > 0 && !v.Through && len(all) < maxTargets {
			all = append(all, v)
		}
	}
	return all
}

// places are those that the expression names, or that the loads of Auto read last.
func (x *exact) places(s *autopsy.Scene, r *verdict.Result) ([]autopsy.Place, error) {
	if x.question != Auto {
		places, notes, err := s.Places(x.question)
		for _, n := range notes {
			x.told = append(x.told, "who wrote it: "+n)
		}
		if err != nil {
			err = &blame.Error{Kind: blame.Of(err), Msg: "--who-wrote " + err.Error(), Hint: blame.Hint(err), Err: err}
		}
		return places, err
	}
	early := r.Class == verdict.EarlyException
	var places []autopsy.Place
	unseen := 0
	for _, g := range x.suspect.Groups {
		at, ok := x.sightings.last(g, early)
		if !ok {
			unseen++
			continue
		}
		if slices.ContainsFunc(places, func(p autopsy.Place) bool { return p.Addr == at.addr && p.Size == at.load.Size }) || len(places) == maxTargets {
			continue
		}
		p, err := s.PlaceOf(at.load, at.addr)
		if err != nil {
			return nil, err
		}
		p.Expression = named(r.Cause, p)
		places = append(places, p)
		x.told = append(x.told, fmt.Sprintf("who wrote %s: %s: %s", p.Expression, x.suspect.What, s.LoadAt(at.load)))
		if now, ok := at.load.Address(x.suspect.Regs); at.sampled && (!ok || now != at.addr) {
			x.told = append(x.told, fmt.Sprintf("who wrote %s: it may be other memory that was read: %s ran more than %d times, and not each was seen",
				p.Expression, at.load.Text, maxSightings))
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("%d instructions may have read what decided it, and none was seen to run", unseen)
	}
	return places, nil
}

// named is what the source calls a place that the condition read, else the place's own name.
func named(c *verdict.Cause, p autopsy.Place) string {
	if c != nil && c.Assertion != nil {
		for _, v := range c.Assertion.Values {
			if uint64(v.Address) == p.Addr && v.Size == p.Size && !v.Through {
				return v.Expression
			}
		}
	}
	return p.Expression
}

// maxTargets is how many pieces of memory are watched in one boot.
const maxTargets = 4

// differs says in what a later deterministic boot differs, empty when in nothing that counts.
func (x *exact) differs(y *exact) string {
	if y.slide != x.slide {
		return fmt.Sprintf("two deterministic boots have different KASLR slides, 0x%x and 0x%x", x.slide, y.slide)
	}
	if y.maps.ImagePhys != x.maps.ImagePhys {
		return fmt.Sprintf("two deterministic boots have the kernel at different physical addresses, 0x%x and 0x%x", x.maps.ImagePhys, y.maps.ImagePhys)
	}
	// What is in the image is there in any case, and the recorder follows the direct map.
	image := y.recorder != nil && !slices.ContainsFunc(y.watched, func(t writer.Target) bool { return !x.maps.InImage(t.Addr) })
	if y.maps.Direct != x.maps.Direct && !image {
		return fmt.Sprintf("two deterministic boots have their memory at different places, 0x%x and 0x%x", x.maps.Direct, y.maps.Direct)
	}
	return ""
}

func writeOf(a writer.Answer) verdict.Write {
	w := verdict.Write{Expression: a.Target.Expression, Address: verdict.Hex(a.Target.Addr), Size: a.Target.Size,
		Old: verdict.Hex(a.Value), New: verdict.Hex(a.Value), Writers: a.Writers, Sampled: a.Sampled, Frames: []verdict.Frame{}}
	for _, k := range a.Kinds {
		w.Watched = append(w.Watched, string(k))
	}
	for i, e := range a.Events {
		if i == len(a.Events)-1 {
			w.Old, w.New, w.Offset, w.CPU, w.Via, w.Stopped = verdict.Hex(e.Old), verdict.Hex(e.New), e.Offset, e.CPU, string(e.Via), e.Chain.Stopped
			w.Loading = e.Loading
			if e.Chain.Frames != nil {
				w.Frames = e.Chain.Frames
			}
			if f := writer.Name(w.Frames); f != nil {
				w.Function, w.File, w.Line = f.Function, f.File, f.Line
			}
			continue
		}
		earlier := verdict.Writer{PC: verdict.Hex(e.Chain.Regs.RIP), Old: verdict.Hex(e.Old), New: verdict.Hex(e.New), Via: string(e.Via), Loading: e.Loading}
		if f := writer.Name(e.Chain.Frames); f != nil {
			earlier.Function, earlier.File, earlier.Line, earlier.PC = f.Function, f.File, f.Line, f.PC
		}
		w.Earlier = append(w.Earlier, earlier)
	}
	return w
}

// tell is what a reader must know of an answer. interrupted says that the boot did not end by itself but was stopped: when QEMU is asked
// to stop in the moment in which a watchpoint is hit, it stops for the one of the two reasons (softmmu/cpus.c, do_vm_stop).
func tell(a writer.Answer, interrupted bool) (notes []string) {
	note := func(format string, args ...any) {
		notes = append(notes, "who wrote "+autopsy.Shortened(a.Target.Expression)+": "+fmt.Sprintf(format, args...))
	}
	if a.Missed {
		by := "a device wrote it, or code by a mapping that was not watched"
		if interrupted {
			by = "it was written in the moment in which the boot was stopped, or by a device, or by a mapping that was not watched"
		}
		note("its value at the end, 0x%x, is not what the last writer that was seen left: %s", a.Value, by)
	}
	if a.Sampled {
		note("it is written so often that not every write was seen: the number is a lower bound, and the last writer may be another")
	}
	if a.Shared {
		note("its bytes are watched together with another's: a write of the value that it had is counted only if it changed nothing else")
	}
	for _, k := range a.Dropped {
		note("%s was not watched to the end: other memory was there, and was written often", k)
	}
	return notes
}
