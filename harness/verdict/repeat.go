package verdict

import (
	"cmp"
	"slices"
)

// RepeatSchema names the form of [Repeated].
const RepeatSchema = "kcatch/repeat/v1"

// Repeated is what came of booting the same again and again. KASLR gives every boot another seed.
type Repeated struct {
	Schema   string    `json:"schema"`
	Asked    int       `json:"asked"` // how many boots there were to be
	Boots    int       `json:"boots"`
	Outcomes []Outcome `json:"outcomes"` // the most frequent first
	// Error is why there are fewer boots than were asked for; nil when there are not.
	Error *Error `json:"error,omitempty"`
}

// Outcome is one way in which boots ended. Boots with the same verdict, class and signature are one outcome.
type Outcome struct {
	Count   int       `json:"count"`
	Seconds []float64 `json:"seconds"`         // of each boot, from power-on to the stop
	Result  Result    `json:"result"`          // the first of them
	Times   []Times   `json:"times,omitempty"` // of the first boots, at most maxTimes: for a comparison
}

// maxTimes bounds the boots of an outcome whose times are kept: with initcalls each is some 30 KB.
const maxTimes = 32

// Add counts one more boot, and reports whether it is the first of its outcome.
func (r *Repeated) Add(b Result) (first bool) {
	r.Schema = RepeatSchema
	r.Boots++
	i := slices.IndexFunc(r.Outcomes, func(o Outcome) bool {
		return o.Result.Verdict == b.Verdict && o.Result.Class == b.Class && o.Result.Hang == b.Hang && o.Result.Signature == b.Signature
	})
	if i < 0 {
		r.Outcomes = append(r.Outcomes, Outcome{Count: 1, Seconds: []float64{b.Timing.Boot}, Result: b, Times: []Times{b.Times()}})
		return true
	}
	r.Outcomes[i].Count++
	r.Outcomes[i].Seconds = append(r.Outcomes[i].Seconds, b.Timing.Boot)
	if len(r.Outcomes[i].Times) < maxTimes {
		r.Outcomes[i].Times = append(r.Outcomes[i].Times, b.Times())
	}
	slices.SortStableFunc(r.Outcomes, func(a, b Outcome) int { return cmp.Compare(b.Count, a.Count) })
	return false
}

// ExitCode turns the codes of the single boots, by code, into one: bad if any is bad, else "cannot test" if any is that,
// else good.
func (r *Repeated) ExitCode(code func(*Result) int) int {
	worst := ExitGood
	for i := range r.Outcomes {
		switch c := code(&r.Outcomes[i].Result); {
		case c == ExitBad:
			return ExitBad
		case c != ExitGood:
			worst = c
		}
	}
	return worst
}
