package report

import "slices"

// Left is how many seconds the test still takes, by what its cells are known to take: the boots that are under way run to their end, and
// each that waits goes to the job that is free first, when its kernel is built. What a cell without a known time takes is the mean of
// those that are done, or known. least: a kernel is yet to be built of which nobody knows how long that takes. ok is false when
// nothing is known at all.
func (g *Grid) Left(now float64) (left float64, least, ok bool) {
	typical, ok := g.typical()
	if !ok {
		return 0, false, false
	}
	var free []float64 // when each job is free, in seconds from now
	for i := range g.Cells {
		if c := &g.Cells[i]; c.running() {
			rest := max(0, takes(c, typical)-(now-c.Began))
			left, free = max(left, rest), append(free, rest)
		}
	}
	for len(free) < max(1, g.Jobs) {
		free = append(free, 0)
	}
	for i := range g.Cells {
		c := &g.Cells[i]
		if !c.waiting() {
			continue
		}
		ready, known := g.ready(c, now)
		least = least || !known
		job := slices.Index(free, slices.Min(free))
		free[job] = max(free[job], ready) + takes(c, typical)
		left = max(left, free[job])
	}
	return left, least, true
}

func takes(c *GridCell, typical float64) float64 {
	if c.Known > 0 {
		return c.Known
	}
	return typical
}

// typical is the mean time of the cells of which one is known, those of this run first.
func (g *Grid) typical() (float64, bool) {
	mean := func(of func(*GridCell) float64) (float64, bool) {
		sum, n := 0.0, 0
		for i := range g.Cells {
			if v := of(&g.Cells[i]); v > 0 {
				sum, n = sum+v, n+1
			}
		}
		return sum / float64(max(n, 1)), n > 0
	}
	if v, ok := mean(func(c *GridCell) float64 {
		if c.Status == "" || !c.Booted {
			return 0
		}
		return c.Seconds
	}); ok {
		return v, true
	}
	return mean(func(c *GridCell) float64 { return c.Known })
}

// ready is in how many seconds the kernel of a cell that waits is built, by how fast its build went so far; false when that is not known.
func (g *Grid) ready(c *GridCell, now float64) (float64, bool) {
	if !c.Built || slices.ContainsFunc(g.Builds, func(b GridBuild) bool { return b.Kernel == c.Kernel && b.Over }) {
		return 0, true
	}
	b := g.build(c.Kernel)
	if b == nil || b.Total <= 0 || b.Done <= 0 {
		return 0, false
	}
	return (now - b.Began) * float64(b.Total-b.Done) / float64(b.Done), true
}
