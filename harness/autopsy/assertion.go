package autopsy

import (
	"regexp"
	"slices"
	"strings"
)

// site is an assertion as the source has it.
type site struct {
	// Text is the call in one line, spaces folded, without comments and the continuation's backslashes.
	Text string
	// Macro is what is called, and Condition what has failed: the macro's first argument, or where that says nothing (BUG(),
	// WARN_ON(1)) the condition of the if around it. Condition is empty where there is none to be seen.
	Macro, Condition string
	// args are the macro's arguments.
	args []string
	// uses are the macros whose bodies lead to the call, outermost first; none when it stands in the function itself.
	uses    []use
	defined *definitions // of the file, where they have been looked for
}

// use is a macro that the source uses, with what stands for its parameters there.
type use struct {
	macro  string
	params []string
	args   []string
}

// assertCall finds the start of an assertion of the kernel's own vocabulary: BUG_ON, VM_BUG_ON_PGFLAGS, WARN_ON_ONCE…
var assertCall = regexp.MustCompile(`\b[A-Z_]*(?:BUG|WARN|ASSERT)[A-Z_]*\s*\(`)

// macroUse finds the first call-like use of a name on a line.
var macroUse = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*)\s*\(`)

// Bounds on what is looked at: the continuation lines of a macro, the lines of one call, macros in macros.
const (
	maxMacroLines = 200
	maxCallLines  = 30
	maxMacroDepth = 4
)

// assertion finds the assertion that a BUG at a line (1-based) of source stands for: on the line itself, or in the body of the macro
// that the line calls when the same file defines it, because the kernel's bug table names the line of the outermost macro call.
// prefer is tried first among several in one body (lines that a patch added). ok is false when none is found.
func assertion(source string, line int, prefer func(string) bool) (s site, ok bool) {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) {
		return site{}, false
	}
	if s, ok := assertionOn(lines, line-1, -1); ok {
		return s, true
	}
	d := definitionsOf(lines)
	s, ok = d.assertion(lines[line-1], prefer, 0)
	s.defined = d
	return s, ok
}

// assertion looks into the macros that a piece of text uses.
func (d *definitions) assertion(text string, prefer func(string) bool, depth int) (site, bool) {
	if depth == maxMacroDepth {
		return site{}, false
	}
	for _, m := range macroUse.FindAllStringSubmatchIndex(text, 4) {
		name := text[m[2]:m[3]]
		for _, at := range d.at[name] {
			s, ok := d.bodyAssertion(at, prefer, depth)
			if !ok {
				continue
			}
			params, function, _ := d.head(at, name)
			if !function {
				continue
			}
			u := use{macro: name, params: params}
			if call, ok := callText(text[m[0]:]); ok {
				_, u.args = splitCall(call)
			}
			s.uses = append([]use{u}, s.uses...)
			return s, true
		}
	}
	return site{}, false
}

// bodyAssertion finds the assertion in the body of the macro that lines[at] begins to define, or in a macro that the body uses.
func (d *definitions) bodyAssertion(at int, prefer func(string) bool, depth int) (first site, found bool) {
	end := d.end(at)
	for j := at + 1; j <= end; j++ { // the definition's own name may look like an assertion
		s, ok := assertionOn(d.lines[:end+1], j, at)
		if !ok {
			continue
		}
		if prefer != nil && prefer(s.Text) {
			return s, true
		}
		if !found {
			first, found = s, true
		}
	}
	if found {
		return first, true
	}
	return d.assertion(strings.Join(d.lines[at+1:end+1], "\n"), prefer, depth+1)
}

// assertionOn finds the assertion that begins on lines[at]. It is in the body of the macro that begins on lines[macro], or in none: -1.
func assertionOn(lines []string, at, macro int) (site, bool) {
	line := lines[at]
	loc := assertCall.FindStringIndex(line)
	if loc == nil || strings.Contains(line[:loc[0]], "#define") || strings.Contains(line[:loc[0]], "# define") {
		return site{}, false
	}
	rest := strings.Join(append([]string{line[loc[0]:]}, lines[at+1:min(len(lines), at+maxCallLines)]...), "\n")
	call, whole := callText(rest)
	if !whole { // the line says what it can
		return site{Text: fold(strings.TrimRight(line[loc[0]:], "\\ \t"))}, true
	}
	s := site{Text: fold(call)}
	s.Macro, s.args = splitCall(call)
	if len(s.args) > 0 && !constant.MatchString(s.args[0]) {
		s.Condition = s.args[0]
	} else {
		before := strings.Join(append(lines[max(0, macro, at-maxCallLines):at:at], line[:loc[0]]), "\n")
		around := ifsAround(before)
		if macro < 0 { // in a function, what lies further out has been true once, and need not be now
			around = around[max(0, len(around)-1):]
		}
		if s.Condition = strings.Join(around, ") && ("); len(around) > 1 {
			s.Condition = "(" + s.Condition + ")"
		}
	}
	return s, true
}

// constant is a condition that says nothing.
var constant = regexp.MustCompile(`^(?:|true|false|[0-9]+[uUlL]*|".*)$`)

// callText is the beginning of text up to the end of its first call's parentheses, without comments and continuations.
func callText(text string) (call string, whole bool) {
	text = uncomment(text)
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return text[:i+1], true
			}
		case '"', '\'':
			i = skipQuoted(text, i)
		}
	}
	return "", false
}

