package value_test

import (
	"debug/dwarf"
	"errors"
	"regexp"
	"strings"
	"testing"

	"kcatch/gdb/value"
)

// TestText compares with gdb 13.1's print of the same object. Where gdb's text is wanted to differ, its own stands beside.
func TestText(t *testing.T) {
	p := compile(t)
	tests := []struct{ text, want, gdb string }{
		{"minus", "-7", ""},
		{"big", "4294967280", ""},
		{"negative", `-100 '\234'`, ""},
		{"object.comm", `"swapper/0"`, ""},
		{"object.name", `0xADDR "an \"object\"\n"`, ""},
		{"words", `{0xADDR "one", 0xADDR "two"}`, ""},
		{"object.mac", `{82, 84, 0, 18, 52, 86}`, `"RT"`}, // gdb takes u8 for text
		{"object.raw", `""`, ""},
		{"object.ready", "true", ""},
		{"object.color", "GREEN", ""},
		{"(enum color)-1", "BLUE", ""},
		{"(enum color)7", "(enum color)7", "7"},
		{"object.bits", "BIT_A | BIT_C", "(BIT_A | BIT_C)"},
		{"(enum bits)5", "BIT_A | 0x4", "(BIT_A | unknown: 0x4)"},
		{"object.page", "0xADDR <pages>", "(struct page *) 0xADDR <pages>"},
		{"&pages[1]", "0xADDR <pages+40>", "(struct page *) 0xADDR <pages+40>"},
		{"object.callback", "0xADDR <callback>", "(int (*)(struct object *, long)) 0xADDR <callback>"},
		{"object.error", "ERR_PTR(-ENOMEM)", "(void *) 0xfffffffffffffff4"},
		{"nothing", "NULL", "(struct object *) 0x0"},
		{"object.in", "{low = 5, high = 4097, sign = -3, wide = 554642532233, c = 120 'x'}", ""},
		{"object.numbers", "{-1, 2, -3, 4}", ""},
		{"object.same", "{0 <repeats 3 times>, 9 <repeats 3 times>, 0 <repeats 14 times>}", ""},
		{"object.matrix", "{{1, 2, 3}, {4, 5, 6}}", ""},
		{"object.list", "{next = 0xADDR <object+192>, prev = 0xADDR <object+192>}", ""},
		{"object.gfp_mask", "0xdc0", "3520"},
		{"object.flexible", "{}", "0xADDR <pointer>"},
		{"half", "0.5", ""},
		{"large", "1099511627776", ""},
		{"pages[0]._refcount", "1", "{refs = {counter = 1}}"},
		{"pages[2].flags", "0xffffffffffffffff", "18446744073709551615"},
		{"pages[2]._refcount", "0", "{refs = {counter = 0}}"},
		{"pages[2].lru", "{0}", "{next = 0x0, prev = 0x0}"},
		{"pages[1]", "{flags = 0x3, lru = {next = 0xADDR <pages+1>, prev = NULL}, index = 0, compound_head = ADDR, " +
			"slab = 0xADDR <pages+1>, tag = \"\", _mapcount = 0, page_type = 0, _refcount = 2}", ""},
	}
	var expressions []string
	for _, tc := range tests {
		expressions = append(expressions, tc.text)
	}
	gdb := p.gdb(t, expressions)
	if len(gdb) != len(tests) {
		t.Fatalf("gdb printed %d lines for %d: %q", len(gdb), len(tests), gdb)
	}
	member := regexp.MustCompile(`([{ ])\.(\w+ =)`)
	for i, tc := range tests {
		e, err := value.Parse(tc.text)
		if err != nil {
			t.Error(err)
			continue
		}
		v, err := e.Eval(p)
		if err != nil {
			t.Error(err)
			continue
		}
		got := member.ReplaceAllString(v.Text(value.TextOptions{Memory: p, Name: p.name}), "$1$2")
		if got = address.ReplaceAllString(got, "${1}ADDR"); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.text, got, tc.want)
		}
		if tc.gdb == "" {
			tc.gdb = tc.want
		}
		if address.ReplaceAllString(gdb[i], "${1}ADDR") != tc.gdb && i < len(tests)-1 {
			t.Errorf("%s: gdb has %s", tc.text, gdb[i])
		}
	}
}

// address finds the program's own addresses, which the linker chooses.
var address = regexp.MustCompile(`(0x|\b)(40[0-9a-f]{4}|4[012]\d{5})\b`)

