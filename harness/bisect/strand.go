package bisect

// A strand is commits in a row: each but the first has one parent, the one before it, which has no other child.
type strand struct {
	parents []int // the strands that end in the parents of its first commit
	counted int   // how many of its commits count
	below   int   // how many commits count in it and in every strand before it
}

// strands are in the order of their first commits: parents come before their children.
type strands struct {
	list []strand
	of   []int32 // of each commit that is in one
}

// strandsOf makes strands of the commits of among.
func strandsOf(g *Graph, among Set, counted func(int) bool) strands {
	s := strands{of: make([]int32, g.Len())}
	children := make([]int32, g.Len())
	for n, in := range among {
		if in {
			for _, p := range g.Parents[n] {
				children[p]++
			}
		}
	}
	for n, in := range among {
		if !in {
			continue
		}
		var parents []int
		for _, p := range g.Parents[n] {
			if among[p] {
				parents = append(parents, int(s.of[p]))
			}
		}
		if len(parents) == 1 && children[lastIn(g.Parents[n], among)] == 1 {
			s.of[n] = int32(parents[0])
		} else {
			s.of[n] = int32(len(s.list))
			s.list = append(s.list, strand{parents: parents})
		}
		if counted(n) {
			s.list[s.of[n]].counted++
		}
	}
	s.sum()
	return s
}

// lastIn is the last of some nodes that is among others.
func lastIn(nodes []int, among Set) int {
	at := 0
	for _, n := range nodes {
		if among[n] {
			at = n
		}
	}
	return at
}

// sum works out below. A strand with one parent has what that one has and its own. Below a merge nothing may be counted twice: there, 64
// strands at a time go up the graph as the bits of a word.
func (s strands) sum() {
	last := -1 // the last merge
	for i := range s.list {
		s.list[i].below = s.list[i].counted
		if len(s.list[i].parents) > 1 {
			last = i
		}
	}
	has := make([]uint64, last+1)
	for from := 0; from < last; from += 64 {
		counted := s.tables(from)
		for i := from; i <= last; i++ {
			set := uint64(0)
			for _, p := range s.list[i].parents {
				if p >= from {
					set |= has[p]
				}
			}
			if len(s.list[i].parents) > 1 {
				for b := range counted {
					s.list[i].below += counted[b][byte(set>>(8*b))]
				}
			}
			if i < from+64 {
				set |= 1 << (i - from)
			}
			has[i] = set
		}
	}
	for i := range s.list {
		if r := &s.list[i]; len(r.parents) == 1 {
			r.below += s.list[r.parents[0]].below
		}
	}
}

// tables say for each byte of a word how many commits count in the strands, from one on, whose bits are set in it.
func (s strands) tables(from int) (t [8][256]int) {
	for b := range t {
		for set := 1; set < 256; set++ {
			low := 0
			for set>>low&1 == 0 {
				low++
			}
			t[b][set] = t[b][set&(set-1)]
			if i := from + 8*b + low; i < len(s.list) {
				t[b][set] += s.list[i].counted
			}
		}
	}
	return t
}
