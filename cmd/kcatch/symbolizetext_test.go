package main

import (
	"strings"
	"testing"
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
