package bisect

import (
	"maps"
	"slices"
)

// Outcome is what the boots of one commit say. The zero value says nothing yet.
type Outcome string

// The outcomes of a trial.
const (
	Dies    Outcome = "dies"  // the death that is looked for struck: certain
	Lives   Outcome = "lives" // it did not, in as many boots as it takes: as certain as they make it
	Skipped Outcome = "skip"  // it cannot be tested
)

// Trial is all boots of one commit. Boots that ended in a decoy count in neither number.
type Trial struct {
	Node    int
	Outcome Outcome
	Lived   int
	Died    int
	// Same is a node with the same image, whose boots these are; or [None], or [OldEnd].
	Same int
}

// What [Trial.Same] is when it is no node.
const (
	None   = -1
	OldEnd = -2 // the end that is before all nodes
)

// Search is one search, decided: a graph, what its commits can be told apart by, and the trials so far.
type Search struct {
	Graph *Graph
	// Top is the node of the new end.
	Top int
	// Fixed searches for the commit that ended the death: new commits live.
	Fixed bool
	// Inert are commits that cannot change the image that is built; nil for none.
	Inert Set
	// Trials are in the order in which they ended. A commit may be there twice: the later one holds all its boots.
	Trials []Trial
	// EndLived is how often the end that lives, and merge bases of both ends, were booted and lived.
	EndLived int
	// EndDied and EndSurvived are the boots of the end that dies: they tell how often the death strikes.
	EndDied, EndSurvived int

	known    ancestry
	evidence evidence // of Trials; see believed
}

// State is what the trials leave.
type State struct {
	// Left is every commit that may still be the culprit, inert ones included.
	Left Set
	// Told is the last trial of each node that had one.
	Told map[int]Trial
	// Doubted are trials that lived and that a later death contradicts: they were too few boots.
	Doubted []int
	// Ignored are deaths on a side branch that the rest contradicts: there is more than one culprit.
	Ignored []int
}

// isNew says on which side of the culprit a trial's outcome puts its commit.
func (s *Search) isNew(o Outcome) bool { return (o == Dies) != s.Fixed }

// Counted reports whether a commit can be the culprit.
func (s *Search) Counted(n int) bool { return s.Inert == nil || !s.Inert[n] }

// told is the last trial of a node.
func (s *Search) told(n int) (t Trial, ok bool) {
	for _, t := range slices.Backward(s.Trials) {
		if t.Node == n {
			return t, true
		}
	}
	return Trial{}, false
}

// ancestors is a node and everything before it.
func (s *Search) ancestors(n int) bitset { return s.known.of(s.Graph, n) }

// State works out what is left. A death is certain, a commit that lived may have been lucky: where both cannot be, the death
// counts.
func (s *Search) State() State {
	st := State{Told: map[int]Trial{}}
	for _, t := range s.Trials {
		st.Told[t.Node] = t
	}
	nodes := slices.Sorted(maps.Keys(st.Told))
	var dying []int
	for _, n := range nodes {
		if st.Told[n].Outcome == Dies {
			dying = append(dying, n)
		}
	}
	doubted := func(n int) bool {
		for _, m := range dying {
			if !s.Fixed && s.ancestors(n).has(m) || s.Fixed && s.ancestors(m).has(n) {
				return true
			}
		}
		return false
	}
	left := slices.Clone(s.ancestors(s.Top))
	for _, n := range nodes { // old ones take their ancestors away
		t := st.Told[n]
		if t.Outcome == Lives && doubted(n) {
			st.Doubted = append(st.Doubted, n)
			continue
		}
		if t.Outcome == Skipped || s.isNew(t.Outcome) {
			continue
		}
		left.remove(s.ancestors(n))
	}
	counted := newBitset(s.Graph.Len())
	for n := range s.Graph.Len() {
		if s.Counted(n) {
			counted.add(n)
		}
	}
	for _, n := range nodes { // new ones keep only theirs
		t := st.Told[n]
		if t.Outcome == Skipped || !s.isNew(t.Outcome) || slices.Contains(st.Doubted, n) {
			continue
		}
		kept := left.and(s.ancestors(n))
		if kept.and(counted).empty() {
			st.Ignored = append(st.Ignored, n)
			continue
		}
		left = kept
	}
	st.Left = left.set(s.Graph.Len())
	return st
}

// Suspects are the commits that are left and can be the culprit, oldest first.
func (s *Search) Suspects(st State) []int {
	var list []int
	for n, in := range st.Left {
		if in && s.Counted(n) {
			list = append(list, n)
		}
	}
	return list
}

// Next chooses the commits to try now, at most width of them; none when what is left cannot be told apart by testing.
func (s *Search) Next(st State, width int) []int {
	var skipped []int
	for n, t := range st.Told {
		if t.Outcome == Skipped && st.Left[n] {
			skipped = append(skipped, n)
		}
	}
	slices.Sort(skipped)
	testable := func(n int) bool {
		t, told := st.Told[n]
		return n != s.Top && s.Counted(n) && (!told || t.Outcome != Skipped && slices.Contains(st.Doubted, n))
	}
	return midpoints(s.Graph, st.Left, s.Counted, testable, skipped, max(1, width))
}
