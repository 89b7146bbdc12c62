package bisect

// weigh says of each commit of among how many counted ones it has at or below it, itself included: what is left when it
// turns out to be new. Where there is one parent that is the parent's weight and its own; below a merge everything is counted once,
// because the two sides share ancestors (bisect.c, count_distance, walks it for each merge). among holds every path between two of its members.
//
// Of n commits in m strands (of a kernel's history, one commit in six begins one) it takes n + m*m/128 steps.
func weigh(g *Graph, among Set, counted func(int) bool) []int {
	weight := make([]int, g.Len())
	s := strandsOf(g, among, counted)
	for n := g.Len() - 1; n >= 0; n-- { // the last of a strand has all of it
		if !among[n] {
			continue
		}
		r := &s.list[s.of[n]]
		weight[n] = r.below
		if counted(n) {
			r.below--
		}
	}
	return weight
}

// midpoints chooses up to width commits of among to try at once: those that cut what is left into width+1 parts that are as
// equal as the graph lets them be. For one that is git's choice: the greatest min(weight, all-weight). testable leaves out
// what was tried or cannot be. Where commits had to be skipped, the choice keeps away from them: what is broken there is
// broken around it too (bisect.c, skip_away, does so by chance; here it is the same every time).
func midpoints(g *Graph, among Set, counted, testable func(int) bool, skipped []int, width int) []int {
	weight := weigh(g, among, counted)
	all := 0
	for n, in := range among {
		if in && counted(n) {
			all++
		}
	}
	var chosen []int
	taken := map[int]bool{} // weights: two commits of one weight, as a rule neighbours, tell the same
	for i := 1; i <= width; i++ {
		target := float64(all*i) / float64(width+1)
		best, value := -1, 0.0
		for n, in := range among {
			w := weight[n]
			if !in || !testable(n) || w == 0 || w == all || taken[w] {
				continue
			}
			v := min(float64(w)/target, float64(all-w)/(float64(all)-target)) * away(weight, w, skipped, all)
			if v > value {
				best, value = n, v
			}
		}
		if best >= 0 {
			chosen = append(chosen, best)
			taken[weight[best]] = true
		}
	}
	return chosen
}

// away is 1 far from every skipped commit, and less the nearer one is.
func away(weight []int, w int, skipped []int, all int) float64 {
	reach := max(1, float64(all)/8)
	v := 1.0
	for _, s := range skipped {
		d := float64(w - weight[s])
		if d < 0 {
			d = -d
		}
		v = min(v, d/(d+reach))
	}
	return max(v, 1e-6) // the last resort is still one
}
