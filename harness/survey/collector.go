package survey

import (
	"fmt"

	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// collector counts what passes. It is a [harness.Observer].
type collector struct {
	breaks []Break
	limit  int
	found  map[string][]vmlinux.Addr // by break, of the kernel at path
	path   string

	points []*point
	order  []*counted // distinct chains as they came
	chains []seen     // the same with their names, once it is over
	hits   int
}

// point is a place of the source that is looked at, with what has been counted there.
type point struct {
	verdict.Point
	of    *Break // nil: WARN
	limit int
	at    map[uint64]*address // by run-time address, those that were hit
}

// address is one of a point's instructions.
type address struct {
	hits  int
	quiet int // in a row, that showed no chain that was new here
	out   bool
	count map[uint64]*counted // by [autopsy.Sighting.Key]
}

// frame is what tells the frame that the point is in; nil for WARN.
func (p *point) frame() func([]verdict.Frame) int {
	if p.of == nil {
		return nil
	}
	return p.of.frame
}

// counted is a distinct chain.
type counted struct {
	point    *point
	address  *address
	sighting autopsy.Sighting
	n, cpu   int
	seconds  float64
}

// Bounds of what is kept and of how long a hot point may hold up the boot.
const (
	maxChains = 1 << 12 // distinct chains of a survey
	// An address is left after so many hits in a row, given by Options.Limit, that showed no new chain, and a point after
	// allHits times as many in any case. WARNs share one address, and are rare: it stays warnHits times as long.
	allHits  = 20
	warnHits = 10
)

// Places implements [harness.Observer].
func (c *collector) Places(k *kernel.Kernel) ([]harness.Place, error) {
	if c.path != k.Path() {
		c.found, c.path = map[string][]vmlinux.Addr{}, k.Path()
	}
	c.points, c.order, c.chains, c.hits = nil, nil, nil, 0
	var out []harness.Place
	add := func(p *point, at []vmlinux.Addr) {
		p.Addresses, p.at = len(at), map[uint64]*address{}
		c.points = append(c.points, p)
		out = append(out, harness.Place{Links: at, Passed: func(s *autopsy.Scene, h watch.Hit) (watch.Enough, error) { return c.passed(p, s, h), nil }})
	}
	warn := &point{Point: verdict.Point{Name: warning}, limit: warnHits * c.limit}
	if s, ok := k.Symbol("__warn"); ok { // not with CONFIG_BUG=n
		add(warn, []vmlinux.Addr{s.Addr})
	} else {
		add(warn, nil)
	}
	for i := range c.breaks {
		b := &c.breaks[i]
		at, ok := c.found[b.Text]
		if !ok {
			var err error
			if at, err = b.Addresses(k); err != nil {
				return nil, err
			}
			c.found[b.Text] = at
		}
		add(&point{Point: verdict.Point{Name: b.Text}, of: b, limit: c.limit}, at)
	}
	return out, nil
}

// passed counts a hit.
func (c *collector) passed(p *point, scene *autopsy.Scene, h watch.Hit) watch.Enough {
	at := p.at[h.Regs.RIP]
	if at == nil {
		at = &address{count: map[uint64]*counted{}}
		p.at[h.Regs.RIP] = at
	}
	c.hits++
	p.Count++
	at.hits++
	at.quiet++
	sighting := scene.Sight(h.CPU, h.Regs)
	key := sighting.Key(p.of == nil)
	one := at.count[key]
	if one == nil && len(c.order) < maxChains {
		scene.Keep(&sighting, p.frame())
		one = &counted{point: p, address: at, sighting: sighting, cpu: h.CPU, seconds: h.After.Seconds()}
		at.count[key] = one
		p.Chains++
		at.quiet = 0
		c.order = append(c.order, one)
	}
	if one != nil {
		one.n++
	}
	switch {
	case p.Count >= allHits*p.limit:
		p.Out = fmt.Sprintf("taken out after %d hits", p.Count)
		for _, a := range p.at {
			a.out = true
		}
		return watch.EnoughOfIt
	case at.quiet >= p.limit:
		at.out = true
		left := 0
		for _, a := range p.at {
			if a.out {
				left++
			}
		}
		p.Out = fmt.Sprintf("taken out at %d of %d addresses, whose last %d hits showed no new chain", left, p.Addresses, p.limit)
		return watch.EnoughHere
	}
	return watch.More
}

// Over implements [harness.Observer]: the chains get their names.
func (c *collector) Over(scene *autopsy.Scene) (warned []autopsy.Chain) {
	c.chains = nil
	for _, one := range c.order {
		chain := scene.Named(&one.sighting)
		if one.point.of == nil {
			warned = append(warned, chain)
		}
		c.chains = append(c.chains, one.named(&chain))
	}
	return warned
}

// named is a distinct chain for the report.
func (o *counted) named(chain *autopsy.Chain) seen {
	s := seen{point: o.point.Name, atLeast: o.address.out}
	s.Count, s.CPU, s.Seconds, s.Stopped, s.Values = o.n, o.cpu, o.seconds, chain.Stopped, o.sighting.Values()
	s.Stage, s.StageCall = o.sighting.Stage(chain)
	s.Frames = chain.Frames
	if b := o.point.of; b != nil {
		s.Frames, s.called = s.Frames[b.frame(s.Frames):], b.Function != ""
		if len(s.Frames) > 0 && b.in(s.Frames[0]) {
			s.line = b.Line
		}
	} else if f := autopsy.Warned(chain); f != nil && f.Frame >= 0 {
		if t := f.Trap; t != nil && t.Bug != nil && t.Bug.Warning && chain.Frames[t.Index].Exception != nil {
			chain.Frames[t.Index].Exception.Guessed = false // what __warn() reports of the bug table was an invalid opcode
		}
		s.Frames = s.Frames[f.Frame:] // from the code at fault on: the rest is the report
	}
	return s
}
