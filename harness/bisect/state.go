package bisect

import "slices"

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

// State works out what is left. A death is certain, a commit that lived may have been lucky: where both cannot be, the death
// counts.
func (s *Search) State() State {
	st := State{Told: map[int]Trial{}}
	ancestors := map[int]Set{}
	for _, t := range s.Trials {
		st.Told[t.Node] = t
		if ancestors[t.Node] == nil {
			ancestors[t.Node] = s.Graph.Ancestors(t.Node)
		}
	}
	nodes := make([]int, 0, len(st.Told))
	for n := range st.Told {
		nodes = append(nodes, n)
	}
	slices.Sort(nodes)
	doubted := func(n int) bool {
		for _, m := range nodes {
			if st.Told[m].Outcome != Dies {
				continue
			}
			if !s.Fixed && ancestors[n][m] || s.Fixed && ancestors[m][n] {
				return true
			}
		}
		return false
	}
	st.Left = s.Graph.Ancestors(s.Top)
	for _, n := range nodes { // old ones take their ancestors away
		t := st.Told[n]
		if t.Outcome == Lives && doubted(n) {
			st.Doubted = append(st.Doubted, n)
			continue
		}
		if t.Outcome == Skipped || s.isNew(t.Outcome) {
			continue
		}
		for m, before := range ancestors[n] {
			if before {
				st.Left[m] = false
			}
		}
	}
	for _, n := range nodes { // new ones keep only theirs
		t := st.Told[n]
		if t.Outcome == Skipped || !s.isNew(t.Outcome) || slices.Contains(st.Doubted, n) {
			continue
		}
		kept := make(Set, len(st.Left))
		any := false
		for m, in := range st.Left {
			kept[m] = in && ancestors[n][m]
			any = any || kept[m] && s.Counted(m)
		}
		if !any {
			st.Ignored = append(st.Ignored, n)
			continue
		}
		st.Left = kept
	}
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
