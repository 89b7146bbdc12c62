package value

import (
	"fmt"
	"slices"
	"strings"
)

// ParseError is why a text is no expression. Column is in bytes from 1, of the text that was given: a token that a macro put there
// has the column of the macro's name.
type ParseError struct {
	Text   string
	Column int
	Cause  string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("expression %q: column %d: %s", e.Text, e.Column, e.Cause)
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenChar
	tokenString
	tokenPunct
)

type token struct {
	kind  tokenKind
	text  string
	col   int  // from 1
	final bool // a name that is no macro any more: it came out of its own expansion
}

// Bounds on an expression. The longest condition in the kernel's own assertions has some 200 tokens when its macros are expanded.
const (
	maxText   = 1 << 14
	maxTokens = 1 << 14
	maxParse  = 200 // levels of nesting
	maxMacros = 32  // levels of macros in macros
)

// operators, longest first.
var operators = []string{"<<=", ">>=", "...", "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--",
	"+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "##", "+", "-", "*", "/", "%", "&", "|", "^", "~", "!", "<", ">", "=",
	"(", ")", "[", "]", "{", "}", ".", ",", "?", ":", ";", "#"}

// tokens splits a text. Spaces, line ends and a backslash in front of a line end separate.
func tokens(text string) ([]token, error) {
	if len(text) > maxText {
		return nil, &ParseError{text[:64] + "...", 1, fmt.Sprintf("longer than %d bytes", maxText)}
	}
	var out []token
	for i := 0; i < len(text); {
		c := text[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\\' && strings.HasPrefix(text[i:], "\\\n"):
			i++
			continue
		case nameByte(c) && (c < '0' || c > '9'):
			for i < len(text) && nameByte(text[i]) {
				i++
			}
			out = append(out, token{kind: tokenName, text: text[start:i], col: start + 1})
		case c >= '0' && c <= '9':
			for i < len(text) && nameByte(text[i]) {
				i++
			}
			out = append(out, token{kind: tokenNumber, text: text[start:i], col: start + 1})
		case c == '\'' || c == '"':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i >= len(text) {
				return nil, &ParseError{text, start + 1, fmt.Sprintf("%c without its end", c)}
			}
			i++
			kind := tokenChar
			if c == '"' {
				kind = tokenString
			}
			out = append(out, token{kind: kind, text: text[start:i], col: start + 1})
		default:
			at := slices.IndexFunc(operators, func(op string) bool { return strings.HasPrefix(text[i:], op) })
			if at < 0 {
				return nil, &ParseError{text, i + 1, fmt.Sprintf("%q means nothing in C", c)}
			}
			i += len(operators[at])
			out = append(out, token{kind: tokenPunct, text: operators[at], col: start + 1})
		}
		if len(out) > maxTokens {
			return nil, &ParseError{text[:64] + "...", 1, "too long"}
		}
	}
	return out, nil
}

func nameByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Macro is a macro of C's preprocessor: the words of its body, with Params replaced by arguments. No Params and Function false:
// it is used without parentheses.
type Macro struct {
	Function bool
	Params   []string // the last one may be "..." or "name..."
	Body     string
}

// Macros finds a macro by name.
type Macros func(name string) (Macro, bool)

// expander replaces macros in a list of tokens, as the preprocessor does, with bounds.
type expander struct {
	macros Macros
	text   string
	left   int // tokens that may still be made
}

// expand gives the tokens with all macros replaced. hidden are the macros that are being replaced: C does not expand a macro in
// its own expansion.
func (x *expander) expand(in []token, hidden []string) ([]token, error) {
	if len(hidden) > maxMacros {
		return nil, x.fail(in, "macros nest too deep")
	}
	var out []token
	for i := 0; i < len(in); i++ {
		t := in[i]
		if x.left--; x.left < 0 {
			return nil, x.fail(in, "too long when its macros are expanded")
		}
		if t.kind != tokenName || t.final || x.macros == nil {
			out = append(out, t)
			continue
		}
		if slices.Contains(hidden, t.text) {
			t.final = true
			out = append(out, t)
			continue
		}
		m, ok := x.macros(t.text)
		if !ok || m.Function && (i+1 >= len(in) || in[i+1].text != "(") {
			out = append(out, t)
			continue
		}
		var args [][]token
		if m.Function {
			var end int
			if args, end, ok = arguments(in, i+1); !ok {
				return nil, x.fail(in[i:], t.text+"( without its )")
			}
			i = end
			if bad := m.bind(&args); bad != "" {
				return nil, &ParseError{x.text, t.col, t.text + " " + bad}
			}
		}
		body, err := x.substitute(m, args, t.col, hidden)
		if err != nil {
			return nil, err
		}
		// The arguments in body are expanded already and come by here once more: what was hidden in them is final.
		body, err = x.expand(body, append(slices.Clip(hidden), t.text))
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	return out, nil
}

func (x *expander) fail(in []token, cause string) error {
	col := 1
	if len(in) > 0 {
		col = in[0].col
	}
	return &ParseError{x.text, col, cause}
}

// arguments splits the arguments of the "(" at in[open] at commas; end is the index of its ")".
func arguments(in []token, open int) (args [][]token, end int, ok bool) {
	depth, start := 0, open+1
	for i := open; i < len(in); i++ {
		switch in[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return append(args, in[start:i]), i, true
			}
		case ",":
			if depth == 1 {
				args = append(args, in[start:i])
				start = i + 1
			}
		}
	}
	return nil, 0, false
}

