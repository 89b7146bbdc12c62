package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes one line of hostile text safe to show: control characters, escape sequences, invalid UTF-8 and
// bidirectional overrides become visible escapes ("\x1b"), tabs become a space, and the line is cut at limit runes with
// a note of what was left out (no cut when limit <= 0). What a CI would take for a command is escaped too: "::error::" at
// the beginning of a line, spaces before it or not, and "##[error]", "##vso[task...]" anywhere in one.
//
// Source: github.com/actions/runner, src/Runner.Common/ActionCommand.cs, TryParseV2 (it trims leading space) and TryParse;
// Azure Pipelines, "Logging commands".
func Clean(s string, limit int) string {
	if harmless(s) && (limit <= 0 || len(s) <= limit) {
		return s
	}
	var b strings.Builder
	n, total := 0, utf8.RuneCountInString(s)
	for i, begin := 0, true; i < len(s); {
		if limit > 0 && n == limit {
			fmt.Fprintf(&b, "… (%d more characters)", total-n)
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ':' && begin && strings.HasPrefix(s[i:], "::"), r == '#' && commands(s[i:]):
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == '\t':
			b.WriteByte(' ')
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		begin = begin && unicode.IsSpace(r)
		i += size
		n++
	}
	return b.String()
}

// harmless reports whether s is printable ASCII without anything that a CI reads: as a rule it is, and a console has a million lines.
func harmless(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '#' {
			return false
		}
	}
	return !strings.HasPrefix(strings.TrimLeft(s, " "), "::")
}

// commands reports whether s begins with "##", letters, and "[".
func commands(s string) bool {
	rest, ok := strings.CutPrefix(s, "##")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"), "[")
}

// Lines splits guest text into lines and cleans each.
func Lines(s string, limit int) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimRight(s, "\r\n"), "\n") {
		out = append(out, Clean(strings.TrimRight(l, "\r"), limit))
	}
	return out
}
