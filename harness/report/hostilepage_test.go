package report

import (
	"reflect"

	"kcatch/harness/verdict"
)

// hostileText ends what it may stand in, and does something when it gets out: it is put into every string of a result.
const hostileText = `"'></title></style></script></textarea></pre></svg><script>parent.owned=1</script><img src=x onerror=parent.owned=1>` +
	`<svg onload=parent.owned=1>{{.}}${x}<!--]]>&lt;&#60;` + "\n::error::x\n##[error]y ##vso[task.x]\x1b[31m\x00\x07\u009b\u202e\u2028\ufffe\xff\tjavascript:alert(1)"

// hostilePage has a cell of every status and verdict with hostile text in all the other strings.
func hostilePage() *verdict.Smoke {
	var s verdict.Smoke
	fill(reflect.ValueOf(&s).Elem(), hostileText)
	s.Cells = nil
	for _, v := range []verdict.Verdict{verdict.Good, verdict.Bad, verdict.Skip, hostileText} {
		for _, status := range []verdict.CellStatus{verdict.CellPass, verdict.CellFail, verdict.CellFlaky, verdict.CellSkip, verdict.CellNotRun, hostileText} {
			var c verdict.Cell
			fill(reflect.ValueOf(&c).Elem(), hostileText)
			c.Status, c.Result.Verdict = status, v
			s.Cells = append(s.Cells, c)
		}
	}
	var unbooted verdict.Cell
	fill(reflect.ValueOf(&unbooted).Elem(), hostileText)
	unbooted.Result = nil
	s.Cells = append(s.Cells, unbooted)
	return &s
}
