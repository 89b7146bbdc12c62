package watch

import (
	"context"
	"slices"
	"time"

	"kcatch/gdb/amd64"
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

// anchors are functions that are passed before any other C function at its own address, the first that a kernel has.
// early_setup_idt() is called by secondary_startup_64 (arch/x86/kernel/head_64.S), which then jumps to x86_64_start_kernel().
var anchors = []string{"early_setup_idt", "x86_64_start_kernel"}

// others are the points of somebody else, and the anchor that makes them seen from the first: where these points will be is
// told by it, so that it alone has to be everywhere, and not each of them.
func others(k Symbols, mine []Point) []point {
	if k == nil || len(mine) == 0 {
		return nil
	}
	var ps []point
	for _, name := range anchors {
		if s, ok := k.Symbol(name); ok {
			ps = append(ps, point{symbol: name, link: s.Addr, anchor: true})
			break
		}
	}
	for i := range mine {
		for _, link := range mine[i].Links {
			ps = append(ps, point{link: link, of: &mine[i]})
		}
	}
	return ps
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
