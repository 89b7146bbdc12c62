package timeline

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
)

const usec = time.Microsecond

func times(end time.Duration, look Lookup, lines ...Record) []verdict.InitcallTime {
	var c Initcalls
	for _, l := range lines {
		c.Heard([]Record{l}, l.Time+time.Second-1500*usec, l.Time+time.Second+500*usec)
	}
	return c.Times(look, end)
}

// TestInitcalls: lines as 6.1 logs them (kernels good-6.1 and debian-cloud-6.1 under initcall_debug).
func TestInitcalls(t *testing.T) {
	zero, busy := 0, -16
	levels := Lookup{Level: func(f string) string { return map[string]string{"a_init": "fs", "named": "late"}[f] },
		Name: func(a uint64) string {
			if a == 0xffffffff81c0d3c0 {
				return "named"
			}
			return ""
		}}
	for _, tc := range []struct {
		name  string
		lines []Record
		want  []verdict.InitcallTime
	}{
		{"none", []Record{{"Linux version 6.1", 0}, {"initcall_debug", 5}, {"calling  nobody", 7}}, nil},
		{"one", []Record{{"calling  a_init+0x0/0x67c @ 1", 1000 * usec}, {"initcall a_init+0x0/0x67c returned 0 after 4000 usecs", 1250 * usec}},
			[]verdict.InitcallTime{{Function: "a_init", Level: "fs", Start: 1.0015, Seconds: 0.00025, Returned: &zero}}},
		{"a module's, which has the name of another's and returns an error, within another's", []Record{
			{"calling  a_init+0x0/0x67c @ 1", 1000 * usec},
			{"calling  a_init+0x0/0x1000 [loop] @ 77", 1100 * usec},
			{"initcall a_init+0x0/0x1000 [loop] returned -16 after 0 usecs", 1300 * usec},
			{"initcall a_init+0x0/0x67c returned 0 after 0 usecs", 1900 * usec}},
			[]verdict.InitcallTime{{Function: "a_init", Level: "fs", Start: 1.0015, Seconds: 0.0009, Returned: &zero},
				{Function: "a_init", Module: "loop", Start: 1.0016, Seconds: 0.0002, Returned: &busy}}},
		{"without kallsyms", []Record{{"calling  0xffffffff81c0d3c0 @ 1", 1000 * usec}, {"initcall 0xffffffff81c0d3c0 returned 0 after 0 usecs", 1250 * usec}},
			[]verdict.InitcallTime{{Function: "named", Level: "late", Start: 1.0015, Seconds: 0.00025, Returned: &zero}}},
		{"one that did not come back", []Record{{"calling  a_init+0x0/0x67c @ 1", 1000 * usec}},
			[]verdict.InitcallTime{{Function: "a_init", Level: "fs", Start: 1.0015, Seconds: 0.9985}}},
		{"the beginning is lost", []Record{{"initcall a_init+0x0/0x67c returned 0 after 500 usecs", 1500 * usec}},
			[]verdict.InitcallTime{{Function: "a_init", Level: "fs", Start: 1.0015, Seconds: 0.0005, Returned: &zero}}},
		{"a clock that goes back", []Record{{"calling  b+0x0/0x1 @ 1", 2000 * usec}, {"initcall b+0x0/0x1 returned 0 after 9 usecs", 1000 * usec}},
			[]verdict.InitcallTime{{Function: "b", Start: 1.0025, Returned: &zero}}},
	} {
		got := times(2*time.Second, levels, tc.lines...)
		for i := range got { // to the microsecond
			got[i].Start, got[i].Seconds = math.Round(got[i].Start*1e6)/1e6, math.Round(got[i].Seconds*1e6)/1e6
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
}

// TestClocks: the log's clock is held to the boot's by the looks between which each record came, and where that leaves room by the record
// before it.
func TestClocks(t *testing.T) {
	const ms = time.Millisecond
	var c Initcalls
	one := func(name string, stamp, before, now time.Duration) {
		c.Heard([]Record{{"calling  " + name + "+0x0/0x1 @ 1", stamp}}, before, now)
	}
	c.Heard([]Record{{"Linux version", 0}}, 0, 40*ms) // before its clock works
	one("a", 10*ms, 108*ms, 110*ms)                   // 100 ms ahead at most
	one("b", 20*ms, 118*ms, 122*ms)                   // that is possible
	one("c", 29*ms, 126*ms, 128*ms)                   // 99 at most
	one("d", 31*ms, 500*ms, 502*ms)                   // it has lost time: 469 at least
	one("e", 41*ms, 508*ms, 513*ms)
	want := map[string]time.Duration{"a": 110 * ms, "b": 120 * ms, "c": 128 * ms, "d": 500 * ms, "e": 510 * ms}
	for _, got := range c.Times(Lookup{}, time.Second) {
		if got.Start != want[got.Function].Seconds() {
			t.Errorf("%s: %v, want %v", got.Function, got.Start, want[got.Function])
		}
	}
}

func FuzzInitcalls(f *testing.F) {
	f.Add("calling  a_init+0x0/0x67c @ 1\ninitcall a_init+0x0/0x67c returned 0 after 4000 usecs", int64(5), int64(3))
	f.Add("initcall b+0x0/0x1 [m] returned -9999999999999999999 after 99999999999 usecs\ncalling  \x1b[1m+0x0/0x1 @ 1", int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, log string, stamp, now int64) {
		var c Initcalls
		for i, l := range strings.Split(log, "\n") {
			c.Heard([]Record{{l, time.Duration(max(stamp, 0)+int64(i)) % (1 << 62)}}, time.Duration(now)%(1<<59), time.Duration(now)%(1<<60))
		}
		const end = time.Minute
		for _, one := range c.Times(Lookup{}, end) {
			if !(one.Start >= 0 && one.Start <= end.Seconds()) || !(one.Seconds >= 0) || strings.ContainsAny(one.Function+one.Module, "\x1b<>&:\n ") || one.Function == "" {
				t.Fatalf("%+v", one)
			}
		}
	})
}

// TestManyInitcalls: a guest cannot make us keep more than a bound.
func TestManyInitcalls(t *testing.T) {
	var c Initcalls
	for i := range 2 * maxInitcalls {
		c.Heard([]Record{{fmt.Sprintf("calling  f%d+0x0/0x1 @ 1", i), usec}, {fmt.Sprintf("initcall g%d+0x0/0x1 returned 0 after 1 usecs", i), usec}}, time.Second, time.Second)
	}
	if got := len(c.Times(Lookup{}, time.Minute)); got != maxInitcalls {
		t.Errorf("%d are kept", got)
	}
}
