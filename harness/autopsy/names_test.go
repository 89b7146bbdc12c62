package autopsy

import (
	"fmt"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/value"
)

// chainOfNames is the innermost function, and two that called it. Numbers are constants in no memory.
func chainOfNames() *names {
	number := func(n byte) value.Value {
		v := value.Constant(nil, nil)
		v.Err, v.Bytes = nil, []byte{n}
		return v
	}
	scope := func(function string, locals map[string]value.Value, kept map[string]string) namedFrame {
		return namedFrame{&FrameScope{mem: noMemory{}, locals: locals, kept: kept}, function}
	}
	lost := value.Value{Err: value.ErrOptimizedOut}
	frames := []namedFrame{
		scope("inner", map[string]value.Value{"page": lost}, nil),
		scope("middle", map[string]value.Value{"zone": number(1), "page": number(2)}, map[string]string{"zone": "in rbx"}),
		scope("outer", map[string]value.Value{"zone": number(3), "cmdline_p": {Addr: 0x1000, HasAddr: true}}, nil),
	}
	return &names{FrameScope: frames[0].FrameScope, frames: frames}
}

// TestNamesOfCallers: a name is the innermost function's that has it, each for itself, and a variable that has no value hides
// the others of its name.
func TestNamesOfCallers(t *testing.T) {
	n := chainOfNames()
	if v, ok, err := n.Variable("zone"); !ok || err != nil || v.Bytes[0] != 1 {
		t.Errorf("zone: %v, %v, %v; want middle's", v, ok, err)
	}
	if v, ok, _ := n.Variable("cmdline_p"); !ok || !v.HasAddr {
		t.Errorf("cmdline_p: %v, %v", v, ok)
	}
	if v, ok, _ := n.Variable("page"); !ok || v.Err == nil {
		t.Errorf("page: %v, %v; inner has it, without a value", v, ok)
	}
	if got, want := fmt.Sprint(n.notes(false)), "[zone is the variable of middle() cmdline_p is the variable of outer()]"; got != want {
		t.Errorf("notes %s, want %s", got, want)
	}
	if got, want := n.inNoMemory(), "zone is in rbx in middle(), page is the variable of inner()"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAreaOfUserMode: a good boot is stopped anywhere, in ring 3 as well.
func TestAreaOfUserMode(t *testing.T) {
	const area = 0xffff88800f600000
	for _, r := range []amd64.Registers{{GSBase: area}, {GSBase: area, KernelGSBase: 1 << 63}, {GSBase: 0x7f0000000000, KernelGSBase: area}, {KernelGSBase: area}} {
		if got := areaOf(r); got != area {
			t.Errorf("gs 0x%x, kernel gs 0x%x: area 0x%x", r.GSBase, r.KernelGSBase, got)
		}
	}
	if got := areaOf(amd64.Registers{}); got != 0 {
		t.Errorf("before there is any: 0x%x", got)
	}
}
