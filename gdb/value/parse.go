package value

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// parser is a recursive descent over C's expression grammar (C17, 6.5), without assignment, comma and compound literals.
// A statement expression ({ ...; x; }) is its last expression: the statements in front are not run.
type parser struct {
	text  string
	in    []token
	at    int
	depth int
}

func (p *parser) peek() token {
	if p.at < len(p.in) {
		return p.in[p.at]
	}
	return token{col: len(p.text) + 1}
}

func (p *parser) next() token {
	t := p.peek()
	p.at++
	return t
}

// is reports whether the next token is this operator or word.
func (p *parser) is(text string) bool {
	t := p.peek()
	return t.text == text && (t.kind == tokenPunct || t.kind == tokenName)
}

func (p *parser) fail(t token, format string, args ...any) error {
	return &ParseError{p.text, t.col, fmt.Sprintf(format, args...)}
}

func (p *parser) want(text, forWhat string) error {
	if t := p.peek(); !p.is(text) {
		return p.fail(t, "%s is missing %s", text, forWhat)
	}
	p.at++
	return nil
}

// name says what stands at a token, for an error.
func (t token) name() string {
	if t.kind == tokenEnd {
		return "the end"
	}
	return strconv.Quote(t.text)
}

func (p *parser) enter(t token) error {
	if p.depth++; p.depth > maxParse {
		return p.fail(t, "nested deeper than %d", maxParse)
	}
	return nil
}

func (p *parser) expression() (*node, error) {
	if err := p.enter(p.peek()); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	cond, err := p.binary(levelOr)
	if err != nil || !p.is("?") {
		return cond, err
	}
	col := p.next().col
	n := &node{op: opCond, kids: []*node{cond, nil, nil}, col: col}
	if !p.is(":") { // else GNU's x ?: y
		if n.kids[1], err = p.expression(); err != nil {
			return nil, err
		}
	}
	if err := p.want(":", "after ?"); err != nil {
		return nil, err
	}
	n.kids[2], err = p.expression()
	return n, err
}

// binary parses operators of a level and all that bind closer, left to right. It recurses by level, not by operand, so a long sum
// costs no stack.
func (p *parser) binary(level int) (*node, error) {
	if level > levelMul {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		t := p.peek()
		if t.kind != tokenPunct || levels[t.text] != level {
			break
		}
		p.at++
		var right *node
		if right, err = p.binary(level + 1); err == nil {
			left = &node{op: opBinary, text: t.text, kids: []*node{left, right}, col: t.col}
		}
	}
	return left, err
}

func (p *parser) unary() (*node, error) {
	t := p.peek()
	if err := p.enter(t); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if t.kind == tokenPunct && len(t.text) == 1 && strings.Contains("-+~!*&", t.text) || t.text == "&&" && t.kind == tokenPunct {
		p.at++
		if t.text == "&&" {
			return nil, p.fail(t, "&& wants something on its left")
		}
		inner, err := p.unary()
		if err != nil {
			return nil, err
		}
		switch t.text {
		case "*":
			return deref(inner), nil
		case "&":
			if inner.op == opDeref {
				return inner.kids[0], nil
			}
			return &node{op: opAddr, kids: []*node{inner}, col: t.col}, nil
		}
		return &node{op: opUnary, text: t.text, kids: []*node{inner}, col: t.col}, nil
	}
	if t.kind == tokenName && (t.text == "sizeof" || t.text == "__alignof__" || t.text == "_Alignof") {
		if t.text != "sizeof" {
			return nil, p.fail(t, "%s is not understood", t.text)
		}
		p.at++
		if p.is("(") {
			if typ, end, ok := p.typeIn(p.at); ok {
				p.at = end
				return &node{op: opSizeof, typ: typ, col: t.col}, nil
			}
		}
		inner, err := p.unary()
		return &node{op: opSizeof, kids: []*node{inner}, col: t.col}, err
	}
	if p.is("(") {
		if typ, end, ok := p.typeIn(p.at); ok {
			p.at = end
			inner, err := p.unary()
			if err != nil {
				return nil, err
			}
			return &node{op: opCast, typ: typ, kids: []*node{inner}, col: t.col}, nil
		}
	}
	return p.postfix()
}

