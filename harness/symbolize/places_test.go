package symbolize

import (
	"reflect"
	"strings"
	"testing"

	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

func open(t *testing.T, path string) *vmlinux.File {
	t.Helper()
	f, err := vmlinux.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestPlaces: under a slide an address is the run-time one, and a function is where it runs.
func TestPlaces(t *testing.T) {
	const slide = 0x1e000000
	k := Kernel{File: open(t, "../../gdb/vmlinux/testdata/tiny.elf"), Slide: slide}
	s, ok := k.File.Symbol("start_kernel")
	if !ok || s.Size < 16 {
		t.Fatalf("start_kernel: %+v", s)
	}
	answers := k.Places([]Word{
		{Address: uint64(s.Addr) + slide + 8}, {Function: "start_kernel", Offset: 8}, {Function: "start_kernel", Offset: 8, Size: s.Size},
		{Address: uint64(s.Addr) + 8}, {Function: "nothing"}, {Function: "start_kernel", Offset: 8, Size: 0x7777}, {Function: "start_kernel", Offset: 0x7777},
	})
	for i := range 3 {
		a := answers[i]
		if a.Err != nil || len(a.Places) != 1 {
			t.Fatalf("answer %d: %+v", i, a)
		}
		p := a.Places[0]
		last := p.Frames[len(p.Frames)-1]
		if uint64(p.Address) != uint64(s.Addr)+slide+8 || last.Function != "start_kernel" || last.Symbol != "start_kernel" || last.Offset != 8 ||
			last.Size != s.Size || last.File != "init/main.c" || last.Line == 0 || last.Inline || p.Reason != "" {
			t.Errorf("answer %d: %+v", i, p)
		}
	}
	if p := answers[3].Places[0]; len(p.Frames) != 0 || p.Frames == nil || p.Reason != "not kernel code" {
		t.Errorf("a link-time address: %+v", p)
	}
	for i, want := range map[int]string{4: "no such function", 5: "has no size 0x7777", 6: "past the function's end"} {
		if a := answers[i]; a.Err == nil || !strings.Contains(a.Err.Error(), want) || len(a.Places) != 0 || blame.Of(a.Err) != blame.Usage {
			t.Errorf("answer %d: %+v, want %q", i, a, want)
		}
	}
}

// TestPlacesReturn: a return address has the lines of the byte before it, and the offset and the address of its own; where a word says
// that a function begins, nothing was called before.
func TestPlacesReturn(t *testing.T) {
	file := open(t, "../../gdb/vmlinux/testdata/tiny.elf")
	s, _ := file.Symbol("start_kernel")
	const slide = 0x1e000000
	at := uint64(s.Addr) + slide
	for offset := uint64(1); offset <= s.Size; offset++ {
		for _, w := range []Word{{Address: at + offset}, {Function: "start_kernel", Offset: offset, Size: s.Size}} {
			got := Kernel{File: file, Slide: slide, Return: true}.Places([]Word{w})[0]
			want := Kernel{File: file, Slide: slide}.Places([]Word{{Address: at + offset - 1}})[0]
			if got.Err != nil || len(got.Places) != 1 || len(want.Places) != 1 || len(got.Places[0].Frames) == 0 {
				t.Fatalf("%+v: %+v", w, got)
			}
			p, before := got.Places[0], want.Places[0]
			before.Address, before.Return = verdict.Hex(at+offset), true
			for i := range before.Frames {
				before.Frames[i].Offset++
			}
			if !reflect.DeepEqual(p, before) {
				t.Errorf("%+v:\n%+v\nwant %+v", w, p, before)
			}
		}
	}
	begin := Kernel{File: file, Return: true}.Places([]Word{{Function: "start_kernel"}})[0]
	if p := begin.Places[0]; p.Return || p.Frames[0].Symbol != "start_kernel" || p.Frames[0].Offset != 0 {
		t.Errorf("%+v", p)
	}
}

// TestPlacesStripped: without debug information the symbol is told, and why there is no line.
func TestPlacesStripped(t *testing.T) {
	k := Kernel{File: open(t, "../../gdb/vmlinux/testdata/tiny-stripped.elf")}
	p := k.Places([]Word{{Function: "start_kernel"}})[0].Places[0]
	if len(p.Frames) != 1 || p.Frames[0].Function != "start_kernel" || p.Frames[0].File != "" || p.Frames[0].Line != 0 || p.Reason != "vmlinux has no debug information" {
		t.Errorf("%+v", p)
	}
}

// TestPlacesOfOneName: static functions of one name are told apart by their sizes; without one each is a place.
func TestPlacesOfOneName(t *testing.T) {
	k := Kernel{File: open(t, fixtures.Find(t, fixtures.Good61).Vmlinux)}
	const name = "copy_overflow.part.0" // in several files
	all := k.File.Functions(name)
	for _, other := range []string{"name_show", "kzalloc.constprop.0", "cpumask_weight.constprop.0"} {
		if len(all) < 2 {
			all = k.File.Functions(other)
		}
	}
	if len(all) < 2 {
		t.Fatalf("%d functions of a name", len(all))
	}
	if a := k.Places([]Word{{Function: all[0].Name}})[0]; a.Err != nil || len(a.Places) != len(all) {
		t.Errorf("%s: %d places of %d, %v", all[0].Name, len(a.Places), len(all), a.Err)
	}
	for _, one := range all {
		fit := 0
		for _, other := range all {
			if other.Span == one.Span || other.Size == one.Span {
				fit++
			}
		}
		a := k.Places([]Word{{Function: one.Name, Size: one.Span}})[0]
		if a.Err != nil || len(a.Places) != fit {
			t.Errorf("%s/0x%x: %d places, want %d", one.Name, one.Span, len(a.Places), fit)
		}
	}
}
