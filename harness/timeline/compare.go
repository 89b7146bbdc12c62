package timeline

import (
	"cmp"
	"math"
	"slices"

	"kcatch/harness/verdict"
)

// Side is the boots of one side of a comparison.
type Side struct {
	Name  string
	Cells []Cell
}

// Cell is the boots of one cell. Boots without a timeline are passed over.
type Cell struct {
	Name  string
	Boots []verdict.Times
}

// Bounds of what is taken for noise. They were measured with boots of the tiny kernel on a host with more to do than it has cores
// (docs/timeline.md).
const (
	leastChange = 0.001   // seconds: less is of no interest, whatever it means
	clockJitter = 0.00005 // seconds: of an initcall that is logged
	spread      = 0.10    // of a time: a single boot's own, where there are no more to tell
	stageSpread = 0.4     // the same of a stage, which holds more of what a host does beside
	bootSpread  = 0.30    // of the whole, which no scale is taken out of
	preemption  = 0.02    // seconds that the host may take from an initcall of a single boot
	starvation  = 0.25    // the same of a stage
	sure        = 6.0     // standard deviations
	enough      = 3       // boots of a side, from which their own spread is known
)

// Compare finds what is slower in b than in a. It compares medians; how far they may lie apart by chance is told by the spread (the median
// absolute deviation) of a side's boots where there are three or more, by how all the other initcalls differ, and by the precision
// of the marks. A pace that all have in common is taken out: it is the host's as likely as the kernel's.
func Compare(a, b Side) verdict.Comparison {
	c := verdict.Comparison{Schema: verdict.CompareSchema, A: a.Name, B: b.Name, Cells: []verdict.CellComparison{}}
	few := false
	for _, ca := range a.Cells {
		i := slices.IndexFunc(b.Cells, func(cb Cell) bool { return cb.Name == ca.Name })
		if i < 0 {
			c.OnlyA = append(c.OnlyA, ca.Name)
			continue
		}
		one, ok := compareCell(ca, b.Cells[i])
		if !ok {
			c.Notes = append(c.Notes, "no boot of "+cmp.Or(ca.Name, "one side")+" has a timeline on both sides")
			continue
		}
		for _, d := range one.Differences {
			switch d.Stands {
			case verdict.Slower:
				c.Slower++
			case verdict.Faster:
				c.Faster++
			}
		}
		few = few || min(one.BootsA, one.BootsB) < enough
		c.Cells = append(c.Cells, one)
	}
	if few && c.Slower+c.Faster > 0 {
		c.Notes = append(c.Notes, "with fewer than three boots of a side, a busy host alone makes something stand out now and then: --repeat 5 makes sure")
	}
	for _, cb := range b.Cells {
		if !slices.ContainsFunc(a.Cells, func(ca Cell) bool { return ca.Name == cb.Name }) {
			c.OnlyB = append(c.OnlyB, cb.Name)
		}
	}
	return c
}

// key is what is compared with what.
type key struct{ kind, name, module string }

// item is the times of one stage or initcall.
type item struct {
	key
	level  string
	begin  float64 // of the first boot that has it
	a, b   []float64
	within float64 // the worst precision
	// first and second are the medians; noise1 is of a single boot.
	first, second float64
}

func compareCell(a, b Cell) (verdict.CellComparison, bool) {
	items := map[key]*item{}
	boots := alignedOf(a.Boots, b.Boots)
	na := boots.collect(items, a.Boots, func(i *item, v float64) { i.a = append(i.a, v) })
	nb := boots.collect(items, b.Boots, func(i *item, v float64) { i.b = append(i.b, v) })
	out := verdict.CellComparison{Cell: a.Name, BootsA: na, BootsB: nb}
	if na == 0 || nb == 0 {
		return out, false
	}
	var list []*item
	for _, i := range items {
		if !boots.whole && (len(i.a) == 0 || len(i.b) == 0) { // the other side did not live to see it
			continue
		}
		i.a, i.b = filled(i.a, na), filled(i.b, nb)
		i.first, i.second = median(i.a), median(i.b)
		list = append(list, i)
	}
	slices.SortFunc(list, func(x, y *item) int {
		return cmp.Or(cmp.Compare(x.begin, y.begin), cmp.Compare(kindOrder(x.kind), kindOrder(y.kind)), cmp.Compare(x.name, y.name), cmp.Compare(x.module, y.module))
	})
	out.Scale, out.InitcallScale = scale(list, "stage", 0.005), scale(list, "initcall", 0.0002)
	model := modelOf(list, map[string]float64{"boot": 1, "stage": out.Scale, "initcall": out.InitcallScale}, na, nb)
	for _, i := range list {
		out.Differences = append(out.Differences, model.difference(i))
	}
	slices.SortStableFunc(out.Differences, func(x, y verdict.Difference) int { return cmp.Compare(significance(y), significance(x)) })
	return out, true
}

