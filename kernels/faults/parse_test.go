package faults

import (
	"strings"
	"testing"

	"kcatch/internal/blame"
)

const oneKernel = "kernel: k\ntree: debian-6.1\n\n"

func TestParse(t *testing.T) {
	var c Corpus
	err := c.Parse("x.faults", oneKernel+`# a remark
fault: f
what: falls over
on: k
memory: 64M
smp: 2
timeout: 90s
edit: payload-middle ff x4096
frames: a b
  c
class: hang
vector: none
error-code: 0x10
warnings: 0
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Faults) != 1 {
		t.Fatalf("%d faults, want 1", len(c.Faults))
	}
	f := c.Faults[0]
	if f.Where != "x.faults:5" || f.On.Tree != "debian-6.1" || f.Memory != 64<<20 || f.CPUs != 2 || f.Timeout.Seconds() != 90 {
		t.Errorf("%+v", f)
	}
	if w := f.Want; strings.Join(w.Frames, " ") != "a b c" || *w.Vector != -1 || *w.ErrorCode != 0x10 || *w.Warnings != 0 || w.Good() {
		t.Errorf("%+v", w)
	}
	if f.Edit == nil || f.Edit.Place != "payload-middle" || len(f.Edit.Bytes) != 4096 || f.Edit.Bytes[4095] != 0xff {
		t.Errorf("%+v", f.Edit)
	}
}

// TestParseRefuses: every mistake is a usage error with its place.
func TestParseRefuses(t *testing.T) {
	const fault = oneKernel + "fault: f\nwhat: w\non: k\nclass: ok\n"
	for _, tc := range []struct{ name, text, want, hint string }{
		{"an unknown key", fault + "clas: ok\n", "x:8: unknown key clas", "did you mean class?"},
		{"a key for kernels", fault + "tree: debian-6.1\n", "x:8: unknown key tree", ""},
		{"a key twice", fault + "class: ok\n", "x:8: class: stands here for the second time", ""},
		{"no value", fault + "stage:\n", "x:8: stage: no value", ""},
		{"no key", fault + "stage init\n", `x:8: "stage init": want "key: value"`, ""},
		{"goes on with nothing", "  a\n", "x:1: a line that goes on with nothing", ""},
		{"no head", "what: w\n", "x:1: a stanza begins with kernel or fault, not with what", ""},
		{"a fault twice", fault + "\nfault: f\nwhat: w\non: k\nclass: ok\n", "x:9: fault f is at x:4 already", ""},
		{"a kernel twice", oneKernel + oneKernel, "x:4: kernel k is at x:1 already", ""},
		{"a kernel of nothing", "kernel: k\n", "x:1: kernel k has neither a tree nor a fixture", ""},
		{"an unknown kernel", oneKernel + "fault: f\non: q\n", "x:5: on: no kernel q; there are k", ""},
		{"no class", oneKernel + "fault: f\nwhat: w\non: k\n", "x:4: fault f expects no class", ""},
		{"no kernel", oneKernel + "fault: f\nwhat: w\nclass: ok\n", "x:4: fault f does not say on which kernel", ""},
		{"nothing said", oneKernel + "fault: f\non: k\nclass: ok\n", "x:4: fault f does not say what it is", ""},
		{"a size without a unit", fault + "memory: 64\n", `x:8: memory: "64": want a size in MiB, as 64M`, ""},
		{"a vector that is none", fault + "vector: 32\n", `x:8: vector: "32": want 0 to 31, or none`, ""},
		{"two words", fault + "cause: a b\n", `x:8: cause: "a b": want one word`, ""},
		{"an edit of nothing", fault + "edit: payload-middle\n", "x:8: edit: ", ""},
		{"an edit of nowhere", fault + "edit: payload-end 00\n", `x:8: edit: "payload-end": no such place`, ""},
		{"an edit beyond bounds", fault + "edit: payload-middle 00 x9999999\n", "x:8: edit: ", ""},
		{"no number of CPUs", fault + "smp: 0\n", "x:8: smp: ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c Corpus
			err := c.Parse("x", tc.text)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) || blame.Of(err) != blame.Usage {
				t.Fatalf("%v, want %s", err, tc.want)
			}
			if got := blame.Hint(err); got != tc.hint {
				t.Errorf("hint %q, want %q", got, tc.hint)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(oneKernel + "fault: f\nwhat: w\non: k\nclass: ok\nvector: 6\nedit: setup-entry fa f4 x2\n")
	f.Fuzz(func(t *testing.T, text string) {
		var c Corpus
		if err := c.Parse("x", text); err != nil && blame.Of(err) != blame.Usage {
			t.Errorf("%v: not a usage error", err)
		}
	})
}
