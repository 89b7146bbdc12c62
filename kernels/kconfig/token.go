package kconfig

import "strings"

// kind of a token of one Kconfig line.
type kind uint8

const (
	endOfLine kind = iota
	word           // a keyword, a symbol or a number, unquoted
	quoted         // a string; text has neither quotes nor escapes
	macro          // anything holding $(...) whose value only the build knows; text as written
	operator       // one of = != < <= > >= ! && || ( ) := +=
)

type token struct {
	kind kind
	text string
}

// maxTokens bounds one line; the kernel's longest has about 60.
const maxTokens = 4096

// variables are the macros with a value known beforehand. ARCH and SRCARCH are x86 for every build on and for x86_64.
var variables = strings.NewReplacer("$(ARCH)", "x86", "$(SRCARCH)", "x86", "$(HEADER_ARCH)", "x86",
	"$(srctree)/", "", "$(KCONFIG_EXT_PREFIX)", "")

// tokens splits one logical line (continuations already joined). It never fails: what it does not know is skipped, as
// scripts/kconfig/lexer.l does.
//
//	bool "64-bit kernel" if "$(ARCH)" = "x86"
func tokens(line string) []token {
	if strings.Contains(line, "$(") {
		line = variables.Replace(line)
	}
	var out []token
	for i := 0; i < len(line) && len(out) < maxTokens; {
		c := line[i]
		switch {
		case c == '#':
			return out
		case c == '"' || c == '\'':
			text, n := quotedText(line[i:])
			k := quoted
			if strings.Contains(text, "$(") {
				k = macro
			}
			out = append(out, token{k, text})
			i += n
		case isWordByte(c) || c == '$':
			n := wordLen(line[i:])
			k := word
			if strings.Contains(line[i:i+n], "$") {
				k = macro
			}
			out = append(out, token{k, line[i : i+n]})
			i += n
		default:
			n := operatorLen(line[i:])
			if n == 0 {
				i++
				continue
			}
			out = append(out, token{operator, line[i : i+n]})
			i += n
		}
	}
	return out
}

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// wordLen is the length of the word at the start of s, $(...) with balanced parentheses being part of it. It is at
// least 1.
func wordLen(s string) int {
	i := 0
	for i < len(s) {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '(':
			depth := 0
			for ; i < len(s); i++ {
				if s[i] == '(' {
					depth++
				} else if s[i] == ')' {
					if depth--; depth == 0 {
						i++
						break
					}
				}
			}
		case s[i] == '$' || isWordByte(s[i]):
			i++
		default:
			return i
		}
	}
	return i
}

// quotedText returns the content of the string at the start of s and the length of the string, quotes included. A
// string that is not closed ends with the line.
func quotedText(s string) (text string, n int) {
	quote := s[0]
	if end := strings.IndexByte(s[1:], quote); end >= 0 && strings.IndexByte(s[1:1+end], '\\') < 0 {
		return s[1 : 1+end], end + 2
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == quote:
			return b.String(), i + 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), len(s)
}

func operatorLen(s string) int {
	if len(s) > 1 {
		switch s[:2] {
		case "!=", "<=", ">=", "&&", "||", ":=", "+=":
			return 2
		}
	}
	switch s[0] {
	case '=', '<', '>', '!', '(', ')':
		return 1
	}
	return 0
}
