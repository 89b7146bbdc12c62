package report

import (
	"encoding/json"
	"io"

	"kcatch/harness/verdict"
)

// JSON writes r by the contract, indented, with a newline at the end. HTML characters are not escaped, so that
// "->" and "<" in kernel text stay readable; a page that embeds it must do its own escaping.
func JSON(w io.Writer, r *verdict.Result) error { return encode(w, r) }

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
