package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes one line of hostile text safe to show: control characters, escape sequences, invalid UTF-8 and
// bidirectional overrides become visible escapes ("\x1b"), tabs become a space, and the line is cut at limit runes with
// a note of what was left out (no cut when limit <= 0).
func Clean(s string, limit int) string {
	var b strings.Builder
	n, total := 0, utf8.RuneCountInString(s)
	for i := 0; i < len(s); {
		if limit > 0 && n == limit {
			fmt.Fprintf(&b, "… (%d more characters)", total-n)
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteByte(' ')
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
		n++
	}
	return b.String()
}

// Lines splits guest text into lines and cleans each.
func Lines(s string, limit int) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimRight(s, "\r\n"), "\n") {
		out = append(out, Clean(strings.TrimRight(l, "\r"), limit))
	}
	return out
}
