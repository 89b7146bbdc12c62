package kconfig

import (
	"strconv"
	"strings"
)

// tri is the value of an expression. unknown is what hangs on a macro; it lies between the others only in name.
type tri int8

const (
	no tri = iota
	mod
	yes
	unknown
)

func (t tri) String() string {
	switch t {
	case no:
		return "n"
	case mod:
		return "m"
	case yes:
		return "y"
	}
	return "unknown"
}

func triOf(value string) tri {
	switch value {
	case "y":
		return yes
	case "m":
		return mod
	}
	return no
}

// eval is the value of e over the final configuration.
//
//	!a = y - a    a && b = min(a, b)    a || b = max(a, b)    a nil expression = y
//
// unknown && n = n, unknown || y = y; otherwise unknown spreads.
func (x *explainer) eval(e *expr) tri {
	if e == nil {
		return yes
	}
	switch e.op {
	case opSymbol, opString:
		return triOf(x.text(e))
	case opNot:
		if v := x.eval(e.left); v != unknown {
			return yes - v
		}
		return unknown
	case opAnd:
		a, b := x.eval(e.left), x.eval(e.right)
		if a == no || b == no {
			return no
		}
		if a == unknown || b == unknown {
			return unknown
		}
		return min(a, b)
	case opOr:
		a, b := x.eval(e.left), x.eval(e.right)
		if a == yes || b == yes {
			return yes
		}
		if a == unknown || b == unknown {
			return unknown
		}
		return max(a, b)
	case opCompare:
		return x.compare(e)
	}
	return unknown
}

// compare is the value of "left rel right": as numbers when both are numbers, else as text.
// scripts/kconfig/expr.c, expr_calc_value.
func (x *explainer) compare(e *expr) tri {
	if e.left.op == opMacro || e.right.op == opMacro {
		return unknown
	}
	a, b := x.text(e.left), x.text(e.right)
	order := strings.Compare(a, b)
	na, errA := strconv.ParseInt(strings.ToLower(a), 0, 64)
	nb, errB := strconv.ParseInt(strings.ToLower(b), 0, 64)
	if errA == nil && errB == nil {
		order = 0
		if na < nb {
			order = -1
		} else if na > nb {
			order = 1
		}
	}
	var holds bool
	switch e.rel {
	case "=":
		holds = order == 0
	case "!=":
		holds = order != 0
	case "<":
		holds = order < 0
	case "<=":
		holds = order <= 0
	case ">":
		holds = order > 0
	case ">=":
		holds = order >= 0
	}
	if holds {
		return yes
	}
	return no
}

// text is the value of an operand as text. A symbol that no file defines stands for its own name, so that numbers and
// y, m, n need no quotes; one that is defined and not in the configuration is n, or empty when it is no bool.
func (x *explainer) text(e *expr) string {
	if e.op != opSymbol || isConstant(e.name) {
		return e.name
	}
	if o, ok := x.final.Get(e.name); ok {
		return unquote(o.Value)
	}
	s := x.tree.symbols[e.name]
	if s == nil {
		return e.name
	}
	if s.typ == "string" || s.typ == "int" || s.typ == "hex" {
		return ""
	}
	return "n"
}
