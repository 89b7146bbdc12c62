package bisect

import (
	"math/bits"
	"sync"
)

// bitset is a set of nodes, a bit each: a search asks again and again for the ancestors of every commit that it has tried, and of a graph
// of a million commits those are 160 kB each.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(n int) bool { return b[n/64]>>(n%64)&1 != 0 }
func (b bitset) add(n int)      { b[n/64] |= 1 << (n % 64) }

// remove takes the members of o away.
func (b bitset) remove(o bitset) {
	for i, w := range o {
		b[i] &^= w
	}
}

// and is what both have.
func (b bitset) and(o bitset) bitset {
	r := make(bitset, len(b))
	for i, w := range o {
		r[i] = b[i] & w
	}
	return r
}

// empty reports whether it has no member.
func (b bitset) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// set is the same, a bool each.
func (b bitset) set(n int) Set {
	s := make(Set, n)
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			s[64*i+bits.TrailingZeros64(w)] = true
		}
	}
	return s
}

// ancestry remembers the ancestors of the nodes that were asked for. It may be used by several goroutines.
type ancestry struct {
	mu   sync.Mutex
	sets map[int]bitset
}

// of is node and everything before it; it is not to be changed.
func (a *ancestry) of(g *Graph, node int) bitset {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.sets[node]; ok {
		return s
	}
	s := newBitset(g.Len())
	s.add(node)
	for n := node; n >= 0; n-- { // parents have lower numbers
		if s.has(n) {
			for _, p := range g.Parents[n] {
				s.add(p)
			}
		}
	}
	if a.sets == nil {
		a.sets = map[int]bitset{}
	}
	a.sets[node] = s
	return s
}
