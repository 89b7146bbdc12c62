package report

import (
	"bytes"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestVariables: a line a variable, arguments first, long ones cut, those without a value on one line, and nothing of the guest's
// reaches the terminal as it is.
func TestVariables(t *testing.T) {
	frame := verdict.Frame{Function: "f", File: "kernel/f.c", Line: 7, FoundBy: "regs", Args: []verdict.Arg{
		{Name: "i", Type: "int", Value: "1", Local: true},
		{Name: "zone", Type: "struct zone *", Declaration: "struct zone *zone", Value: "0xffffffff81aa0640 <contig_page_data>"},
		{Name: "gone", Type: "int", Value: "<optimized out>"},
		{Name: "lost", Type: "long", Value: "<cannot read: register rdi is not known in this frame>", Local: true},
		{Name: "lost", Type: "long", Value: "<optimized out>", Local: true}, // of another block
		{Name: "__vpp_verify", Type: "void *", Value: "<optimized out>", Local: true},
		{Name: "evil\x1b[2J", Type: "char *", Declaration: "char *evil\x1b[2J", Value: "\"::error::\x1b[31m\""},
		{Name: "fn", Type: "int (*)(void)", Declaration: "int (*fn)(void)", Value: "0xffffffff81000000 <f>"},
		{Name: "g", Type: "void (*(*)(int))(int)", Declaration: "void (*(*g)(int))(int)", Value: "NULL"},
		{Name: "evil\x1b[2J", Type: "long", Value: "2"},
		{Name: "long", Type: "char [400]", Declaration: "char long[400]", Value: strings.Repeat("x", 400)},
	}}
	var b bytes.Buffer
	err := Text(&b, &verdict.Result{Verdict: verdict.Bad, Class: verdict.Oops, Summary: "oops: x", CPUs: []verdict.CPU{{Frames: []verdict.Frame{frame}}}}, Style{Width: 60})
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(b.String(), "kernel/f.c:7")
	got, _, _ = strings.Cut(strings.TrimLeft(got, " \n"), "\n\n")
	want := `struct zone *zone = 0xffffffff81aa0640 <contig_page…
        char *evil\x1b[2J = "::error::\x1b[31m"
        int (*fn)(void) = 0xffffffff81000000 <f>
        void (*(*g)(int))(int) = NULL
        long evil\x1b[2J = 2
        char long[400] = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        int i = 1
        no value: gone, lost`
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
