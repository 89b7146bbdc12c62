package config

import "kcatch/internal/nearest"

// lettersPerEdit is how near a key must be to be meant: one letter in three may differ.
const lettersPerEdit = 3

// didYouMean is a hint with the nearest of the names, or empty.
func didYouMean(want string, names []string) string {
	if near := nearest.Name(want, names, lettersPerEdit); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
