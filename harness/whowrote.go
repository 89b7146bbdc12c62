package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"kcatch/gdb/guest"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/harness/writer"
	"kcatch/internal/blame"
)

// Auto as a question of [WhoWrote] asks for the memory that the failed condition read.
const Auto = "auto"

// clocks are QEMU's -icount of the deterministic boots, one for each try. An instruction takes 2^shift ns of the guest's time, so
// that a race has other odds with another shift. shift=auto follows the host's clock, and so does a guest that idles without
// sleep=off: SeaBIOS does, and the kernel's KASLR slide then differs from run to run.
//
// sleep=off has its price: a vCPU that stops for the debugger counts as idle until QEMU's main loop has heard of it, which takes
// the guest's clock to its next timer (softmmu/icount.c, icount_start_warp_timer). So each write that is seen may bring a tick
// forward. Seen with QEMU 7.2.22.
var clocks = []string{"shift=3,sleep=off", "shift=4,sleep=off", "shift=5,sleep=off"}

// WhoWrote boots the plan as Boot does, and finds out who last wrote the memory that question names: a C expression, or Auto.
// Two more boots answer it, in which the guest's only clock is its count of instructions, so that they are the same to the bit.
// The first must die as the plain boot did, and gives the address; the second has a write watchpoint there from power-on. It asks
// as much again, with another clock, when a death does not show or the two differ, at most three times.
//
// The result is the plain boot's. Where there is no answer its notes say why. An error that comes with a result is about the
// question: a usage error for an expression that names no memory.
func WhoWrote(ctx context.Context, plan Plan, question string, p Progress) (verdict.Result, error) {
	quiet := p
	quiet.Verdict = nil // there is more to say
	plain := &boot{plan: plan, progress: quiet}
	if err := plain.build(ctx); err != nil {
		return verdict.Result{}, err
	}
	r, err := plain.run(ctx)
	if err != nil {
		return r, err
	}
	w := whoWrote{question: question, plain: plain, result: &r, progress: p}
	err = w.answer(ctx)
	if err != nil && ctx.Err() != nil {
		return r, err
	}
	if err != nil {
		r.Notes = append(r.Notes, "who wrote it: "+err.Error())
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
	if w.question == Auto && r.Verdict == verdict.Good {
		w.note("there is nothing to ask: the boot is good, and no condition failed")
		return nil
	}
	var why []string
	for try, clock := range clocks {
		reason, err := w.try(ctx, try+1, clock)
		if err != nil || reason == "" {
			if err == nil && try > 0 {
				w.note(fmt.Sprintf("answered by deterministic boots at the %d. try (%s): %s", try+1, clock, strings.Join(why, "; ")))
			}
			return err
		}
		why = append(why, fmt.Sprintf("%s: %s", clock, reason))
	}
	w.note(fmt.Sprintf("no answer after %d tries: %s", len(clocks), strings.Join(why, "; ")))
	return nil
}

func (w *whoWrote) note(text string) { w.result.Notes = append(w.result.Notes, "who wrote it: "+text) }

// try makes the two boots. reason is why they do not answer, empty when they do.
func (w *whoWrote) try(ctx context.Context, n int, clock string) (reason string, err error) {
	w.progress.stage("who wrote", fmt.Sprintf("a deterministic boot finds the address (%s)", clock))
	find := &exact{icount: clock, question: w.question}
	first, err := w.boot(ctx, fmt.Sprintf("%d-find", n), find)
	switch {
	case err != nil:
		return "", err
	case first.Signature != w.result.Signature:
		return "the deterministic boot does not show the death: it ended in " + endOf(&first), nil
	case find.err != nil:
		return "", find.err
	}
	w.progress.stage("who wrote", fmt.Sprintf("another one with write watchpoints (%s)", clock))
	again := &exact{icount: clock, question: w.question, watched: find.targets, maps: find.maps}
	second, err := w.boot(ctx, fmt.Sprintf("%d-watch", n), again)
	if err != nil {
		return "", err
	}
	if reason := find.differs(again, &first, &second); reason != "" {
		return reason, nil
	}
	for _, a := range again.answers {
		w.result.WhoWrote = append(w.result.WhoWrote, writeOf(a))
		w.result.Notes = append(w.result.Notes, tell(a)...)
	}
	return "", nil
}

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
	question string
	watched  []writer.Target // with write watchpoints on them; nil in the boot that finds the address
	maps     writer.Maps

	recorder *writer.Recorder

	// What it found.
	targets []writer.Target
	slide   uint64
	answers []writer.Answer
	err     error // about the question
}

