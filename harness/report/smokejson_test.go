package report

import (
	"encoding/json"
	"errors"
	"testing"

	"kcatch/harness/verdict"
)

func readJSON(text string, s *verdict.Smoke) error {
	var back verdict.Smoke
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		return err
	}
	if len(back.Cells) != len(s.Cells) {
		return errors.New("another number of cells")
	}
	return nil
}

func FuzzSmokeJSON(f *testing.F) { fuzzSink(f, "smoke.json") }
