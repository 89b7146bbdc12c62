package report

import (
	"bytes"
	"reflect"
	"testing"

	"kcatch/harness/verdict"
)

// TestTextIsInactive: a result in which every string is a guest's is text for a terminal and for a CI's log, and no more: also one that
// was read from a file.
func TestTextIsInactive(t *testing.T) {
	for _, attack := range attacks {
		var r verdict.Result
		fill(reflect.ValueOf(&r).Elem(), attack)
		smoke := hostileSmoke(attack)
		for _, v := range []verdict.Verdict{verdict.Good, verdict.Bad, verdict.Skip} {
			r.Verdict = v
			var b bytes.Buffer
			if err := Text(&b, &r, Style{}); err != nil {
				t.Fatal(err)
			}
			if err := SmokeText(&b, smoke, Style{}); err != nil {
				t.Fatal(err)
			}
			if err := nothingActs(b.String(), false); err != nil {
				t.Errorf("%s, %q: %v", v, attack, err)
			}
		}
	}
}
