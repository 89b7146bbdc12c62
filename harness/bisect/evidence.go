package bisect

import (
	"slices"
	"sync"
)

// evidence is what trials add up to, for each commit as the culprit. A search asks for it after every boot, and only the last trial is new
// then: it is kept and added to.
type evidence struct {
	mu         sync.Mutex
	trials     []Trial // that are in it, in their order
	last       map[int]Trial
	died, all  int     // deaths, and boots that lived
	lived      []int32 // A(c): those that lived of commits that die when c is the culprit
	impossible bitset  // as the culprit, a commit that died would have nothing to die of
}

// weighed is the evidence of all trials and of more; where a node has several, the last one counts.
func (s *Search) weighed(more []Trial) *evidence {
	s.evidence.mu.Lock()
	defer s.evidence.mu.Unlock()
	e := &s.evidence
	if n := len(e.trials); e.last == nil || n > len(s.Trials) || !slices.Equal(e.trials, s.Trials[:n]) {
		e.begin(s)
	}
	for _, t := range s.Trials[len(e.trials):] {
		if !e.add(s, t) {
			e.again(s, s.Trials)
			break
		}
	}
	out := e.clone()
	for i, t := range more {
		if !out.add(s, t) {
			out.again(s, slices.Concat(s.Trials, more[:i+1]))
		}
	}
	return out
}

func (e *evidence) begin(s *Search) {
	e.trials, e.last, e.died, e.all = nil, map[int]Trial{}, 0, 0
	e.lived, e.impossible = make([]int32, s.Graph.Len()), newBitset(s.Graph.Len())
}

// clone is the sums without the trials behind them but for the last of each node.
func (e *evidence) clone() *evidence {
	c := &evidence{last: make(map[int]Trial, len(e.last)), died: e.died, all: e.all, lived: slices.Clone(e.lived), impossible: slices.Clone(e.impossible)}
	for n, t := range e.last {
		c.last[n] = t
	}
	return c
}

// again counts anew: of each node only the last trial.
func (e *evidence) again(s *Search, trials []Trial) {
	e.begin(s)
	last := map[int]int{}
	for i, t := range trials {
		last[t.Node] = i
	}
	for i, t := range trials {
		if last[t.Node] == i {
			e.add(s, t)
		}
	}
	e.trials = slices.Clone(trials)
}

// add adds a trial, in the place of an earlier one of its node. It cannot when that one made commits impossible, which others may have
// done too: ok is false then, and e is to be counted anew.
func (e *evidence) add(s *Search, t Trial) (ok bool) {
	was, again := e.last[t.Node]
	if again && (was.Died > 0 || was.Same != None) {
		return false
	}
	if again {
		e.count(s, was, -1)
	}
	e.trials, e.last[t.Node] = append(e.trials, t), t
	e.count(s, t, 1)
	return true
}

func (e *evidence) count(s *Search, t Trial, sign int) {
	if t.Died+t.Lived == 0 && t.Same == None {
		return
	}
	with := s.ancestors(t.Node) // as the culprit, these make it new
	if t.Same != None {
		twin := make(bitset, len(with))
		if t.Same != OldEnd {
			twin = s.ancestors(t.Same)
		}
		for i := range with {
			e.impossible[i] |= with[i] ^ twin[i]
		}
		return
	}
	e.died += sign * t.Died
	e.all += sign * t.Lived
	for c := range e.lived {
		if dies := with.has(c) != s.Fixed; dies {
			e.lived[c] += int32(sign * t.Lived)
		} else if t.Died > 0 {
			e.impossible.add(c)
		}
	}
}
