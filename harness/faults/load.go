package faults

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels/faults"
)

// Load is the corpus that comes with kcatch, its classes, stages and kinds of hang known to the contract.
func Load() (faults.Corpus, error) {
	c, err := faults.All()
	if err != nil {
		return c, err
	}
	for _, f := range c.Faults {
		if err := known(f); err != nil {
			return c, err
		}
	}
	return c, nil
}

func known(f faults.Fault) error {
	stages := []string{""}
	for _, s := range verdict.Stages() {
		stages = append(stages, string(s))
	}
	hangs := []string{"", string(verdict.SpinIRQsOff), string(verdict.Spin), string(verdict.Idle), string(verdict.Halted)}
	words := []struct {
		key, value string
		known      []string
	}{{"class", f.Want.Class, verdict.ClassNames()}, {"stage", f.Want.Stage, stages}, {"hang", f.Want.Hang, hangs}}
	for _, c := range f.FailOn {
		words = append(words, struct {
			key, value string
			known      []string
		}{"fail-on", c, verdict.ClassNames()})
	}
	for _, w := range words {
		if !slices.Contains(w.known, w.value) {
			return blame.New(blame.Usage, fmt.Sprintf("%s: fault %s: unknown %s %s", f.Where, f.Name, w.key, w.value),
				"one of "+strings.TrimPrefix(strings.Join(w.known, ", "), ", "))
		}
	}
	return nil
}
