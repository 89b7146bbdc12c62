package report

import (
	"io"

	"kcatch/harness/verdict"
)

// SmokeJSON writes s like [JSON]. docs/schema/smoke-v1.schema.json is its form.
func SmokeJSON(w io.Writer, s *verdict.Smoke) error {
	out := *s
	out.Schema = verdict.SmokeSchema
	if out.Cells == nil { // a list without members, not null
		out.Cells = []verdict.Cell{}
	}
	return encode(w, &out)
}
