package main

import "testing"

// TestCompareAnswers: what is the same, what has an explanation, and that a difference is seen.
func TestCompareAnswers(t *testing.T) {
	const (
		head    = `{"schema":"kcatch/symbolize/v1","address":"0x1","frames":[`
		inlined = head + `{"function":"f","symbol":"g.isra.0","file":"include/a.h","line":7,"inline":true},{"function":"g","symbol":"g.isra.0","file":"b.c","line":9,"inline":false}]}`
		theirs  = "f\n/build/./include/a.h:7:3\ng.isra.0\n/build/b.c:9:1\n\n"
	)
	symbols := map[string]uint64{"g.isra.0": 16, "other": 16, "elsewhere": 32}
	for _, tt := range []struct {
		name, ours, theirs string
		equal, unknown     int
		named, differ      int
	}{
		{"equal", inlined, theirs, 1, 0, 0, 0},
		{"another line", inlined, "f\n/build/include/a.h:8:3\ng.isra.0\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"another symbol of the address", inlined, "f\n/build/include/a.h:7:3\nother\n/build/b.c:9:1\n\n", 1, 0, 0, 0},
		{"a symbol elsewhere", inlined, "f\n/build/include/a.h:7:3\nelsewhere\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"another file", inlined, "f\n/build/include/aa.h:7:3\ng.isra.0\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"the end of a name only", inlined, "f\n/build/include/a.h:7:3\ng.isra.0\n/build/bb.c:9:1\n\n", 0, 0, 0, 1},
		{"another function", inlined, "h\n/build/include/a.h:7:3\ng.isra.0\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"a frame less", inlined, "g.isra.0\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"neither knows", head + "]}", "??\n??:0:0\n\n", 0, 1, 0, 0},
		{"a mark", head + "]}", "__kprobes_text_end\n??:0:0\n\n", 0, 1, 1, 0},
		{"a symbol only", head + `{"function":"f","symbol":"f","file":"","line":0,"inline":false}]}`, "f\n??:0:0\n\n", 0, 1, 0, 0},
		{"a file of the symbol table", head + `{"function":"f","symbol":"f","file":"","line":0,"inline":false}]}`, "f\nx.c:0:0\n\n", 0, 1, 1, 0},
		{"only one has a line", head + "]}", "f\n/build/b.c:9:1\n\n", 0, 0, 0, 1},
		{"padding with a line", head + `{"function":"","symbol":"","file":"b.c","line":9,"inline":false}]}`, "??\n/build/b.c:9:0\n\n", 1, 0, 0, 0},
	} {
		c, err := compareAnswers([]string{"0x1"}, symbols, []byte(tt.ours+"\n"), []byte(tt.theirs))
		if err != nil || c.equal != tt.equal || c.unknown != tt.unknown || c.named != tt.named || len(c.unexplained) != tt.differ {
			t.Errorf("%s: %v, %+v", tt.name, err, c)
		}
	}
	for _, bad := range []string{"f\n", "f\nb.c\n\n", "f\nb.c:1:1\n\nf\nb.c:1:1\n\n"} {
		if c, err := compareAnswers([]string{"0x1"}, symbols, []byte(inlined+"\n"), []byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, c)
		}
	}
}
