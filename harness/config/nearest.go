package config

// didYouMean is a hint with the nearest of the names, or empty.
func didYouMean(want string, names []string) string {
	if near := nearest(want, names); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// nearest is the name with the least letters to insert, delete or replace (Levenshtein), or empty when none is near
// enough to be meant: one letter in three may differ. Of equals the first in the list wins.
func nearest(want string, names []string) string {
	if len(want) > 64 {
		return ""
	}
	best, at := "", max(1, len(want)/3)+1
	for _, n := range names {
		if d := edits(want, n); d < at {
			best, at = n, d
		}
	}
	return best
}

func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		corner := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := corner
			if a[i-1] != b[j-1] {
				change++
			}
			corner = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
