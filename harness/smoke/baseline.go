package smoke

import (
	"encoding/json"
	"os"
	"slices"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const (
	noveltyNew   = "new"
	noveltyKnown = "known"
)

// baseline is the deaths of an earlier run. A nil one knows nothing, and calls nothing new.
type baseline struct {
	deaths []verdict.Known // Cell is "" when they are of a single boot: then they are known for every cell
	cells  map[string]bool // that the run had; nil for a single boot
}

// maxBaseline bounds the file, in bytes. A result has 100 KB, most of it the log.
const maxBaseline = 1 << 30

// readBaseline reads a smoke result or the result of a boot, as kcatch writes them; anything else is a usage error.
func readBaseline(path string) (*baseline, error) {
	refuse := func(cause string, err error) error {
		return &blame.Error{Kind: blame.Usage, Msg: "--baseline: " + path + ": " + cause, Err: err,
			Hint: "give the smoke.json of an earlier smoke test, or the result.json of a boot"}
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, refuse("no such file", err)
	case !st.Mode().IsRegular():
		return nil, refuse("not a regular file", nil)
	case st.Size() > maxBaseline:
		return nil, refuse("too large", nil)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse("cannot be read", err)
	}
	b, schema, err := parseBaseline(data)
	switch {
	case err != nil:
		return nil, refuse("not JSON as kcatch writes it", err)
	case b == nil && schema == "":
		return nil, refuse("is neither a smoke result nor the result of a boot", nil)
	case b == nil:
		return nil, refuse("is a "+oneLine(schema)+", and no smoke result or result of a boot", nil)
	}
	return b, nil
}

// parseBaseline takes the deaths out of a result. The baseline is nil when it is of another schema, which then is returned.
func parseBaseline(data []byte) (*baseline, string, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, "", err
	}
	switch head.Schema {
	case verdict.SmokeSchema:
		var s verdict.Smoke
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, head.Schema, err
		}
		return smokeBaseline(&s), head.Schema, nil
	case verdict.Schema:
		var r verdict.Result
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, head.Schema, err
		}
		b := &baseline{}
		if r.Verdict == verdict.Bad {
			b.add("", signatures(&r)...)
		}
		return b, head.Schema, nil
	}
	return nil, head.Schema, nil
}

// smokeBaseline is the deaths of a smoke result, those of flaky cells and allowed ones included. One that a cell was expected to die is
// none.
func smokeBaseline(s *verdict.Smoke) *baseline {
	b := &baseline{cells: map[string]bool{}}
	for i := range s.Cells {
		c := &s.Cells[i]
		b.cells[c.Name] = true
		expected := func(passed bool) bool { return passed && c.Allowed == nil && c.Novelty != noveltyKnown }
		for _, t := range c.Tries {
			if t.Verdict == verdict.Bad && !expected(t.Passed) {
				b.add(c.Name, t.Signature)
			}
		}
		if r := c.Result; r != nil && r.Verdict == verdict.Bad && !expected(c.Status == verdict.CellPass) {
			b.add(c.Name, signatures(r)...)
		}
	}
	return b
}

func (b *baseline) add(cell string, signatures ...string) {
	for _, s := range signatures {
		if k := (verdict.Known{Cell: cell, Signature: s}); s != "" && !slices.Contains(b.deaths, k) {
			b.deaths = append(b.deaths, k)
		}
	}
}

// novelty is what the baseline says of what made a boot of a cell bad: known when all of it is.
func (b *baseline) novelty(cell string, signatures ...string) string {
	if b == nil {
		return ""
	}
	for _, s := range signatures {
		if !slices.ContainsFunc(b.deaths, func(k verdict.Known) bool { return k.Signature == s && (k.Cell == cell || k.Cell == "") }) {
			return noveltyNew
		}
	}
	return noveltyKnown
}

// fixed are the deaths of the baseline that did not come again, where the cells that had them came as far as they were asked to: a
// cell that dies of something else may have died too early for it.
func (b *baseline) fixed(cells []verdict.Cell) []verdict.Known {
	if b == nil {
		return nil
	}
	var list []verdict.Known
	for _, k := range b.deaths {
		ran, gone := false, true
		for i := range cells {
			c := &cells[i]
			if k.Cell != "" && k.Cell != c.Name || c.Attempts == 0 {
				continue
			}
			lived := slices.ContainsFunc(c.Tries, func(t verdict.Try) bool { return t.Verdict == verdict.Good })
			came := slices.ContainsFunc(c.Tries, func(t verdict.Try) bool { return t.Signature == k.Signature })
			ran, gone = true, gone && lived && !came
		}
		if ran && gone {
			list = append(list, k)
		}
	}
	return list
}
