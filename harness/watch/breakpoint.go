package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/rsp"
	"kcatch/gdb/vmlinux"
)

// point is a place in the kernel whose passing tells something.
type point struct {
	symbol string
	link   vmlinux.Addr
	until  bool     // this is what --until names
	anchor bool     // its passing tells the slide, before anything else of the kernel is passed
	kind   rsp.Kind // zero: a breakpoint
	of     *Point   // somebody else's
	hits   int
	out    bool // taken out again

	in    bool // it is in the stub
	slide uint64
}

// early points are wanted before the kernel has logged anything.
func (p *point) early() bool { return p.of != nil || p.until }

// spread points are in the stub at every slide that there can be, until the kernel is found or one of them is hit.
func (w *watch) spread(p *point) bool {
	return p.anchor || p.until && (slices.Contains(beforeAnchor, p.symbol) || !slices.ContainsFunc(w.points, func(p point) bool { return p.anchor }))
}

// sharpening are the functions whose entry makes the watch quicker or the report better; nothing depends on them. The least
// missed is the last.
//
//	early_fixup_exception(regs, trapnr)  arch/x86/mm/extable.c: the vector is in RSI, and in no memory later. Seen where
//	                                     do_early_exception() calls it, for the sake of their pages: see begun
//	oops_begin()                         arch/x86/kernel/dumpstack.c: every oops and BUG, with its stack still whole
//	panic()                              kernel/panic.c: before it stops the other vCPUs
//	__warn()                             kernel/panic.c: every WARN; the log has them too
var sharpening = []struct{ symbol, caller string }{
	{"early_fixup_exception", "do_early_exception"}, {"oops_begin", ""}, {"panic", ""}, {"__warn", ""},
}

// fewPoints is how many breakpoints KVM takes: those of the CPU's own debug registers, DR0 to DR3. QEMU answers a fifth with
// an error (kvm_arch_insert_hw_breakpoint: ENOBUFS, on the wire E22).
const fewPoints = 4

// points resolves the places to watch in the kernel's own symbols; there are none without a vmlinux. With few there are
// fewPoints at most, of which one is until's.
func points(k Symbols, until string, few bool) []point {
	if k == nil {
		return nil
	}
	var ps, last []point
	if until != "init" && until != "console" {
		if s, ok := k.Symbol(until); ok {
			last = append(last, point{symbol: until, link: s.Addr, until: true})
		}
	}
	for _, at := range sharpening {
		if few && len(ps)+len(last) == fewPoints {
			break
		}
		if s, ok := k.Symbol(at.symbol); ok && at.symbol != until {
			if call, ok := k.CallSite(at.caller, at.symbol); ok {
				s.Addr = call
			}
			ps = append(ps, point{symbol: at.symbol, link: s.Addr})
		}
	}
	return append(ps, last...)
}

// place puts those of the points into the stub that are wanted, at a KASLR slide in bytes, and takes them from where they were.
func (w *watch) place(ctx context.Context, slide uint64, wanted func(p *point) bool) error {
	for i := range w.points {
		p := &w.points[i]
		if p.out || p.anchor || !wanted(p) || p.in && p.slide == slide {
			continue
		}
		if err := w.lift(ctx, p); err != nil {
			return err
		}
		if err := w.in.Stub.Insert(ctx, p.at(slide)); err != nil {
			return lost(err)
		}
		p.in, p.slide = true, slide
	}
	w.slide = slide
	return nil
}

// lift takes a point out of the stub, if it is there.
func (w *watch) lift(ctx context.Context, p *point) error {
	if !p.in {
		return nil
	}
	p.in = false
	if err := w.in.Stub.Remove(ctx, p.at(p.slide)); err != nil {
		return lost(err)
	}
	return nil
}

func all(*point) bool { return true }

// scatter puts the anchor, or the point of --until for want of one, to every place where the kernel may come to run it: it may be passed
// before the kernel is found in RAM. Each is a packet of 35 us; TCG takes any number of breakpoints, at addresses that are not
// mapped yet too.
func (w *watch) scatter(ctx context.Context) error {
	return w.everywhere(func(b rsp.Breakpoint) error { return w.in.Stub.Insert(ctx, b) })
}

// gather takes out what scatter put in.
func (w *watch) gather(ctx context.Context) error {
	w.scattered = false
	return w.everywhere(func(b rsp.Breakpoint) error { return w.in.Stub.Remove(ctx, b) })
}

func (w *watch) everywhere(do func(rsp.Breakpoint) error) error {
	for i := range w.points {
		p := &w.points[i]
		for slide := uint64(0); w.spread(p) && slide < guest.MaxSlide; slide += guest.Alignment {
			if err := do(p.at(slide)); err != nil {
				return lost(err)
			}
		}
	}
	return nil
}

// scatteredHit is the scattered point that a stop is at, and the slide that this tells; nil when it is at none.
func (w *watch) scatteredHit(regs amd64.Registers) (*point, uint64) {
	for i := range w.points {
		p := &w.points[i]
		slide := regs.RIP - uint64(p.link)
		if w.scattered && p.kind != rsp.ReadWatch && w.spread(p) && slide < guest.MaxSlide && slide%guest.Alignment == 0 {
			return p, slide
		}
	}
	return nil, 0
}

func (p point) at(slide uint64) rsp.Breakpoint {
	if p.kind == rsp.ReadWatch {
		return rsp.Breakpoint{Kind: p.kind, Addr: uint64(p.link) + slide, Len: 8}
	}
	return rsp.Breakpoint{Kind: rsp.Hardware, Addr: uint64(p.link) + slide, Len: 1}
}