func kindOrder(kind string) int { return slices.Index([]string{"boot", "stage", "initcall"}, kind) }

// significance sorts what stands out; all else is alike.
func significance(d verdict.Difference) float64 {
	if d.Stands == "" {
		return 0
	}
	return math.Abs(d.Change) / d.Noise
}

// aligned is what the boots of both sides have in common.
type aligned struct {
	stages []verdict.Stage // that all of them show; one that some were too quick in to be seen counts as the one before it
	far    verdict.Stage   // how far both sides came; boots that did not are left out
	whole  bool            // they all ended there: then that stage and the boot have a length that can be compared
}

func alignedOf(a, b []verdict.Times) aligned {
	order := func(t verdict.Times) int {
		spans := verdict.Spans(t.Timeline)
		if len(spans) == 0 {
			return -1
		}
		return slices.Index(verdict.Stages(), spans[len(spans)-1].Stage)
	}
	farthest := func(side []verdict.Times) int {
		far := -1
		for _, t := range side {
			far = max(far, order(t))
		}
		return far
	}
	far := min(farthest(a), farthest(b))
	if far < 0 {
		return aligned{}
	}
	out := aligned{stages: verdict.Stages()[:far+1], far: verdict.Stages()[far], whole: true}
	for _, t := range slices.Concat(a, b) {
		at := order(t)
		if at < far {
			continue
		}
		out.whole = out.whole && at == far
		spans := verdict.Spans(t.Timeline)
		out.stages = slices.DeleteFunc(slices.Clone(out.stages), func(s verdict.Stage) bool {
			return !slices.ContainsFunc(spans, func(span verdict.Span) bool { return span.Stage == s })
		})
	}
	return out
}

// spans are those of a boot in the stages that are compared; none of a boot that is left out.
func (al aligned) spans(t verdict.Times) []verdict.Span {
	all := verdict.Spans(t.Timeline)
	if len(all) == 0 || slices.Index(verdict.Stages(), all[len(all)-1].Stage) < slices.Index(verdict.Stages(), al.far) {
		return nil
	}
	var out []verdict.Span
	for _, s := range all {
		switch n := len(out); {
		case slices.Contains(al.stages, s.Stage):
			out = append(out, s)
		case n > 0 && slices.Index(verdict.Stages(), s.Stage) < slices.Index(verdict.Stages(), al.far):
			out[n-1].Seconds, out[n-1].Within = out[n-1].Seconds+s.Seconds, max(out[n-1].Within, s.Within)
		}
	}
	return out
}

// collect adds the boots of a side to the items and returns how many can be compared. A boot has a stage or an initcall once: what
// is there twice (a module that was loaded again) is added up.
func (al aligned) collect(items map[key]*item, boots []verdict.Times, add func(*item, float64)) (n int) {
	for _, t := range boots {
		spans := al.spans(t)
		if len(spans) == 0 {
			continue
		}
		n++
		sums := map[key]float64{}
		put := func(k key, level string, begin, seconds, within float64) {
			if !(seconds >= 0 && seconds < maxSeconds) || !(within >= 0 && within < maxSeconds) { // of a file that somebody wrote
				return
			}
			i := items[k]
			if i == nil && len(items) < 2*maxInitcalls {
				i = &item{key: k, level: level, begin: begin}
				items[k] = i
			}
			if i != nil {
				i.within = max(i.within, within)
				sums[k] += seconds
			}
		}
		last := spans[len(spans)-1]
		if al.whole {
			put(key{kind: "boot", name: "boot"}, "", 0, last.Begin+last.Seconds, last.Within)
		} else {
			spans = spans[:len(spans)-1]
		}
		for _, s := range spans {
			put(key{kind: "stage", name: string(s.Stage)}, "", s.Begin, s.Seconds, s.Within)
		}
		for _, c := range t.Initcalls {
			put(key{"initcall", c.Function, c.Module}, c.Level, c.Start, c.Seconds, clockJitter)
		}
		for k, v := range sums {
			add(items[k], v)
		}
	}
	return n
}

const maxSeconds = 1 << 20

// filled gives an initcall that some boots of a side do not have a time of 0 there.
func filled(v []float64, n int) []float64 {
	for len(v) < n {
		v = append(v, 0)
	}
	return v
}

