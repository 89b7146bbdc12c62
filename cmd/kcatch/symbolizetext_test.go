package main

import (
	"errors"
	"strings"
	"testing"

	"kcatch/gdb/trace"
)

// TestIsText: addresses stand alone in their lines, from the first one on.
func TestIsText(t *testing.T) {
	for in, want := range map[string]bool{
		"0xffffffff81000100\n": false, "\n\nffffffff81000100\nstart_kernel\n": false, "start_kernel+0x10/0x20\r\n": false,
		"startup_64+x\na b\n": false, // wrong, but not a console's
		"":                    false,
		"hello world\n":       true, "[    1.2] x\n": true, "start_kernel\n[    1.2] x\n": true, " start_kernel+0x10/0x20\n": true,
		"Decompressing\nf+0x1/0x2 [x]\n": true,
	} {
		if got := isText([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// TestCleanLines: a terminal gets no escapes, however the writes are cut.
func TestCleanLines(t *testing.T) {
	const in = "a\x1b[2Jb\r\n\nlong\nlast"
	const want = "a\\x1b[2Jb\n\nlong\nlast\n"
	for n := 1; n <= len(in); n++ {
		var out strings.Builder
		c := cleanLines{w: &out}
		for rest := in; rest != ""; {
			part := rest[:min(n, len(rest))]
			if k, err := c.Write([]byte(part)); k != len(part) || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[len(part):]
		}
		if err := c.Close(); err != nil || out.String() != want {
			t.Errorf("by %d bytes: %q, %v", n, out.String(), err)
		}
	}
	var out strings.Builder
	c := cleanLines{w: &out}
	_, _ = c.Write([]byte(strings.Repeat("x", 3*longestRest)))
	if len(c.rest) >= longestRest {
		t.Errorf("keeps %d bytes of a line that does not end", len(c.rest))
	}
}

// TestTextVerdict: a vmlinux of another build gives lines for what happens to have the same name and size; that is said.
func TestTextVerdict(t *testing.T) {
	for _, tt := range []struct {
		stats trace.Stats
		want  string
	}{
		{trace.Stats{Places: 9, Located: 9}, ""},
		{trace.Stats{Places: 9, Located: 7, Foreign: 2}, "2 of 9 places are in functions that the vmlinux does not have"},
		{trace.Stats{Places: 9, Ambiguous: 7, Foreign: 1}, "1 of 9 places"},
		{trace.Stats{Places: 9, Foreign: 9, Errors: []error{errors.New("no vmlinux")}}, ""}, // the error says more
	} {
		var out strings.Builder
		err := textVerdict(tt.stats, nil, &talk{w: &out})
		if (err != nil) != (len(tt.stats.Errors) > 0) || !strings.Contains(out.String(), tt.want) || tt.want == "" && out.Len() > 0 {
			t.Errorf("%+v: %v, %q", tt.stats, err, out.String())
		}
	}
}