// skipQuoted is where the string or character that begins at i ends; the end of the text where it does not.
func skipQuoted(text string, i int) int {
	for quote := text[i]; i+1 < len(text); {
		i++
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return i
}

// uncomment takes comments and the backslashes at line ends out.
func uncomment(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return b.String()
			}
			i += end + 3
			b.WriteByte(' ')
		case strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return b.String()
			}
			i += end - 1
		case text[i] == '\\' && strings.HasPrefix(strings.TrimLeft(text[i+1:], " \t"), "\n"):
			b.WriteByte(' ')
		case text[i] == '"' || text[i] == '\'':
			end := min(skipQuoted(text, i), len(text)-1)
			b.WriteString(text[i : end+1])
			i = end
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// splitCall takes a call apart: its name and its arguments, spaces folded.
func splitCall(call string) (name string, args []string) {
	name, rest, _ := strings.Cut(call, "(")
	return strings.TrimSpace(name), split(strings.TrimSuffix(rest, ")"))
}

// split cuts a list at its own commas. An empty list has no members.
func split(list string) (parts []string) {
	depth, start := 0, 0
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '"', '\'':
			i = skipQuoted(list, i)
		case ',':
			if depth == 0 {
				parts = append(parts, fold(list[start:i]))
				start = i + 1
			}
		}
	}
	if last := fold(list[min(start, len(list)):]); last != "" || len(parts) > 0 {
		parts = append(parts, last)
	}
	return parts
}

func fold(s string) string { return strings.Join(strings.Fields(s), " ") }

var (
	ifWord    = regexp.MustCompile(`\bif\s*\(`)
	elsewhere = regexp.MustCompile(`\bcase\b|\bdefault\s*:|\belse\b`)
)

// ifsAround are the conditions of the ifs whose statement or block the end of text stands in, outermost first, as far as that is
// plain: not beyond an else or a switch.
func ifsAround(text string) (conditions []string) {
	text = uncomment(text)
	uses := ifWord.FindAllStringIndex(text, -1)
	for i := len(uses) - 1; i >= 0; i-- {
		call, whole := callText(text[uses[i][0]:])
		if !whole {
			continue
		}
		between := strings.TrimSpace(text[uses[i][0]+len(call):])
		if elsewhere.MatchString(between) {
			break
		}
		if between == "" || inBlock(between) {
			_, rest, _ := strings.Cut(call, "(")
			conditions = append(conditions, fold(strings.TrimSuffix(rest, ")")))
		}
	}
	slices.Reverse(conditions)
	return conditions
}

// inBlock reports whether text opens a block that it does not close.
func inBlock(text string) bool {
	if !strings.HasPrefix(text, "{") {
		return false
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return false
			}
		case '"', '\'':
			i = skipQuoted(text, i)
		}
	}
	return true
}
