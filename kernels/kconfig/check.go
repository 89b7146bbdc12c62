package kconfig

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Problem is a requested option that did not take.
type Problem struct {
	Symbol string // without CONFIG_
	Wanted string // as written in the request
	Got    string // as it stands in the final configuration; n when it is not there
	// Why is the dependency that blocks it, or another reason, as a clause: "depends on BLOCK, which is n".
	Why string
	// Near is the symbol most like it, when no Kconfig file defines Symbol; else empty.
	Near string
	// Undefined says that no Kconfig file of the tree defines Symbol.
	Undefined bool
	// Line is the line of the request, from 1, 0 when it had none.
	Line int
}

// String is the problem on one line: SWAP: wanted y, got n: depends on BLOCK, which is n.
func (p Problem) String() string {
	return fmt.Sprintf("%s: wanted %s, got %s: %s", p.Symbol, p.Wanted, p.Got, p.Why)
}

// Check compares the requested options with the final configuration (after olddefconfig) and returns those that did
// not take, in the order of the request, each with its reason. tree is the kernel's source; it is read only when there
// is a problem, and may be nil, which costs the reasons but not the problems.
func Check(requested, final Config, tree fs.FS) []Problem {
	var problems []Problem
	for _, want := range requested.options {
		got := final.Value(want.Symbol)
		if sameValue(want.Value, got) {
			continue
		}
		problems = append(problems, Problem{Symbol: want.Symbol, Wanted: want.Value, Got: got, Line: want.Line})
	}
	if len(problems) == 0 {
		return nil
	}
	if tree == nil {
		for i := range problems {
			problems[i].Why = "the reason is not known without the kernel's tree"
		}
		return problems
	}
	t, err := readTree(tree)
	if err != nil {
		for i := range problems {
			problems[i].Why = "the reason is not known: " + err.Error()
		}
		return problems
	}
	x := explainer{tree: t, final: final}
	for i := range problems {
		p := &problems[i]
		p.Why, p.Near = x.why(p.Symbol, p.Wanted)
		p.Undefined = t.symbols[p.Symbol] == nil
	}
	return problems
}

// sameValue reports whether two values mean the same to kconfig: the same text, or the same number.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	if a == "" || b == "" || a[0] == '"' || b[0] == '"' {
		return false
	}
	x, errX := strconv.ParseInt(strings.ToLower(a), 0, 64)
	y, errY := strconv.ParseInt(strings.ToLower(b), 0, 64)
	return errX == nil && errY == nil && x == y
}
