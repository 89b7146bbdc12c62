package watch

import (
	"context"
	"slices"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/rsp"
	"kcatch/gdb/vmlinux"
)

// Point is a place, of one or more instructions, that somebody else wants to know of: see [Input.Points].
type Point struct {
	Links []vmlinux.Addr
	// Passed is told of each hit, while the machine stands at it; it may read the machine.
	Passed func(ctx context.Context, h Hit) (Enough, error)
}

// Enough is what is to become of a point after a hit.
type Enough int

// What to do with it: leave it, take it out at the address of the hit, or at all of its addresses.
const (
	More Enough = iota
	EnoughHere
	EnoughOfIt
)

// anchor is what tells where the kernel is before any of its C code runs at its own address, so that it alone has to be
// everywhere, and not each point: secondary_startup_64 (arch/x86/kernel/head_64.S) reads the variable initial_code to go to
// x86_64_start_kernel(). A watchpoint costs a look at each TLB miss; a breakpoint does at each block of code that TCG looks up,
// and 512 of them make a kernel that unpacks itself 20 times slower (6.12 of Debian).
const anchor = "initial_code"

// beforeAnchor are C functions that are passed before.
var beforeAnchor = []string{"early_setup_idt"}

// others are the points of somebody else, and the anchor for them and for the point of --until. A kernel without it has the first
// function in its stead.
func others(k Symbols, until string, mine []Point) []point {
	if k == nil {
		return nil
	}
	var ps []point
	symbol := until != "init" && until != "console"
	if s, ok := k.Symbol(anchor); ok && !s.Func && (symbol || len(mine) > 0) {
		ps = append(ps, point{symbol: anchor, link: s.Addr, anchor: true, kind: rsp.ReadWatch})
	} else if s, ok := k.Symbol("x86_64_start_kernel"); ok && len(mine) > 0 {
		ps = append(ps, point{symbol: s.Name, link: s.Addr, anchor: true})
	}
	for i := range mine {
		for _, link := range mine[i].Links {
			ps = append(ps, point{link: link, of: &mine[i]})
		}
	}
	return ps
}

// anchored puts what is early to where the kernel is, as an anchor tells.
func (w *watch) anchored(ctx context.Context, slide uint64) error {
	if err := w.gather(ctx); err != nil {
		return err
	}
	return w.place(ctx, slide, (*point).early)
}

// anchorRead is the slide that a stop at a watchpoint tells, if that is an anchor.
func (w *watch) anchorRead(s rsp.Stop) (slide uint64, ok bool) {
	for i := range w.points {
		p := &w.points[i]
		slide := s.Watch.Addr - uint64(p.link)
		if w.scattered && p.anchor && s.Watch.Kind == p.kind && slide < guest.MaxSlide && slide%guest.Alignment == 0 {
			return slide, true
		}
	}
	return 0, false
}

// others reports whether somebody else has points.
func (w *watch) others() bool {
	return slices.ContainsFunc(w.points, func(p point) bool { return p.of != nil })
}

// passedAt tells of the hits of somebody else's points at a stop.
func (w *watch) passedAt(ctx context.Context, s rsp.Stop, regs amd64.Registers, slide uint64) error {
	hit := Hit{CPU: s.Thread.CPU(), Regs: regs, After: time.Since(w.start)}
	for i := range w.points {
		if p := &w.points[i]; p.of != nil && !p.out && uint64(p.link)+slide == regs.RIP {
			if err := w.passed(ctx, p, hit); err != nil {
				return err
			}
		}
	}
	return nil
}

// passed tells of a hit of somebody else's point. It is no sign of progress: who looks at a loop must not keep it alive.
func (w *watch) passed(ctx context.Context, p *point, h Hit) error {
	enough, err := p.of.Passed(ctx, h)
	if err != nil || enough == More {
		return err
	}
	for i := range w.points {
		if q := &w.points[i]; q == p || q.of == p.of && enough == EnoughOfIt {
			q.out = true
			if err := w.lift(ctx, q); err != nil {
				return err
			}
		}
	}
	return nil
}