// watch puts the watchpoints into the watch of a boot.
func (x *exact) watch(b *boot, in *watch.Input) {
	if x.watched == nil {
		return
	}
	x.recorder = writer.NewRecorder(b.ram, x.maps, x.watched)
	in.Watched = x.recorder.Watchpoints()
	_ = b.openDecompressor() // for names; where it fails there are none
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
	switch {
	case x.recorder == nil:
	case h.Symbol == "early_fixup_exception":
		x.recorder.Cut()
	case (h.Symbol == "oops_begin" || h.Symbol == "panic") && b.first == nil:
		x.recorder.End()
	}
}

// examined finds the memory that was asked for, while the machine stands at its end.
func (x *exact) examined(s *autopsy.Scene, r *verdict.Result) {
	if s.Placement != nil {
		x.slide = s.Placement.Slide
		if s.Kernel != nil {
			text, end := s.Kernel.Bounds()
			x.maps = writer.Maps{Direct: s.Kernel.Memory(s.RAM, *s.Placement).DirectMap(),
				Image: s.Placement.Run(text), ImagePhys: s.Placement.Phys, ImageSize: end - text}
		}
	}
	if x.recorder != nil {
		early := r.Class == verdict.EarlyException
		var ptRegs uint64
		if r.Verdict == verdict.Bad && r.Cause != nil && r.Cause.Exception != nil {
			ptRegs = uint64(r.Cause.Exception.PtRegs)
		}
		x.answers = x.recorder.Answers(early, ptRegs)
	}
	x.targets, x.err = nil, nil
	places, err := x.places(s)
	if err != nil {
		x.err = err
		return
	}
	for _, p := range places {
		pieces, err := writer.Split(p.Addr, p.Size, p.Translate)
		if err != nil {
			x.err = err
			return
		}
		x.targets = append(x.targets, writer.Target{Expression: p.Expression, Addr: p.Addr, Size: p.Size, Pieces: pieces})
	}
}

func (x *exact) places(s *autopsy.Scene) ([]autopsy.Place, error) {
	p, err := s.Place(x.question)
	return []autopsy.Place{p}, err
}

// differs says in what two deterministic boots differ, empty when in nothing that counts.
func (x *exact) differs(y *exact, first, second *verdict.Result) string {
	switch {
	case second.Signature != first.Signature:
		return "the boot with watchpoints ended in " + endOf(second)
	case y.slide != x.slide:
		return fmt.Sprintf("the two deterministic boots have different KASLR slides, 0x%x and 0x%x", x.slide, y.slide)
	case y.err != nil:
		return "the boot with watchpoints does not find the memory: " + y.err.Error()
	case len(x.targets) != len(y.targets):
		return "the two deterministic boots do not read the same memory"
	}
	for i, t := range x.targets {
		if u := y.targets[i]; t.Addr != u.Addr || t.Size != u.Size || t.Pieces[0].Phys != u.Pieces[0].Phys {
			return fmt.Sprintf("%s is at 0x%x in one deterministic boot and at 0x%x in the other", t.Expression, t.Addr, u.Addr)
		}
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

// tell is what a reader must know of an answer.
func tell(a writer.Answer) (notes []string) {
	note := func(format string, args ...any) {
		notes = append(notes, "who wrote "+a.Target.Expression+": "+fmt.Sprintf(format, args...))
	}
	if a.Missed {
		note("its value at the end, 0x%x, is not what the last writer that was seen left: a device wrote it, or code by a mapping that was not watched", a.Value)
	}
	if a.Sampled {
		note("it is written so often that not every write was seen: the number is a lower bound, and the last writer may be another")
	}
	for _, k := range a.Dropped {
		note("%s was not watched to the end: other memory was there, and was written often", k)
	}
	return notes
}
