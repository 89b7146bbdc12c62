package main

import (
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, tc := range []struct {
		values  []float64
		q, want float64
	}{{nil, 0.5, 0}, {[]float64{3}, 0.99, 3}, {[]float64{3, 1, 2}, 0.5, 2}, {hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}} {
		if got := quantile(tc.values, tc.q); got != tc.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", tc.values, tc.q, got, tc.want)
		}
	}
}

// Every way to be wrong is counted, and shows.
func TestMarkdown(t *testing.T) {
	good := end{verdict: verdict.Good, class: verdict.OK}
	died := end{verdict: verdict.Bad, class: verdict.Panic, function: "f"}
	other := end{verdict: verdict.Bad, class: verdict.Oops, function: "f"}
	none := end{err: "qemu ended"}
	r := report{begun: time.Unix(0, 0), cpus: 2, qemu: "QEMU 7", series: []*series{
		{name: "good", what: "lives", want: good, boots: 3, got: []end{good, died, none}, seconds: []float64{1, 2, 3}},
		{name: "panic", what: "dies", want: died, boots: 4, got: []end{died, good, other, other}, seconds: []float64{1, 1, 1, 1}, left: []string{"boot 2: process 7 qemu"}},
	}}
	want := `1970-01-01 00:00 UTC, 2 CPUs, with 2 busy loops beside it; QEMU 7; 0s in all.

| series | what the kernel does | boots | as expected | false deaths | missed deaths | wrong name | no verdict | left behind | median | p99 | max |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| ok | lives | 3 | 1 | 1 | 0 | 0 | 1 | 0 | 2.00 s | 3.00 s | 3.00 s |
| panic:f | dies | 4 | 1 | 0 | 1 | 2 | 0 | 1 | 1.00 s | 1.00 s | 1.00 s |

- good: 1 of 3 gave no verdict: qemu ended
- good: 1 of 3 gave panic:f
- panic: 2 of 4 gave oops:f
- panic: 1 of 4 gave ok
- panic: boot 2: process 7 qemu
`
	if got := r.markdown(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if r.right() {
		t.Error("this campaign is right")
	}
	r.series = []*series{{want: good, boots: 2, got: []end{good, good}}}
	if !r.right() {
		t.Error("two good boots of two are not right")
	}
}

func TestBetween(t *testing.T) {
	got, err := between("a\n"+beginMark+"old\n"+endMark+"z\n", "new\n")
	if want := "a\n" + beginMark + "\nnew\n\n" + endMark + "z\n"; err != nil || got != want {
		t.Errorf("between = %q, %v", got, err)
	}
	for _, doc := range []string{"", beginMark, endMark + beginMark} {
		if _, err := between(doc, "x"); err == nil || !strings.Contains(err.Error(), "campaign: end") {
			t.Errorf("between(%q): %v", doc, err)
		}
	}
}
