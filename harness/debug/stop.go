package debug

import (
	"strings"

	"kcatch/gdb/kernel"
	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/survey"
	"kcatch/harness/watch"
)

// stops is the observer that holds the machine at the first of some places.
type stops struct {
	breaks []survey.Break
	hit    string // the one that was passed; empty: none yet
}

func (s *stops) Places(k *kernel.Kernel) (places []harness.Place, err error) {
	for _, b := range s.breaks {
		at, err := b.Addresses(k)
		if err != nil {
			return nil, err
		}
		places = append(places, harness.Place{Links: at, Passed: func(*autopsy.Scene, watch.Hit) (watch.Enough, error) {
			s.hit = b.Text
			return watch.EnoughOfIt, harness.ErrHold
		}})
	}
	return places, nil
}

func (s *stops) Over(*autopsy.Scene) []autopsy.Chain { return nil }

// names are all of them, for "--break a, b was not reached".
func (s *stops) names() string {
	var names []string
	for _, b := range s.breaks {
		names = append(names, b.Text)
	}
	return strings.Join(names, ", ")
}
