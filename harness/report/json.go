package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"kcatch/harness/verdict"
)

// JSON writes r by the contract, indented, with a newline at the end. HTML characters are not escaped, so that
// "->" and "<" in kernel text stay readable; a page that embeds it must do its own escaping. What a terminal or a CI would
// act upon is escaped as JSON has it, so that the text that a program reads is the guest's own.
func JSON(w io.Writer, r *verdict.Result) error { return encode(w, r) }

func encode(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, inert(b.String()))
	return err
}

// inert escapes the control and format characters that encoding/json leaves as they are (C1, a terminal's other escape
// character; bidirectional overrides) and the commands of a CI, see [Clean]. All can stand in JSON's strings only.
func inert(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '#' && commands(text[i:]), r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case unicode.Is(unicode.Cf, r):
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
