package report

import (
	"io"

	"kcatch/harness/verdict"
)

// SmokeJSON writes s like [JSON].
func SmokeJSON(w io.Writer, s *verdict.Smoke) error { return encode(w, s) }