// bind fits arguments to parameters; those of "..." become one. It says what is wrong, or "".
func (m Macro) bind(args *[][]token) string {
	n := len(m.Params)
	if n == 0 && len(*args) == 1 && len((*args)[0]) == 0 {
		*args = nil
	}
	if n > 0 && strings.HasSuffix(m.Params[n-1], "...") {
		for len(*args) < n {
			*args = append(*args, nil)
		}
		rest := slices.Clone((*args)[n-1])
		for _, a := range (*args)[n:] {
			rest = append(append(rest, token{kind: tokenPunct, text: ","}), a...)
		}
		*args = append((*args)[:n-1:n-1], rest)
	}
	if len(*args) != n {
		return fmt.Sprintf("wants %d arguments and has %d", n, len(*args))
	}
	return ""
}

// substitute puts arguments into a body: as they are beside ##, as a string after #, else expanded.
func (x *expander) substitute(m Macro, args [][]token, col int, hidden []string) ([]token, error) {
	body, err := tokens(m.Body)
	if err != nil {
		return nil, err
	}
	argument := func(t token) ([]token, bool) {
		if t.kind != tokenName || !m.Function {
			return nil, false
		}
		i := slices.IndexFunc(m.Params, func(p string) bool {
			return p == t.text || p == t.text+"..." || p == "..." && t.text == "__VA_ARGS__"
		})
		if i < 0 {
			return nil, false
		}
		return args[i], true
	}
	var out []token
	for i := 0; i < len(body); i++ {
		t := body[i]
		if x.left--; x.left < 0 {
			return nil, &ParseError{x.text, col, "too long when its macros are expanded"}
		}
		if t.text == "#" && m.Function && i+1 < len(body) {
			if a, ok := argument(body[i+1]); ok {
				out = append(out, token{kind: tokenString, text: fmt.Sprintf("%q", joinTokens(a)), col: col})
				i++
				continue
			}
		}
		if t.text == "##" && len(out) > 0 && i+1 < len(body) {
			next, ok := argument(body[i+1])
			if !ok {
				next = body[i+1 : i+2]
			}
			i++
			if len(next) > 0 {
				last := &out[len(out)-1]
				if last.kind == tokenPunct && last.text == "," { // GNU: , ##__VA_ARGS__
					out = append(out, next...)
					continue
				}
				pasted, err := tokens(last.text + next[0].text)
				if err != nil || len(pasted) != 1 {
					return nil, &ParseError{x.text, col, fmt.Sprintf("%s ## %s is no word", last.text, next[0].text)}
				}
				*last = token{kind: pasted[0].kind, text: pasted[0].text, col: col}
				out = append(out, next[1:]...)
			}
			continue
		}
		a, ok := argument(t)
		if !ok {
			t.col = col
			out = append(out, t)
			continue
		}
		switch pasted := i+1 < len(body) && body[i+1].text == "##"; {
		case pasted && len(a) == 0:
			a = []token{{col: col}} // takes what comes after ##
		case !pasted:
			if a, err = x.expand(a, hidden); err != nil {
				return nil, err
			}
		}
		if x.left -= len(a); x.left < 0 {
			return nil, &ParseError{x.text, col, "too long when its macros are expanded"}
		}
		out = append(out, a...)
	}
	return slices.DeleteFunc(out, func(t token) bool { return t.kind == tokenEnd }), nil
}

// joinTokens is tokens as text, with spaces only where two would run together.
func joinTokens(ts []token) string {
	var b strings.Builder
	for i, t := range ts {
		if i > 0 && t.kind != tokenPunct && ts[i-1].kind != tokenPunct {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}
