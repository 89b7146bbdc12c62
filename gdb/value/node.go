package value

import (
	"fmt"
	"strings"
)

// node is a step of an expression.
type node struct {
	op   op
	text string // a name, an operator, a number as it was written
	kids []*node
	num  uint64
	typ  typeName // of a cast, of sizeof(type), of a number ("unsigned long")
	col  int
}

type op uint8

const (
	opName   op = iota // text
	opNumber           // num, typ
	opString           // text; has no value here
	opDeref            // *kids[0]
	opAddr             // &kids[0]
	opMember           // kids[0].text; -> is a member of a deref
	opIndex            // kids[0][kids[1]]
	opUnary            // text: - + ~ !
	opBinary           // text
	opCond             // kids[0] ? kids[1] : kids[2]; GNU's kids[0] ?: kids[2] has nil in the middle
	opCast             // (typ)kids[0]
	opSizeof           // sizeof(typ) without kids, sizeof(kids[0]) with one
	opCall             // text(kids...): only its arguments can be looked at
)

// typeName is a type as it is written: a base and pointers to it.
type typeName struct {
	base  string // "struct page", "unsigned long", "gfp_t", "void"
	of    *node  // typeof(of), in place of a base
	stars int
}

func (t typeName) String() string {
	if t.of != nil {
		return typeName{base: "typeof(" + t.of.render(0) + ")", stars: t.stars}.String()
	}
	if t.stars == 0 {
		return t.base
	}
	return t.base + " " + strings.Repeat("*", t.stars)
}

// String is the node as C text, with no more parentheses than it takes.
func (n *node) String() string { return n.render(0) }

// Levels of precedence, loosest first. A node in parentheses stands at levelPostfix.
const (
	levelCond = iota + 1
	levelOr
	levelAnd
	levelBitOr
	levelBitXor
	levelBitAnd
	levelEqual
	levelCompare
	levelShift
	levelAdd
	levelMul
	levelUnary
	levelPostfix
)

var levels = map[string]int{"||": levelOr, "&&": levelAnd, "|": levelBitOr, "^": levelBitXor, "&": levelBitAnd,
	"==": levelEqual, "!=": levelEqual,
	"<": levelCompare, ">": levelCompare, "<=": levelCompare, ">=": levelCompare, "<<": levelShift, ">>": levelShift,
	"+": levelAdd, "-": levelAdd, "*": levelMul, "/": levelMul, "%": levelMul}

func (n *node) render(outer int) string {
	level := levelPostfix
	var s string
	switch n.op {
	case opName, opNumber, opString:
		s = n.text
	case opDeref:
		s, level = "*"+n.kids[0].render(levelUnary), levelUnary
	case opAddr:
		s, level = "&"+n.kids[0].render(levelUnary), levelUnary
	case opUnary:
		s, level = n.text+n.kids[0].render(levelUnary), levelUnary
	case opMember:
		if p := n.kids[0]; p.op == opDeref {
			s = p.kids[0].render(levelPostfix) + "->" + n.text
		} else {
			s = p.render(levelPostfix) + "." + n.text
		}
	case opIndex:
		s = n.kids[0].render(levelPostfix) + "[" + n.kids[1].render(0) + "]"
	case opBinary:
		level = levels[n.text]
		s = n.kids[0].render(level) + " " + n.text + " " + n.kids[1].render(level+1)
	case opCond:
		level = levelCond
		s = n.kids[0].render(levelOr) + " ?: "
		if n.kids[1] != nil {
			s = n.kids[0].render(levelOr) + " ? " + n.kids[1].render(0) + " : "
		}
		s += n.kids[2].render(levelCond)
	case opCast:
		s, level = "("+n.typ.String()+")"+n.kids[0].render(levelUnary), levelUnary
	case opSizeof:
		level = levelUnary
		if s = fmt.Sprintf("sizeof(%s)", n.typ); len(n.kids) > 0 {
			s = "sizeof(" + n.kids[0].render(0) + ")"
		}
	case opCall:
		args := make([]string, len(n.kids))
		for i, k := range n.kids {
			args[i] = k.render(0)
		}
		s = n.text + "(" + strings.Join(args, ", ") + ")"
	}
	if level < outer {
		return "(" + s + ")"
	}
	return s
}

// deref is *n. &x and * cancel out, so that an accessor's *(&page->_refcount) reads as page->_refcount.
func deref(n *node) *node {
	if n.op == opAddr {
		return n.kids[0]
	}
	return &node{op: opDeref, kids: []*node{n}, col: n.col}
}