func (p *parser) postfix() (*node, error) {
	n, err := p.primary()
	for err == nil {
		t := p.peek()
		switch {
		case p.is("."), p.is("->"):
			p.at++
			name := p.next()
			if name.kind != tokenName {
				return nil, p.fail(name, "a member's name is missing after %s", t.text)
			}
			if t.text == "->" {
				n = deref(n)
			}
			n = &node{op: opMember, text: name.text, kids: []*node{n}, col: name.col}
		case p.is("["):
			p.at++
			index, ierr := p.expression()
			if ierr != nil {
				return nil, ierr
			}
			err = p.want("]", "after the index")
			n = &node{op: opIndex, kids: []*node{n, index}, col: t.col}
		case p.is("("):
			if n.op != opName {
				return nil, p.fail(t, "only a function's name can be called")
			}
			n, err = p.call(n)
		case p.is("++"), p.is("--"):
			return nil, p.fail(t, "%s would write", t.text)
		default:
			return n, nil
		}
	}
	return n, err
}

func (p *parser) call(function *node) (*node, error) {
	p.at++
	n := &node{op: opCall, text: function.text, col: function.col}
	for !p.is(")") {
		if t := p.peek(); t.kind == tokenEnd {
			return nil, p.fail(t, ") is missing after the arguments of %s", n.text)
		}
		arg, err := p.expression()
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, arg)
		if !p.is(")") {
			if err := p.want(",", "between arguments"); err != nil {
				return nil, err
			}
		}
	}
	p.at++
	return n, nil
}

func (p *parser) primary() (*node, error) {
	t := p.next()
	switch t.kind {
	case tokenName:
		if startsType(t.text) {
			return nil, p.fail(t, "a type stands where a value should")
		}
		return &node{op: opName, text: t.text, col: t.col}, nil
	case tokenNumber:
		n, typ, ok := number(t.text)
		if !ok {
			return nil, p.fail(t, "%s is no number", t.name())
		}
		return &node{op: opNumber, text: t.text, num: n, typ: typeName{base: typ}, col: t.col}, nil
	case tokenChar:
		s, err := strconv.Unquote(cQuoted(t.text))
		if err != nil || len(s) != 1 {
			return nil, p.fail(t, "%s is no character", t.name())
		}
		return &node{op: opNumber, text: t.text, num: uint64(int64(int8(s[0]))), typ: typeName{base: "int"}, col: t.col}, nil
	case tokenString:
		for p.peek().kind == tokenString {
			p.at++
		}
		return &node{op: opString, text: t.text, col: t.col}, nil
	}
	if t.kind == tokenPunct && t.text == "(" {
		if p.is("{") {
			return p.statement(t)
		}
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		return n, p.want(")", "to close the parenthesis")
	}
	return nil, p.fail(t, "a value is missing before %s", t.name())
}

// cQuoted is a character constant as a Go string literal. C's '\0' has any number of octal digits up to three, Go's has three.
func cQuoted(s string) string {
	inner := s[1 : len(s)-1]
	if len(inner) >= 2 && len(inner) < 4 && inner[0] == '\\' && strings.Trim(inner[1:], "01234567") == "" {
		inner = `\` + strings.Repeat("0", 4-len(inner)) + inner[1:]
	}
	switch inner {
	case `\'`:
		inner = "'"
	case `"`:
		inner = `\"`
	}
	return `"` + inner + `"`
}

// statement parses ({ ...; x; }) as x. Its "(" has been read.
func (p *parser) statement(open token) (*node, error) {
	p.at++
	start, depth := p.at, 0
	var last [2]int // the tokens of the last statement that is not empty
	for i := p.at; i < len(p.in); i++ {
		switch p.in[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		}
		if depth == 0 && p.in[i].text == ";" || depth < 0 {
			if i > start {
				last = [2]int{start, i}
			}
			start = i + 1
		}
		if depth >= 0 {
			continue
		}
		if p.in[i].text != "}" || last[1] == 0 {
			break
		}
		inner := parser{text: p.text, in: p.in[last[0]:last[1]], depth: p.depth}
		n, err := inner.whole()
		if err != nil {
			return nil, err
		}
		p.at = i + 1
		return n, p.want(")", "after }")
	}
	return nil, p.fail(open, "({ without its })")
}

// whole is all of the tokens as one expression.
func (p *parser) whole() (*node, error) {
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, p.fail(t, "%s is one too many", t.name())
	}
	return n, nil
}

// typeWords make up the names of C's own types.
var typeWords = []string{"void", "char", "short", "int", "long", "signed", "unsigned", "_Bool", "bool", "float", "double", "__int128"}

// ignoredWords may stand in a type and change nothing here.
var ignoredWords = []string{"const", "volatile", "restrict", "__user", "__iomem", "__percpu", "__rcu", "__force", "__kernel"}

// usualTypedefs are the kernel's typedefs that do not end in _t.
var usualTypedefs = []string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64",
	"__u8", "__u16", "__u32", "__u64", "__s8", "__s16", "__s32", "__s64",
	"__le16", "__le32", "__le64", "__be16", "__be32", "__be64", "uint", "ulong", "ushort", "unchar"}

