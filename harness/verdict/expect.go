package verdict

import (
	"fmt"
	"slices"
	"strings"
)

// Match is CLASS[:FUNCTION], what --expect and --only compare a death with.
type Match struct {
	Class    Class
	Function string // empty: any
}

// ParseMatch reads CLASS[:FUNCTION]. The class must be one of the contract's; "ok" stands for a good boot.
func ParseMatch(s string) (Match, error) {
	class, function, _ := strings.Cut(s, ":")
	m := Match{Class: Class(class), Function: function}
	if !m.Class.Known() {
		return Match{}, fmt.Errorf("%q is not a class of death; one of %s", class, strings.Join(ClassNames(), ", "))
	}
	return m, nil
}

// Fits reports whether r is the death that m names. FUNCTION may be the function at fault or one it is inlined into.
func (m Match) Fits(r *Result) bool {
	if r.Class != m.Class {
		return false
	}
	if m.Function == "" {
		return true
	}
	return r.Cause != nil && (r.Cause.Function == m.Function || slices.Contains(r.Cause.InlinedInto, m.Function))
}

// ExpectCode is the exit code under --expect: 0 when the death is the expected one, 1 when it is another or none.
func (m Match) ExpectCode(r *Result) int {
	if m.Fits(r) {
		return ExitGood
	}
	return ExitBad
}

// OnlyCode is the exit code under --only: 1 for this death, 125 for another, 0 for a good boot.
func (m Match) OnlyCode(r *Result) int {
	switch {
	case r.Verdict == Good:
		return ExitGood
	case m.Fits(r):
		return ExitBad
	}
	return ExitSkip
}
