package bisect

import (
	"fmt"
	"strings"
)

// Graph is the commits that may be the culprit: what the new end has and the old end has not. Nodes are numbered so that
// parents come before their children.
type Graph struct {
	IDs     []string // object names in full
	Parents [][]int  // of each node, those that are in the graph, in git's order
	index   map[string]int
}

// maxCommits bounds a range. From v2.6.12 to v6.12 there are 1.3 million.
const maxCommits = 4 << 20

// ParseGraph reads what "git rev-list --topo-order --parents" prints, a commit and its parents a line, children first:
//
//	c3 c2 c1
//	c2 c1
//
// Parents that have no line of their own are outside the range. With firstParent only the first parent counts.
func ParseGraph(text string, firstParent bool) (*Graph, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		lines = nil
	}
	if len(lines) > maxCommits {
		return nil, fmt.Errorf("%d commits: more than can be searched", len(lines))
	}
	g := &Graph{index: make(map[string]int, len(lines))}
	for i := len(lines) - 1; i >= 0; i-- {
		f := strings.Fields(lines[i])
		if len(f) == 0 {
			return nil, fmt.Errorf("line %d has no commit", i+1)
		}
		id := f[0]
		if _, twice := g.index[id]; twice {
			return nil, fmt.Errorf("commit %.12s is listed twice", id)
		}
		g.index[id] = len(g.IDs)
		g.IDs = append(g.IDs, id)
	}
	g.Parents = make([][]int, len(g.IDs))
	for i, n := len(lines)-1, 0; i >= 0; i, n = i-1, n+1 {
		parents := strings.Fields(lines[i])[1:]
		if firstParent && len(parents) > 1 {
			parents = parents[:1]
		}
		for _, p := range parents {
			at, ok := g.index[p]
			if !ok {
				continue
			}
			if at >= n {
				return nil, fmt.Errorf("commit %.12s is listed after its parent %.12s", g.IDs[n], p)
			}
			g.Parents[n] = append(g.Parents[n], at)
		}
	}
	return g, nil
}

// Len is how many commits there are.
func (g *Graph) Len() int { return len(g.IDs) }

// Find is the node of a commit; ok is false when it is outside the graph.
func (g *Graph) Find(id string) (node int, ok bool) {
	node, ok = g.index[id]
	return node, ok
}

// Crown adds a commit above every head of the graph, unless it is there: the new end of a search that paths limit need not
// touch them itself.
func (g *Graph) Crown(id string) int {
	if n, ok := g.index[id]; ok {
		return n
	}
	child := make([]bool, g.Len())
	for _, ps := range g.Parents {
		for _, p := range ps {
			child[p] = true
		}
	}
	var heads []int
	for n := range child {
		if !child[n] {
			heads = append(heads, n)
		}
	}
	n := g.Len()
	g.IDs, g.Parents = append(g.IDs, id), append(g.Parents, heads)
	g.index[id] = n
	return n
}

// Set is a set of nodes, one member each.
type Set []bool

// Count is how many nodes are in the set.
func (s Set) Count() int {
	n := 0
	for _, in := range s {
		if in {
			n++
		}
	}
	return n
}

// Ancestors is node and everything before it.
func (g *Graph) Ancestors(node int) Set {
	s := make(Set, g.Len())
	s[node] = true
	for n := node; n >= 0; n-- { // parents have lower numbers
		if s[n] {
			for _, p := range g.Parents[n] {
				s[p] = true
			}
		}
	}
	return s
}
