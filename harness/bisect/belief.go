package bisect

import "math"

// Belief is what all boots together say of each commit: the probability that it is the culprit.
//
// The model. A dying commit dies in a boot with probability p, the same for all of them; a living one never dies of this death.
// Nobody knows p: it is certain (1) with probability sure, else anything between 0.05 and 0.95. Every commit of the graph that
// is not inert is the culprit with equal probability, and with probability early nobody is: the end that lives is only lucky.
// Then, with D deaths in all and A(c) boots that lived although c as the culprit would have made them die,
//
//	P(c | boots) ~ prior(c) * sum over p of prior(p) * p^D * (1-p)^A(c)
//
// and it is 0 when a commit that died has nothing to die of. Boots of one image under two commits make every culprit
// impossible that one of them has and the other has not.
type Belief struct {
	search *Search
	odds   []float64 // of each node; sums up to 1 with Early
	// Early is the probability that the culprit is none of them, because the end that lives has it too.
	Early float64
	died  int // D
}

const (
	sure  = 0.8
	early = 0.05
)

// rates are the values that p may have, and how probable each is before any boot.
func rates(yield func(p, prior float64)) {
	yield(1, sure)
	for i := 1; i < 20; i++ {
		yield(float64(i)/20, (1-sure)/19)
	}
}

// likelihood is, up to a factor that is the same for every A, how probable the boots are: D deaths and A lives of dying commits.
func likelihood(died, lived int) float64 {
	sum := 0.0
	rates(func(p, prior float64) {
		if p == 1 && lived > 0 {
			return
		}
		sum += prior * math.Exp(float64(died)*math.Log(p)+float64(lived)*math.Log1p(-min(p, 1-1e-12)))
	})
	return sum
}

// Believe weighs all trials, and those of before (a trial that is under way) with them.
func (s *Search) Believe(before ...Trial) Belief {
	e := s.weighed(before)
	b := Belief{search: s, odds: make([]float64, s.Graph.Len()), died: s.EndDied + e.died}
	// Numbers like 0.05^200 are no trouble: only ratios count, and the largest is found first.
	cache := map[int]float64{}
	like := func(lived int) float64 {
		v, ok := cache[lived]
		if !ok {
			v = likelihood(b.died, lived)
			cache[lived] = v
		}
		return v
	}
	top := s.ancestors(s.Top)
	n, total := 0, 0.0
	for c := range b.odds {
		if !top.has(c) || !s.Counted(c) {
			continue
		}
		n++
		if !e.impossible.has(c) {
			b.odds[c] = like(s.EndSurvived + int(e.lived[c]))
			total += b.odds[c]
		}
	}
	b.Early = early * float64(n) / (1 - early) * like(s.EndSurvived+e.all+s.EndLived)
	total += b.Early
	if total > 0 {
		for c := range b.odds {
			b.odds[c] /= total
		}
		b.Early /= total
	}
	return b
}

// Culprit is the probability that a commit is the culprit.
func (b Belief) Culprit(node int) float64 { return b.odds[node] }

// Dies is the probability that a commit dies, in some boots at least.
func (b Belief) Dies(node int) float64 {
	sum := b.Early
	with := b.search.ancestors(node)
	for c, odds := range b.odds {
		if with.has(c) != b.search.Fixed {
			sum += odds
		}
	}
	return sum
}

// Among is the probability that the culprit is one of these.
func (b Belief) Among(nodes []int) float64 {
	sum := 0.0
	for _, n := range nodes {
		sum += b.odds[n]
	}
	return sum
}

// Missed is the probability that a commit that dies lives in so many boots, seen what was seen of the rate so far.
func (b Belief) Missed(boots int) float64 { return missed(b.died, b.search.EndSurvived, boots) }

// missed is Missed of what died and survived.
func missed(died, survived, boots int) float64 {
	return likelihood(died, survived+boots) / likelihood(died, survived)
}