// startsType reports whether a word begins a type wherever it stands.
func startsType(word string) bool {
	return word == "struct" || word == "union" || word == "enum" || slices.Contains(typeWords, word) ||
		slices.Contains(ignoredWords, word) || slices.Contains(usualTypedefs, word)
}

// typeIn reads "(type)" at token i; end is the index after its ")". A name alone is a type when it is called like one: the kernel's
// end in _t or are u8, s32... In "(name *)" any name is one, because nothing else can stand there.
func (p *parser) typeIn(i int) (t typeName, end int, ok bool) {
	word := func() token {
		if i < len(p.in) {
			return p.in[i]
		}
		return token{}
	}
	i++
	var words []string
	sure := false
	if w := word(); w.kind == tokenName && (w.text == "typeof" || w.text == "__typeof__") && i+1 < len(p.in) && p.in[i+1].text == "(" {
		args, end, whole := arguments(p.in, i+1)
		if !whole || len(args) != 1 || p.depth > maxParse {
			return t, 0, false
		}
		inner := parser{text: p.text, in: args[0], depth: p.depth + 1}
		n, err := inner.whole()
		if err != nil {
			return t, 0, false
		}
		t.of, i = n, end+1
	}
	for ; word().kind == tokenName; i++ {
		switch w := word().text; {
		case slices.Contains(ignoredWords, w):
			sure = true
		case w == "struct" || w == "union" || w == "enum":
			i++
			if word().kind != tokenName || len(words) > 0 {
				return t, 0, false
			}
			words, sure = append(words, w+" "+word().text), true
		case slices.Contains(typeWords, w):
			words, sure = append(words, w), true
		case len(words) == 0:
			words = append(words, w)
			sure = strings.HasSuffix(w, "_t") || slices.Contains(usualTypedefs, w)
		default:
			return t, 0, false
		}
	}
	for ; word().text == "*" || word().kind == tokenName && slices.Contains(ignoredWords, word().text); i++ {
		if word().text == "*" {
			t.stars++
		}
	}
	if t.of != nil && len(words) == 0 {
		return t, i + 1, word().text == ")" && t.stars <= 8
	}
	if word().text != ")" || len(words) == 0 || t.of != nil || !sure && t.stars == 0 {
		return t, 0, false
	}
	t.base = baseName(words)
	return t, i + 1, t.base != "" && t.stars <= 8
}

// baseName is the name that DWARF has for the words of a type: "unsigned long" as gcc writes it is "long unsigned int".
func baseName(words []string) string {
	if len(words) == 1 && !slices.Contains(typeWords, words[0]) {
		return words[0]
	}
	count := map[string]int{}
	for _, w := range words {
		if !slices.Contains(typeWords, w) {
			return ""
		}
		count[w]++
	}
	unsigned := count["unsigned"] > 0
	for _, w := range []string{"void", "float", "double", "_Bool", "bool", "__int128"} {
		if count[w] > 0 {
			return w
		}
	}
	name := "int"
	switch {
	case count["char"] > 0:
		switch {
		case unsigned:
			return "unsigned char"
		case count["signed"] > 0:
			return "signed char"
		}
		return "char"
	case count["short"] > 0:
		name = "short"
	case count["long"] == 1:
		name = "long"
	case count["long"] > 1:
		name = "long long"
	}
	if unsigned {
		return "unsigned " + name
	}
	return name
}

// number reads an integer constant and its type, C17 6.4.4.1: the first one of int, long that holds it, and the unsigned ones for one
// that is not decimal or has a u.
func number(s string) (n uint64, typ string, ok bool) {
	digits := strings.TrimRight(strings.ToLower(s), "ul")
	suffix := strings.ToLower(s[len(digits):])
	switch suffix {
	case "", "u", "l", "ul", "lu", "ll", "ull", "llu":
	default:
		return 0, "", false
	}
	base := 10
	switch {
	case strings.HasPrefix(digits, "0x"):
		base, digits = 16, digits[2:]
	case strings.HasPrefix(digits, "0b"):
		base, digits = 2, digits[2:]
	case len(digits) > 1 && digits[0] == '0':
		base, digits = 8, digits[1:]
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, "", false
	}
	unsigned, long := strings.Contains(suffix, "u"), strings.Contains(suffix, "l")
	switch {
	case !long && !unsigned && n < 1<<31:
		return n, "int", true
	case !long && (unsigned || base != 10) && n < 1<<32:
		return n, "unsigned int", true
	case !unsigned && n < 1<<63:
		return n, "long", true
	}
	return n, "unsigned long", true
}
