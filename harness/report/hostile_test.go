package report

import (
	"reflect"

	"kcatch/harness/verdict"
)

// hostileText ends what it may stand in, and does something when it gets out: it is put into every string of a result.
const hostileText = `"'></title></style></script></textarea></pre></svg><script>parent.owned=1</script><img src=x onerror=parent.owned=1>` +
	`<svg onload=parent.owned=1>{{.}}${x}<!--]]>&lt;&#60;` + "\n::error::x\n##[error]y ##vso[task.x]\x1b[31m\x00\x07\u009b\u202e\u2028\ufffe\xff\tjavascript:alert(1)"

// fill puts hostileText into every string below v, two members into every slice, and something into all the rest.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostileText)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Int:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(0xffffffff81000000)
	case reflect.Float64:
		v.SetFloat(0.25)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("fill knows no " + v.Kind().String())
	}
}

// hostileSmoke has a cell of every status and verdict with hostile text in all the other strings.
func hostileSmoke() *verdict.Smoke {
	var s verdict.Smoke
	fill(reflect.ValueOf(&s).Elem())
	s.Cells = nil
	for _, v := range []verdict.Verdict{verdict.Good, verdict.Bad, verdict.Skip, hostileText} {
		for _, status := range []verdict.CellStatus{verdict.CellPass, verdict.CellFail, verdict.CellFlaky, verdict.CellSkip, verdict.CellNotRun, hostileText} {
			var c verdict.Cell
			fill(reflect.ValueOf(&c).Elem())
			c.Status, c.Result.Verdict = status, v
			s.Cells = append(s.Cells, c)
		}
	}
	var unbooted verdict.Cell
	fill(reflect.ValueOf(&unbooted).Elem())
	unbooted.Result = nil
	s.Cells = append(s.Cells, unbooted)
	return &s
}
