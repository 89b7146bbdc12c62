package autopsy

import (
	"regexp"
	"strings"
)

// assertCall finds the start of an assertion of the kernel's own vocabulary: BUG_ON, VM_BUG_ON_PGFLAGS, WARN_ON_ONCE…
var assertCall = regexp.MustCompile(`\b[A-Z_]*(?:BUG|WARN|ASSERT)[A-Z_]*\s*\(`)

// macroUse finds the first call-like use of a name on a line.
var macroUse = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*)\s*\(`)

// maxMacroLines bounds the continuation lines of one macro definition that are looked at.
const maxMacroLines = 200

// assertion finds the text of the assertion that a BUG at a line (1-based) of source stands for: on the line itself,
// or in the body of the macro that the line calls when the same file defines it, because the kernel's bug table names
// the line of the outermost macro call. prefer is tried first among several in one body (lines that a patch added).
// The text is one line, spaces folded, without the continuation backslash. It is empty when none is found.
func assertion(source string, line int, prefer func(string) bool) string {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	if t := assertText(lines[line-1]); t != "" {
		return t
	}
	for _, m := range macroUse.FindAllStringSubmatch(lines[line-1], 4) {
		if t := macroAssertion(lines, m[1], prefer); t != "" {
			return t
		}
	}
	return ""
}

func macroAssertion(lines []string, macro string, prefer func(string) bool) string {
	define := regexp.MustCompile(`^\s*#\s*define\s+` + regexp.QuoteMeta(macro) + `\b`)
	first := ""
	for i, l := range lines {
		if !define.MatchString(l) {
			continue
		}
		for j := i; j < len(lines) && j < i+maxMacroLines; j++ {
			if j > i { // the definition's own name may look like an assertion
				if t := assertText(strings.TrimSuffix(strings.TrimSpace(lines[j]), "\\")); t != "" {
					if prefer != nil && prefer(t) {
						return t
					}
					if first == "" {
						first = t
					}
				}
			}
			if !strings.HasSuffix(strings.TrimRight(lines[j], " \t"), "\\") {
				break
			}
		}
	}
	return first
}

// assertText cuts the assertion call out of a line, up to its closing parenthesis (or the end of the line).
func assertText(line string) string {
	loc := assertCall.FindStringIndex(line)
	if loc == nil || strings.Contains(line[:loc[0]], "#define") || strings.Contains(line[:loc[0]], "# define") {
		return ""
	}
	depth := 0
	for i := loc[1] - 1; i < len(line); i++ {
		switch line[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return strings.Join(strings.Fields(line[loc[0]:i+1]), " ")
			}
		}
	}
	return strings.Join(strings.Fields(strings.TrimRight(line[loc[0]:], "\\ \t")), " ")
}
