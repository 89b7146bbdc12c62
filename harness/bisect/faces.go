package bisect

import (
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// Match is how alike two deaths must be to be one bug.
type Match string

// The ways to compare deaths.
const (
	MatchSignature Match = "signature" // class, stage and the functions at fault, alike
	MatchClass     Match = "class"
	MatchAny       Match = "any"
)

// Matches lists them.
func Matches() []string {
	return []string{string(MatchSignature), string(MatchClass), string(MatchAny)}
}

// alike is how much of two chains must be shared for them to be of one bug: of five functions, three. Commits on the way
// rename, inline and insert functions.
const alike = 0.6

// Faces are the signatures of one bug, learned where it is known to strike. One bug may have several: the same stray write
// kills whoever reads it.
type Faces struct {
	Match Match
	Known []string // signatures as verdict.Sign makes them
}

// Learn adds a signature.
func (f *Faces) Learn(signature string) {
	if !slices.Contains(f.Known, signature) {
		f.Known = append(f.Known, signature)
	}
}

// Fits reports whether a death is of the bug.
func (f Faces) Fits(signature string) bool {
	if f.Match == MatchAny {
		return true
	}
	for _, k := range f.Known {
		if f.Match == MatchClass && class(k) == class(signature) || f.Match == MatchSignature && similarity(k, signature) >= alike {
			return true
		}
	}
	return false
}

func class(signature string) verdict.Class {
	c, _, _ := strings.Cut(signature, "/")
	return verdict.Class(c)
}

// similarity of two signatures is 0 when class or stage differ, else the share of functions that both chains have in the same
// order: 2*common/(len+len). Two deaths without a chain are alike; one without is not like one with.
func similarity(a, b string) float64 {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) < 2 || len(y) < 2 || x[0] != y[0] || x[1] != y[1] {
		return 0
	}
	x, y = chain(x), chain(y)
	if len(x)+len(y) == 0 {
		return 1
	}
	return 2 * float64(common(x, y)) / float64(len(x)+len(y))
}

// maxChain bounds a comparison; a signature has five functions.
const maxChain = 64

func chain(parts []string) []string {
	return slices.DeleteFunc(slices.Clone(parts[2:min(len(parts), 2+maxChain)]), func(s string) bool { return s == "" })
}

// common is the length of the longest common subsequence.
func common(x, y []string) int {
	row := make([]int, len(y)+1)
	for _, a := range x {
		diagonal := 0
		for j, b := range y {
			up := row[j+1]
			if a == b {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(up, row[j])
			}
			diagonal = up
		}
	}
	return row[len(y)]
}
