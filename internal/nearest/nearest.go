// Package nearest finds the name that somebody meant, for refusals that suggest what to type instead.
package nearest

import (
	"slices"
	"strings"
)

// Name is the name that want was meant to be, or empty when none is near enough. Upper and lower case are the same. It is the name that
// want is the beginning of ("mem" for "memory"), as getopt takes it; or else the one with the least edits from want, one for every so many
// letters, and one at least; or one that has the letters of want in another order ("brake" for "break", which is two edits). Of equals the
// first in the list wins.
func Name(want string, names []string, letters int) string {
	if len(want) > 256 {
		return ""
	}
	want = strings.ToLower(want)
	for _, near := range []string{abbreviated(want, names), edited(want, names, max(1, len(want)/letters))} {
		if near != "" {
			return near
		}
	}
	return reordered(want, names)
}

// edited is the name with the least edits from want, limit of them at most.
func edited(want string, names []string, limit int) string {
	best, at := "", limit+1
	for _, n := range names {
		if d := len(n) - len(want); d >= at || -d >= at {
			continue
		}
		if d := edits(want, strings.ToLower(n), at); d < at {
			best, at = n, d
		}
	}
	return best
}

// leastLetters is how long a word must be to be taken for a name in disorder, or for the beginning of one.
const leastLetters = 3

// reordered is the first of the names that has the letters of want, in another order.
func reordered(want string, names []string) string {
	if len(want) < leastLetters {
		return ""
	}
	sorted := inOrder(want)
	for _, n := range names {
		if len(n) == len(want) && inOrder(strings.ToLower(n)) == sorted {
			return n
		}
	}
	return ""
}

func inOrder(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

// abbreviated is the one name that begins with want; or the shortest of several, when the others go on from it.
func abbreviated(want string, names []string) string {
	if len(want) < leastLetters {
		return ""
	}
	var fit []string
	shortest := ""
	for _, n := range names {
		if strings.HasPrefix(strings.ToLower(n), want) {
			fit = append(fit, n)
			if shortest == "" || len(n) < len(shortest) {
				shortest = n
			}
		}
	}
	for _, n := range fit {
		if !strings.HasPrefix(n, shortest) {
			return ""
		}
	}
	return shortest
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
