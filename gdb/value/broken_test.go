package value_test

import (
	"debug/dwarf"
	"fmt"
	"strings"
	"testing"

	"kcatch/gdb/value"
)

// Types that no compiler writes. A file's entries may refer to one another as they like, so that a few of them make a type of any size.

// one is a scope with the variable x, in memory that is 1 all over.
type one struct{ x dwarf.Type }

func (o one) ReadMemory(p []byte, _ uint64) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

func (o one) Variable(string) (value.Value, bool, error) {
	return value.Value{Type: o.x, Addr: 0x1000, HasAddr: true}, true, nil
}

func (o one) Type(name string) (dwarf.Type, error) { return nil, fmt.Errorf("no type %s", name) }

func (o one) Complete(t dwarf.Type) (dwarf.Type, error) { return t, nil }

var uint32Type = &dwarf.UintType{BasicType: dwarf.BasicType{CommonType: dwarf.CommonType{ByteSize: 4, Name: "unsigned int"}}}

// eval is what becomes of an expression about a variable x of type t: a text or an error.
func eval(t *testing.T, typ dwarf.Type, text string) string {
	t.Helper()
	e, err := value.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Eval(one{typ})
	if err != nil {
		return err.Error()
	}
	return v.Text(value.TextOptions{})
}

// TestBrokenBitField: a bit field is in a storage unit of at most 16 bytes, whatever its entry says.
func TestBrokenBitField(t *testing.T) {
	for _, f := range []dwarf.StructField{
		{BitSize: 1, ByteSize: 1<<60 - 1, BitOffset: -6}, // the sum of bits overflows
		{BitSize: 1, ByteSize: 1<<60 - 1},
		{BitSize: 1, ByteSize: 1 << 40},
		{BitSize: 1, ByteSize: -1},
		{BitSize: 1, BitOffset: 1 << 62},
		{BitSize: 1, BitOffset: -1 << 62, ByteSize: 1},
		{BitSize: -1, DataBitOffset: 1},
		{BitSize: 1<<63 - 1, DataBitOffset: 1},
		{BitSize: 65, ByteSize: 16},
	} {
		f.Name, f.Type = "bits", uint32Type
		s := &dwarf.StructType{CommonType: dwarf.CommonType{ByteSize: 64}, StructName: "s", Kind: "struct",
			Field: []*dwarf.StructField{&f, {Name: "more", Type: uint32Type, ByteOffset: 60}}}
		if got := eval(t, s, "x.bits"); got != "x.bits: a bit field outside of its structure" {
			t.Errorf("%+v: %s", f, got)
		}
		if got := eval(t, s, "x"); got != "{.bits = <not known>, .more = 16843009}" {
			t.Errorf("%+v: %s", f, got)
		}
	}
}

// TestBrokenStructure: anonymous structures that hold six of the next each, 16 levels deep.
func TestBrokenStructure(t *testing.T) {
	s := &dwarf.StructType{CommonType: dwarf.CommonType{ByteSize: 8}, Kind: "struct"}
	for range 16 {
		outer := &dwarf.StructType{CommonType: dwarf.CommonType{ByteSize: 8}, Kind: "struct"}
		for range 6 {
			outer.Field = append(outer.Field, &dwarf.StructField{Type: s})
		}
		s = outer
	}
	if got := eval(t, s, "x.nobody"); got != "too long to evaluate" {
		t.Error(got)
	}
	if got := eval(t, s, "x"); got != "{...}" {
		t.Error(got)
	}
}

// TestBrokenFunction: functions with 16 parameters, each a pointer to the next function.
func TestBrokenFunction(t *testing.T) {
	var typ dwarf.Type = uint32Type
	for range 7 {
		f := &dwarf.FuncType{ReturnType: uint32Type}
		for range 16 {
			f.ParamType = append(f.ParamType, typ)
		}
		typ = &dwarf.PtrType{CommonType: dwarf.CommonType{ByteSize: 8}, Type: f}
	}
	for _, got := range []string{value.TypeName(typ), value.Declare(typ, "x")} {
		if len(got) > 1024 || !strings.HasPrefix(got, "unsigned int (*") || !strings.Contains(got, "...") {
			t.Errorf("%d bytes: %.200s", len(got), got)
		}
	}
}

// TestDefaultInDefault: the text of GNU's ?: has its condition once.
func TestDefaultInDefault(t *testing.T) {
	text := "x"
	for range 30 {
		text = "(" + text + " ?: 1)"
	}
	e, err := value.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Expanded(); "("+got+")" != text {
		t.Errorf("%d bytes: %.200s", len(got), got)
	}
	if got := eval(t, uint32Type, text); got != "16843009" {
		t.Error(got)
	}
	if got := eval(t, uint32Type, "(x - x) ?: 3"); got != "3" {
		t.Error(got)
	}
}
