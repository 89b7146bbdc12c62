package kconfig

import (
	"strconv"
	"strings"
)

// listed is how many symbols a sentence names before it counts the rest.
const listed = 3

// describe names blockers with their values: the first, and how it is with the others.
//
//	BLOCK, which is n    !NUMA, and NUMA is y    (A || B), where A is n and B is n
func (x *explainer) describe(b []blocker) string {
	out := x.describeOne(b[0])
	if len(b) == 1 {
		return out
	}
	var more []string
	for _, other := range b[1:] {
		if other.value == unknown && b[0].value != unknown {
			continue
		}
		if t := other.term.String(); t != b[0].term.String() {
			more = appendOnce(more, t)
		}
	}
	if len(more) == 0 {
		return out
	}
	return out + ", and on " + list(more, "and")
}

func (x *explainer) describeOne(b blocker) string {
	t := b.term
	switch {
	case b.value == unknown:
		return clip(t.String()) + ", which this compiler or build does not give"
	case t.op == opSymbol && x.tree.symbols[t.name] == nil && !isConstant(t.name):
		return t.name + ", which this tree does not define"
	case t.op == opSymbol:
		return t.name + ", which is " + b.value.String()
	case t.op == opNot && t.left.op == opSymbol:
		return "!" + t.left.name + ", and " + t.left.name + " is " + x.text(t.left)
	}
	text := t.String()
	if t.op == opOr {
		text = "(" + text + ")"
	}
	var where []string
	names := t.symbols(nil)
	for _, n := range names {
		if x.tree.symbols[n] == nil && t.op == opCompare {
			continue // a number or a word to compare with
		}
		if len(where) == listed {
			where = append(where, "and so on")
			break
		}
		where = append(where, n+" is "+x.shown(n))
	}
	if len(where) == 0 {
		return text
	}
	return text + ", where " + strings.Join(where, ", ")
}

// shown is a symbol's value as it stands in the configuration.
func (x *explainer) shown(name string) string {
	if x.tree.symbols[name] == nil {
		return "not defined"
	}
	if v := x.final.Value(name); v != "" {
		return v
	}
	return "empty"
}

func appendOnce(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// list joins names as a sentence does, with "and" or "or", and counts what it leaves out.
func list(names []string, last string) string {
	if len(names) > listed {
		return strings.Join(names[:listed], ", ") + " " + last + " " + strconv.Itoa(len(names)-listed) + " more"
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}
