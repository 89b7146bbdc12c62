// Package shell writes words that a POSIX shell reads back: what kcatch prints or leaves to be run again goes through it.
package shell

import "strings"

// Word makes one word of a POSIX shell of s: s as it is where no byte of it means something to a shell, else s in single
// quotes.
func Word(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+./:,=@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
