package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestValuesAreWholeOffATerminal: a value is cut to a terminal's width, and whole in a file or a pipe.
func TestValuesAreWholeOffATerminal(t *testing.T) {
	vars := []verdict.Arg{{Name: "zone", Type: "struct zone *", Value: "0xffff -> {" + strings.Repeat(".member = 1, ", 50) + "}"}}
	shown := func(s Style) string {
		x := &text{style: s}
		x.variables(vars)
		return strings.TrimSuffix(x.b.String(), "\n")
	}
	if got := shown(Style{}); !strings.HasSuffix(got, vars[0].Value) {
		t.Errorf("%s", got)
	}
	if got := shown(Style{Width: 80}); len([]rune(got)) != 80 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d columns: %s", len([]rune(got)), got)
	}
}
