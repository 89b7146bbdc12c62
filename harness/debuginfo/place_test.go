package debuginfo

import (
	"encoding/json"
	"testing"

	"kcatch/gdb/trace"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

func TestPlace(t *testing.T) {
	inner := vmlinux.Location{Function: "in", File: "a.h", Line: 1, Column: 2, Inline: true}
	outer := vmlinux.Location{Function: "f", File: "a.c", Line: 3}
	for _, tt := range []struct {
		found trace.Found
		want  string
	}{
		{trace.Found{Line: 7, Text: "f.isra.0+0x1/0x2", Addr: 0xffffffff81000001, Place: trace.Place{Kind: unwind.Return, Guess: true, Module: "m"},
			Answer: trace.Answer{Symbol: "f.isra.0", Offset: 1, Size: 2, Frames: []vmlinux.Location{inner, outer}}},
			`{"schema":"kcatch/symbolize/v1","address":"0xffffffff81000001","frames":[` +
				`{"function":"in","symbol":"f.isra.0","file":"a.h","line":1,"inline":true,"column":2,"offset":1,"size":2},` +
				`{"function":"f","symbol":"f.isra.0","file":"a.c","line":3,"inline":false,"offset":1,"size":2}],` +
				`"text":"f.isra.0+0x1/0x2","input_line":7,"module":"m","return":true,"guess":true}`},
		{trace.Found{Line: 1, Text: "f+0x1/0x2", Place: trace.Place{Kind: unwind.Exact},
			Answer: trace.Answer{Several: []vmlinux.Location{outer, outer, outer, outer, outer}, Reason: "several"}},
			`{"schema":"kcatch/symbolize/v1","address":"0x0","frames":[],"reason":"ambiguous: a.c:3, a.c:3, a.c:3, a.c:3","text":"f+0x1/0x2","input_line":1}`},
		{trace.Found{Line: 1, Text: "f+0x1/0x2", Answer: trace.Answer{Reason: "not in the vmlinux"}},
			`{"schema":"kcatch/symbolize/v1","address":"0x0","frames":[],"reason":"not in the vmlinux","text":"f+0x1/0x2","input_line":1}`},
	} {
		got, err := json.Marshal(Place(tt.found))
		if err != nil || string(got) != tt.want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, tt.want)
		}
	}
}