// begun reports that the kernel has logged something since it was found, or has no log. TCG executes the whole page of a
// breakpoint one instruction at a time. Before the first record that would be 1.5 million of clear_bss(), which shares a
// page with do_early_exception(); later, 20,000 calls of __early_set_fixmap() by find_smp_config(), which shares one with
// early_fixup_exception(): 75 ms of a boot that takes 100 (6.1, tiny).
func (w *watch) begun() bool { return w.log == nil || w.logHead != w.logFirst }

// arm puts the points to where the kernel turned out to be. It costs one stop of about a millisecond; those of a watch for
// a symbol are elsewhere before.
func (w *watch) arm(ctx context.Context) error {
	if len(w.points) == 0 || w.inserted && w.placement.Slide == w.slide || !w.begun() && w.placed() {
		return nil
	}
	if err := w.interrupt(ctx); err != nil {
		return err
	}
	return w.move(ctx)
}

// move takes the points out of a stopped machine, puts them in at the kernel's slide, and lets it go on.
func (w *watch) move(ctx context.Context) error {
	if w.scattered {
		if err := w.gather(ctx); err != nil {
			return err
		}
	}
	wanted := (*point).early
	if w.begun() || w.inserted || !w.others() {
		wanted, w.inserted = all, true
	}
	if err := w.place(ctx, w.placement.Slide, wanted); err != nil {
		return err
	}
	return w.resume(ctx)
}

// placed reports whether every early point is where the kernel is.
func (w *watch) placed() bool {
	for i := range w.points {
		if p := &w.points[i]; p.early() && !p.out && (!p.in || p.slide != w.placement.Slide) {
			return false
		}
	}
	return !w.scattered
}

// stopped handles a stop that was not asked for: a breakpoint, or a machine that QEMU froze.
func (w *watch) stopped(ctx context.Context, s rsp.Stop) error {
	w.stands()
	if s.Reason() == rsp.ReasonWatch {
		act := func() error { return w.written(ctx, s) }
		if slide, ok := w.anchorRead(s); ok {
			act = func() error { return w.anchored(ctx, slide) }
		}
		if err := act(); err != nil {
			return err
		}
		return w.resume(ctx) // where it stands it may stop at once: at what it has just got to
	}
	if s.Reason() != rsp.ReasonBreak {
		return w.freeze(s)
	}
	regs, err := w.in.Stub.Registers(ctx, s.Thread)
	if err != nil {
		return lost(err)
	}
	w.locate()
	if err := w.broken(ctx, s.Thread.CPU(), regs); err != nil {
		return err
	}
	if p, slide := w.scatteredHit(regs); p != nil {
		if p.until {
			w.reached = true
			return w.passedAt(ctx, s, regs, slide)
		}
		if err := w.anchored(ctx, slide); err != nil {
			return err
		}
	}
	known := w.placement != nil && w.placement.Slide == w.slide
	for i := range w.points {
		p := &w.points[i]
		if uint64(p.link)+w.slide != regs.RIP || !known || !p.in || p.of != nil {
			continue
		}
		p.hits++
		hit := Hit{Symbol: p.symbol, CPU: s.Thread.CPU(), Regs: regs, After: time.Since(w.start)}
		w.hits = append(w.hits, hit)
		if w.in.Passed != nil {
			if err := w.in.Passed(ctx, hit); err != nil {
				return err
			}
		}
		if p.symbol == "panic" && w.panicHit.IsZero() {
			w.panicHit = time.Now() // when it goes on: to look at a large machine takes seconds
		}
		w.sharpTo = time.Now().Add(sharp)
		w.progress()
		if p.until {
			w.reached = true
			break
		}
		if p.hits >= maxHits {
			p.out = true
			if err := w.lift(ctx, p); err != nil {
				return err
			}
		}
	}
	if known {
		if err := w.passedAt(ctx, s, regs, w.slide); err != nil || w.reached {
			return err
		}
	}
	if err := w.stepOver(ctx, s.Thread, regs.RIP); err != nil || !w.frozenAt.IsZero() {
		return err
	}
	if w.placement != nil && w.placement.Slide != w.slide {
		return w.move(ctx)
	}
	return w.resume(ctx)
}

// maxSteps bounds how often a step is asked for that does not come off.
const maxSteps = 8

// stepOver takes a vCPU over the breakpoint that it stands at: resuming there would hit it again at once, and QEMU ignores
// breakpoints while it steps. It also ends a step before the instruction when it had an interrupt to look after meanwhile that
// stepping does not hold back, as CPU_INTERRUPT_POLL is for the local APIC (accel/tcg/cpu-exec.c, cpu_handle_interrupt: "ensure
// an EXCP_DEBUG is raised when single-stepping"); the breakpoint was then seen twice, about once in 60 on a loaded host. The
// instruction may be the one that resets the machine: then it is frozen (frozenAt) and not to be resumed.
func (w *watch) stepOver(ctx context.Context, t rsp.Thread, pc uint64) error {
	for range maxSteps {
		stop, err := w.in.Stub.StepOver(ctx, t)
		if err != nil {
			return lost(err)
		}
		if err := w.besides(ctx, stop); err != nil || !w.frozenAt.IsZero() { // the instruction wrote, or ended it all
			return err
		}
		regs, err := w.in.Stub.Registers(ctx, t)
		if err != nil {
			return lost(err)
		}
		if regs.RIP != pc {
			return nil
		}
	}
	return nil
}

// resume lets the machine go on, unless QEMU froze it meanwhile: then the stub would never answer.
func (w *watch) resume(ctx context.Context) error {
	err := w.in.Stub.Continue(ctx)
	if errors.Is(err, rsp.ErrNeedsReset) && !w.frozenAt.IsZero() {
		return nil // the QMP event says why
	}
	if err != nil {
		return lost(err)
	}
	w.goes()
	w.frozenAt = time.Time{}
	return nil
}
