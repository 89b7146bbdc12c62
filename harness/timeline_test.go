package harness

import (
	"slices"
	"testing"

	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestTimeline: every initcall of the kernel's tables is there with its level, and two witnesses agree: the initcalls by the log's clock lie
// in the stage that was seen in RAM.
func TestTimeline(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Good61)
	p := plan(t, k)
	p.Timeline = true
	r := boots(t, p)
	f, err := vmlinux.Open(k.Vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for _, c := range r.Initcalls {
		if c.Returned == nil || c.Level == "" && linux.InitcallLevels(f)[c.Function] != "" {
			t.Errorf("%+v", c)
		}
		got = append(got, c.Function)
	}
	for name := range linux.InitcallLevels(f) {
		if !slices.Contains(got, name) {
			t.Errorf("%s is in the kernel's tables and not in the timeline", name)
		}
	}
	spans := verdict.Spans(r.Timeline)
	at := func(s verdict.Stage) verdict.Span {
		i := slices.IndexFunc(spans, func(span verdict.Span) bool { return span.Stage == s })
		if i < 0 {
			t.Fatalf("no stage %s: %+v", s, r.Timeline)
		}
		return spans[i]
	}
	if len(got) == 0 {
		t.Fatal("no initcall")
	}
	const slack = 0.05 // of a host that is too busy to look
	stage, last := at(verdict.Initcall), r.Initcalls[len(r.Initcalls)-1]
	if begin, end := r.Initcalls[0].Start, last.Start+last.Seconds; begin < stage.Begin-stage.Within-slack || end > stage.Begin+stage.Seconds+slack || end < begin {
		t.Errorf("initcalls from %.4f to %.4f s by the log; the stage by RAM: %+v", begin, end, stage)
	}
	at(verdict.Firmware)
	at(verdict.Decompressor)
	at(verdict.StartKernel)
	if s := at(verdict.Userspace); s.Begin+s.Seconds > r.Timing.Boot+0.001 {
		t.Errorf("%+v of a boot of %.4f s", s, r.Timing.Boot)
	}
}

// TestTimelineCommandLine: initcall_debug is there for a timeline only, and the plan's own words come last.
func TestTimelineCommandLine(t *testing.T) {
	for want, p := range map[string]Plan{
		"console=ttyS0":                           {},
		"console=ttyS0 quiet":                     {Append: "quiet"},
		"console=ttyS0 initcall_debug":            {Timeline: true},
		"console=ttyS0 initcall_debug loglevel=1": {Timeline: true, Append: "loglevel=1"},
	} {
		if got := commandLine(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
