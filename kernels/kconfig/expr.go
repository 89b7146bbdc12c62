package kconfig

import (
	"errors"
	"fmt"
	"strings"
)

// op is what an expression does. The zero value is no expression.
type op uint8

const (
	_         op = iota
	opSymbol     // name
	opString     // a quoted constant: name is its text
	opMacro      // $(...): unknown here
	opNot        // !left
	opAnd        // left && right
	opOr         // left || right
	opCompare    // left rel right; both are symbols, strings or macros
)

// expr is one Kconfig expression. A nil *expr is the absent condition, which is y.
type expr struct {
	op          op
	name        string
	rel         string // = != < <= > >=
	left, right *expr
}

// maxDepth bounds parentheses and negations; the kernel's deepest has 4.
const maxDepth = 100

var errExpr = errors.New("not an expression")

// parseExpr takes an expression from the start of toks and returns what follows it.
//
//	expr    = and { "||" and }
//	and     = not { "&&" not }
//	not     = "!" not | "(" expr ")" | operand [ rel operand ]
func parseExpr(toks []token) (*expr, []token, error) {
	p := exprParser{toks: toks}
	e, err := p.or(0)
	if err != nil {
		return nil, p.toks, err
	}
	return e, p.toks, nil
}

type exprParser struct{ toks []token }

func (p *exprParser) peek() token {
	if len(p.toks) == 0 {
		return token{}
	}
	return p.toks[0]
}

func (p *exprParser) take(operatorText string) bool {
	if t := p.peek(); t.kind == operator && t.text == operatorText {
		p.toks = p.toks[1:]
		return true
	}
	return false
}

func (p *exprParser) or(depth int) (*expr, error) {
	e, err := p.and(depth)
	for err == nil && p.take("||") {
		var right *expr
		right, err = p.and(depth)
		e = &expr{op: opOr, left: e, right: right}
	}
	return e, err
}

func (p *exprParser) and(depth int) (*expr, error) {
	e, err := p.not(depth)
	for err == nil && p.take("&&") {
		var right *expr
		right, err = p.not(depth)
		e = &expr{op: opAnd, left: e, right: right}
	}
	return e, err
}

func (p *exprParser) not(depth int) (*expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", errExpr, maxDepth)
	}
	if p.take("!") {
		e, err := p.not(depth + 1)
		return &expr{op: opNot, left: e}, err
	}
	if p.take("(") {
		e, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("%w: a parenthesis is not closed", errExpr)
		}
		return e, err
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch t := p.peek(); {
	case t.kind == operator && (t.text == "=" || t.text == "!=" || t.text[0] == '<' || t.text[0] == '>'):
		p.toks = p.toks[1:]
		right, err := p.operand()
		return &expr{op: opCompare, rel: t.text, left: left, right: right}, err
	}
	return left, nil
}

func (p *exprParser) operand() (*expr, error) {
	t := p.peek()
	e := &expr{name: t.text}
	switch t.kind {
	case word:
		e.op = opSymbol
	case quoted:
		e.op = opString
	case macro:
		e.op = opMacro
	default:
		return nil, fmt.Errorf("%w: %q where an operand belongs", errExpr, t.text)
	}
	p.toks = p.toks[1:]
	return e, nil
}

// String is the expression as a Kconfig file would have it, with parentheses only where they are needed.
func (e *expr) String() string {
	var b strings.Builder
	e.write(&b, opOr)
	return b.String()
}

// write appends e as an operand of parent.
func (e *expr) write(b *strings.Builder, parent op) {
	if e == nil {
		b.WriteByte('y')
		return
	}
	switch e.op {
	case opSymbol, opMacro:
		b.WriteString(e.name)
	case opString:
		fmt.Fprintf(b, "%q", e.name)
	case opNot:
		b.WriteByte('!')
		e.left.write(b, opNot)
	case opCompare:
		e.binary(b, parent == opNot, e.rel)
	case opAnd:
		e.binary(b, parent == opNot, "&&")
	case opOr:
		e.binary(b, parent != opOr, "||")
	}
}

func (e *expr) binary(b *strings.Builder, parens bool, operatorText string) {
	if parens {
		b.WriteByte('(')
	}
	e.left.write(b, e.op)
	b.WriteString(" " + operatorText + " ")
	e.right.write(b, e.op)
	if parens {
		b.WriteByte(')')
	}
}

// conjuncts appends the terms of e that must all hold.
func (e *expr) conjuncts(out []*expr) []*expr {
	if e == nil {
		return out
	}
	if e.op == opAnd {
		return e.right.conjuncts(e.left.conjuncts(out))
	}
	return append(out, e)
}

// symbols appends the symbols that e names, each once, in order, constants excluded.
func (e *expr) symbols(out []string) []string {
	if e == nil {
		return out
	}
	if e.op == opSymbol {
		if isConstant(e.name) {
			return out
		}
		for _, s := range out {
			if s == e.name {
				return out
			}
		}
		return append(out, e.name)
	}
	return e.right.symbols(e.left.symbols(out))
}

func isConstant(name string) bool { return name == "y" || name == "m" || name == "n" }
