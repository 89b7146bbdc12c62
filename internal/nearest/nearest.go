// Package nearest finds the name that somebody meant, for refusals that suggest what to type instead.
package nearest

// Name is the name with the least edits from want, or empty when none is near enough to be meant: one edit for every
// so many letters, and one at least. Of equals the first in the list wins.
func Name(want string, names []string, letters int) string {
	limit := max(1, len(want)/letters)
	if len(want) > 256 {
		return ""
	}
	best, at := "", limit+1
	for _, n := range names {
		if d := len(n) - len(want); d >= at || -d >= at {
			continue
		}
		if d := edits(want, n, at); d < at {
			best, at = n, d
		}
	}
	return best
}

// edits is the number of letters to insert, delete, replace or swap with their neighbour to make a into b
// (Damerau-Levenshtein, optimal string alignment); it gives up at limit.
func edits(a, b string, limit int) int {
	before := make([]int, len(b)+1) // two rows up, for swaps
	above := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return least
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
