package autopsy

import (
	"errors"
	"testing"

	"kcatch/gdb/value"
)

// TestHandedCode: the error code is that of the exception that is asked for, from a function that still has it.
func TestHandedCode(t *testing.T) {
	code := func(name string, b ...byte) Variable {
		return Variable{Name: name, Argument: true, Value: value.Value{Bytes: append(b, make([]byte, 8-len(b))...)}}
	}
	lost := Variable{Name: "error_code", Argument: true, Value: value.Value{Err: errors.New("optimized out")}}
	local := code("error_code", 9)
	local.Argument = false
	const page, nested = "oops_begin page_fault_oops exc_page_fault asm_exc_page_fault !culprit f",
		"oops_begin page_fault_oops asm_exc_page_fault !exc_page_fault asm_exc_page_fault !culprit"
	for _, tc := range []struct {
		name  string
		chain string
		trap  int
		args  map[int][]Variable
		want  uint64
		ok    bool
	}{
		{"of page_fault_oops()", page, 0, map[int][]Variable{1: {code("regs", 1), code("error_code", 2)}, 2: {lost}}, 2, true},
		{"the nearest to the entry", page, 0, map[int][]Variable{1: {code("err", 3)}, 2: {code("error_code", 2)}}, 2, true},
		{"a local of that name", page, 0, map[int][]Variable{1: {local}}, 0, false},
		{"what the code at fault was given", page, 0, map[int][]Variable{4: {code("err", 7)}}, 0, false},
		{"two bytes of one", page, 0, map[int][]Variable{1: {{Name: "err", Argument: true, Value: value.Value{Bytes: []byte{1, 2}}}}}, 0, false},
		{"the outer of two", nested, 1, map[int][]Variable{1: {code("error_code", 2)}, 3: {code("error_code", 0x10)}}, 0x10, true},
		{"the outer of two, lost", nested, 1, map[int][]Variable{1: {code("error_code", 2)}}, 0, false},
	} {
		c := chainOf(0, tc.chain, false)
		got, ok := handedCode(&c, tc.trap, func(i int) []Variable { return tc.args[i] })
		if got != tc.want || ok != tc.ok {
			t.Errorf("%s: 0x%x, %v, want 0x%x, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}
