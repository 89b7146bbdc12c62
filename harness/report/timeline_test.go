package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestTimelineText: one line for the stages, a line for each of the longest initcalls, nothing for a boot without either, and no
// escapes of a hostile name.
func TestTimelineText(t *testing.T) {
	show := func(r *verdict.Result) string {
		var b strings.Builder
		if err := Text(&b, r, Style{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	zero, bad := 0, -19
	r := verdict.Result{Verdict: verdict.Good, Summary: "6.1 reached init", Details: []string{"q35"}}
	bare := show(&r)
	r.Timeline = []verdict.Mark{{Stage: "firmware"}, {Stage: "startup_64", Seconds: 0.05}, {Stage: "start_kernel", Seconds: 0.0543}, {Stage: "end", Seconds: 1.2543, Event: true}}
	r.Initcalls = []verdict.InitcallTime{{Function: "a_init", Level: "subsys", Seconds: 0.004, Returned: &zero}, {Function: "b_init", Module: "mod", Seconds: 0.1, Returned: &bad}}
	for range textInitcalls {
		r.Initcalls = append(r.Initcalls, verdict.InitcallTime{Function: "c\x1b[31m::x", Seconds: 0.02})
	}
	want := bare + `     firmware 50, startup_64 4.3, start_kernel 1200 ms

the longest of 12 initcalls, which took 304 ms in all:
       100 ms            b_init [mod]  returned -19
` + strings.Repeat("        20 ms            c\\x1b[31m::x  did not come back\n", textInitcalls-1)
	if got := show(&r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