// scale is the middle ratio of b's times to a's of a kind, weighted by how long they are; of those of least seconds or more. No single
// one has more than a quarter of the weight. The load of a host comes and goes, so a stage has another than the initcalls in one.
func scale(list []*item, kind string, least float64) float64 {
	type ratio struct{ r, weight float64 }
	var ratios []ratio
	total := 0.0
	for _, i := range list {
		if w := min(i.first, i.second); i.kind == kind && w >= least {
			ratios = append(ratios, ratio{i.second / i.first, w})
			total += w
		}
	}
	if len(ratios) < 3 {
		return 1
	}
	most := total / 4
	total = 0
	for i := range ratios {
		ratios[i].weight = min(ratios[i].weight, most)
		total += ratios[i].weight
	}
	slices.SortFunc(ratios, func(x, y ratio) int { return cmp.Compare(x.r, y.r) })
	sum := 0.0
	for _, r := range ratios {
		if sum += r.weight; sum >= total/2 {
			return r.r
		}
	}
	return 1
}

// model is the noise of a cell.
type model struct {
	scale    map[string]float64 // by kind
	na, nb   int
	relative map[string]float64 // of a time, by kind
	absolute float64            // seconds, of an initcall
	// against is the largest change the one way and the other, by kind: with single boots, what the host did to the one it will have done
	// to the other as well.
	against map[string][2]float64
}

// modelOf estimates it from how the initcalls differ, most of which are the same on both sides.
func modelOf(list []*item, scales map[string]float64, na, nb int) model {
	m := model{scale: scales, na: na, nb: nb, relative: map[string]float64{"boot": bootSpread, "stage": stageSpread}}
	scale := scales["initcall"]
	var long, short, stages []float64
	for _, i := range list {
		if i.kind == "stage" && min(i.first, i.second) > 0 {
			stages = append(stages, max(mad(i.a)/i.first, mad(i.b)/i.second))
		}
		if i.kind != "initcall" || min(i.first, i.second) == 0 {
			continue
		}
		e, t := math.Abs(i.second-scale*i.first), scale*i.first
		if t >= 0.001 {
			long = append(long, e/t)
		} else {
			short = append(short, e)
		}
	}
	m.against = map[string][2]float64{}
	for _, i := range list {
		e, way := i.second-scales[i.kind]*i.first, m.against[i.kind]
		m.against[i.kind] = [2]float64{max(way[0], e), max(way[1], -e)}
	}
	m.relative["initcall"], m.absolute = max(spread, 1.4826*median(long)), max(clockJitter, 1.4826*median(short))
	if m.known() {
		m.relative["stage"], m.relative["boot"] = max(spread/2, 1.4826*median(stages)), spread/2
	}
	return m
}

// known reports whether the spread of each side's boots can be told.
func (m model) known() bool { return min(m.na, m.nb) >= enough }

// difference judges one item.
func (m model) difference(i *item) verdict.Difference {
	s, relative, absolute := m.scale[i.kind], m.relative[i.kind], 0.0
	if i.kind == "initcall" {
		absolute = m.absolute
	}
	expected := s * i.first
	d := verdict.Difference{Kind: i.kind, Name: i.name, Module: i.module, Level: i.level, A: i.first, B: i.second, Change: i.second - expected}
	own, known := 0.0, m.known()
	if known { // the spread of its own boots, each about its side's median
		own = 1.4826 * max(s*mad(i.a), mad(i.b))
	}
	sigma := math.Sqrt(own*own + absolute*absolute + relative*relative*expected*expected)
	if n := math.Sqrt(1/float64(m.na) + 1/float64(m.nb)); known {
		sigma *= 1.2533 * n // of the difference of two medians
	}
	d.Noise = max(sure*sigma+i.within, leastChange)
	// The median of a few boots is moved when the host disturbs half of them.
	lost := preemption
	if i.kind != "initcall" {
		lost = starvation
	}
	d.Noise += lost / float64(min(m.na, m.nb)*min(m.na, m.nb))
	if way := m.against[i.kind]; !known && i.kind != "boot" {
		other := way[1]
		if d.Change < 0 {
			other = way[0]
		}
		d.Noise = max(d.Noise, 2*other)
	}
	switch {
	case d.Change > d.Noise:
		d.Stands = verdict.Slower
	case d.Change < -d.Noise:
		d.Stands = verdict.Faster
	}
	return d
}

// median of values; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// mad is the median absolute deviation from the median.
func mad(v []float64) float64 {
	m := median(v)
	d := make([]float64, len(v))
	for i := range v {
		d[i] = math.Abs(v[i] - m)
	}
	return median(d)
}