func TestTextOptions(t *testing.T) {
	p := compile(t)
	flags := func(typedef string) []value.Flag {
		if typedef != "gfp_t" {
			return nil
		}
		return []value.Flag{{Name: "GFP_KERNEL", Mask: 0xcc0}, {Name: "__GFP_IO", Mask: 0x40}, {Name: "__GFP_ZERO", Mask: 0x100}}
	}
	for _, tc := range []struct {
		text string
		o    value.TextOptions
		want string
	}{
		{"object.gfp_mask", value.TextOptions{Flags: flags}, "GFP_KERNEL | __GFP_ZERO"},
		{"object.gfp_mask & 0", value.TextOptions{Flags: flags}, "0"},
		{"(gfp_t)0x840", value.TextOptions{Flags: flags}, "__GFP_IO | 0x800"},
		{"object.list.next", value.TextOptions{Depth: 1, Memory: p}, "0xADDR -> {.next = 0xADDR, .prev = 0xADDR}"},
		{"object.list.next", value.TextOptions{Depth: 2, Memory: p}, "0xADDR -> {.next = 0xADDR -> {.next = 0xADDR, .prev = 0xADDR}, " +
			".prev = 0xADDR -> {.next = 0xADDR, .prev = 0xADDR}}"},
		{"(struct list_head *)0x10", value.TextOptions{Depth: 1, Memory: p}, "0x10 -> <cannot read 0x10: not mapped>"},
		{"(char *)0x10", value.TextOptions{Memory: p}, "0x10 <cannot read 0x10: not mapped>"},
		{"(void *)-4095L", value.TextOptions{}, "ERR_PTR(-4095)"},
		{"(void *)-517L", value.TextOptions{}, "ERR_PTR(-EPROBE_DEFER)"},
		{"object.same", value.TextOptions{Limit: 20}, "{0 <repeats 3 ..."},
		{"pages[2].flags", value.TextOptions{Limit: 2}, "..."},
		{"pages[0].flags", value.TextOptions{}, "4096"},
		{"pages[0].flags", value.TextOptions{Member: "flags"}, "0x1000"},
	} {
		e, err := value.Parse(tc.text)
		if err != nil {
			t.Error(err)
			continue
		}
		v, err := e.Eval(p)
		if got := address.ReplaceAllString(v.Text(tc.o), "${1}ADDR"); got != tc.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tc.text, err, got, tc.want)
		}
	}
	for _, tc := range []struct {
		v    value.Value
		want string
	}{
		{value.Value{Err: value.ErrOptimizedOut}, "<optimized out>"},
		{value.Value{Err: errors.New("rbx is not known\n")}, "<cannot read: rbx is not known?>"},
		{value.Value{Err: &value.ReadError{Addr: 0x10, Err: errNotMapped}}, "<cannot read 0x10: not mapped>"},
		{value.Value{Type: p.variables["seven"].Type}, "<not known>"},
		{value.Value{}, "void"},
	} {
		if got := tc.v.Text(value.TextOptions{}); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.v, got, tc.want)
		}
	}
}

// TestTypeName compares with gdb's whatis and ptype, which give a type as C.
func TestTypeName(t *testing.T) {
	p := compile(t)
	for name, want := range map[string]string{
		"object": "struct object", "pages": "struct page [3]", "pointer": "struct object *", "words": "const volatile char * const [2]",
		"big": "unsigned int", "large": "long", "byte": "unsigned char",
	} {
		if got := value.TypeName(p.variables[name].Type); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	fn := &dwarf.PtrType{Type: &dwarf.FuncType{}}
	for _, tc := range []struct {
		typ  dwarf.Type
		want string
	}{
		{&dwarf.PtrType{Type: &dwarf.FuncType{ReturnType: fn}}, "void (*(*x)(void))(void)"},
		{&dwarf.QualType{Qual: "const", Type: fn}, "void (* const x)(void)"},
		{&dwarf.ArrayType{Type: fn, Count: 3}, "void (*x[3])(void)"},
	} {
		if got := value.Declare(tc.typ, "x"); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
	object := p.types["struct object"].(*dwarf.StructType)
	for _, f := range object.Field {
		want := map[string]string{"name": "const char *name", "comm": "char comm[16]", "callback": "int (*callback)(struct object *, long)",
			"matrix": "int matrix[2][3]", "flexible": "int flexible[0]", "bits": "enum bits bits", "gfp_mask": "gfp_t gfp_mask"}[f.Name]
		if got := value.Declare(f.Type, f.Name); want != "" && got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, tc := range []struct {
		typ  dwarf.Type
		want string
	}{
		{nil, "void"},
		{&dwarf.PtrType{Type: &dwarf.VoidType{}}, "void *"},
		{&dwarf.PtrType{Type: &dwarf.FuncType{}}, "void (*)(void)"},
		{&dwarf.PtrType{Type: &dwarf.ArrayType{Type: object, Count: 2}}, "struct object (*)[2]"},
		{&dwarf.PtrType{Type: &dwarf.FuncType{ReturnType: &dwarf.PtrType{Type: &dwarf.FuncType{}}}}, "void (*(*)(void))(void)"},
		{&dwarf.ArrayType{Type: &dwarf.ArrayType{Type: object, Count: 3}, Count: 2}, "struct object [2][3]"},
		{&dwarf.StructType{Kind: "union"}, "union {...}"},
	} {
		if got := value.TypeName(tc.typ); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

func FuzzText(f *testing.F) {
	p := compile(f)
	f.Add("struct object", []byte("0123456789abcdefghijklmnopqrstuvwxyz"), 3, 100)
	f.Add("struct page", make([]byte, 40), 1, 0)
	f.Add("enum bits", []byte{255, 0, 0, 0}, 0, 5)
	f.Fuzz(func(t *testing.T, typ string, b []byte, depth, limit int) {
		v := value.Value{Type: p.types[typ], Bytes: b}
		got := v.Text(value.TextOptions{Memory: p, Name: p.name, Depth: depth, Limit: limit})
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("not clean: %q", got)
		}
		if limit > 3 && len(got) > limit {
			t.Errorf("%d bytes of %d", len(got), limit)
		}
	})
}
