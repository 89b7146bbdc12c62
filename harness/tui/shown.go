package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"kcatch/harness/report"
)

// longest is how many characters of one line are shown; what is behind is counted.
const longest = 2000

// shown makes hostile text one line of characters that are one column wide each: it is cleaned as everywhere ([report.Clean]), and
// what a terminal may draw two columns wide, or on top of the character before, is an escape.
func shown(s string) string {
	s = report.Clean(s, longest)
	if strings.IndexFunc(s, func(r rune) bool { return !narrow(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if narrow(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// narrow reports whether a printable character is one column wide on every terminal: the Latin, Greek and Cyrillic letters,
// punctuation, arrows, mathematics, lines and blocks. Source: Unicode's EastAsianWidth.txt, which has none of these as wide; U+25FD
// is the first that is.
func narrow(r rune) bool {
	switch {
	case r < 0x300:
		return true
	case r >= 0x370 && r < 0x530:
		return unicode.IsLetter(r)
	case r >= 0x2010 && r <= 0x2027, r >= 0x2190 && r <= 0x22ff, r >= 0x2500 && r <= 0x25fc:
		return true
	}
	return false
}

// tabStop is the kernel's own: Documentation/process/coding-style.rst, "Tabs are 8 characters".
const tabStop = 8

// sourceText is a line of a source file, its tabs as they are meant.
func sourceText(s string) string {
	var b strings.Builder
	at := 0
	for i, piece := range strings.Split(strings.TrimRight(s, "\r"), "\t") {
		if i > 0 && at < longest {
			n := tabStop - at%tabStop
			b.WriteString(strings.Repeat(" ", n))
			at += n
		}
		if piece != "" && at < longest {
			piece = shown(piece)
			b.WriteString(piece)
			at += columns(piece)
		}
	}
	return b.String()
}

func columns(s string) int { return utf8.RuneCountInString(s) }

// pad fills with spaces up to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-columns(s))) }
