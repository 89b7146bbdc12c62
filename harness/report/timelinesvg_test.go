package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

func svg(t *testing.T, r *verdict.Result, size TimelineSize) string {
	t.Helper()
	var b bytes.Buffer
	if err := TimelineSVG(&b, r, size); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readXML reads all of an XML document, as a browser does that opens the picture as a file.
func readXML(t *testing.T, s string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(s)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	}
}

func TestTimelineSVG(t *testing.T) {
	zero, failed := 0, -19
	r := &verdict.Result{Verdict: verdict.Bad, Class: verdict.Hang, Timing: verdict.Timing{Boot: 3}, // by the clock on the wall, which went on while the machine stood
		Timeline: []verdict.Mark{{Stage: "firmware"}, {Stage: "start_kernel", Seconds: 0.5, Within: 0.002}, {Stage: verdict.MarkConsole, Seconds: 0.7, Event: true},
			{Stage: "initcall", Seconds: 1}, {Stage: verdict.MarkEnd, Seconds: 2, Event: true}},
		Initcalls: []verdict.InitcallTime{
			{Function: "a_init", Level: "core", Start: 1, Seconds: 0.25, Returned: &zero},
			{Function: "b_init", Module: "b", Start: 1.25, Seconds: 0.1, Returned: &failed},
			{Function: "c_init", Start: 1.4, Seconds: 0.0001, Returned: &zero}, {Function: "d_init", Start: 1.4002, Seconds: 0.0001, Returned: &zero},
			{Function: "e_init", Start: 1.5}}}
	out := svg(t, r, TimelineSize{Width: 1000 + svgLabels})
	readXML(t, out)
	for _, want := range []string{
		"<title>firmware: 500 ms, from 0 s to 500 ms</title>", "<title>start_kernel: 500 ms, from 500 ms to 1.00 s, seen within 2.0 ms</title>", `x="350" y="`, ">console</text>", "<title>initcall: 1.00 s, from 1.00 s to 2.00 s</title>",
		"<title>a_init (core): 250 ms, from 1.00 s</title>", "<title>b_init [b]: 100 ms, from 1.25 s, returned -19</title>",
		"<title>e_init: 0 s, from 1.50 s, did not return</title>",
		">a_init 250 ms</text>", ">✕ e_init did not return</text>", ">✕ hang at 2.00 s</text>", ">1.6 s</text>",
		`class="open" x="750" y="`, `width="250"`, // to the end of the boot
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, `from 500 ms to 1.00 s`); n != 1 || strings.Contains(out, "<title>console") {
		t.Errorf("an event is drawn as a stage, or ends one:\n%s", out)
	}
	// On an axis of twice the length all is half as wide.
	if twice := svg(t, r, TimelineSize{Width: 1000 + svgLabels, End: 4}); !strings.Contains(twice, `class="open" x="375" y="`) || !strings.Contains(twice, `width="125"`) {
		t.Errorf("an axis of 4 s:\n%s", twice)
	}
	if out := svg(t, &verdict.Result{Verdict: verdict.Bad}, TimelineSize{}); out != "" {
		t.Errorf("a picture of nothing: %s", out)
	}
}

func TestTimelineSVGHoldsHostileText(t *testing.T) {
	s := hostilePage()
	out := svg(t, s.Cells[1].Result, TimelineSize{})
	readXML(t, out)
	if strings.Contains(out, "<script") || strings.Contains(out, "<img") || !strings.Contains(out, "&lt;") {
		t.Errorf("%s", out)
	}
}

// labelsApart checks that no label of a row stands over another, and that none leaves the picture.
func labelsApart(t *testing.T, p *picture) {
	t.Helper()
	for _, flags := range [][]callout{slices.Concat(p.Stages, p.Events, []callout{p.Outcome}), p.Longest} {
		for i, a := range flags {
			if bad := func(v float64) bool { return math.IsNaN(v) || v < 0 }; bad(a.X) || bad(a.Y) || a.X > p.Width || a.Y > p.Height {
				t.Fatalf("%+v leaves the picture of %v x %v", a, p.Width, p.Height)
			}
			for _, b := range flags[i+1:] {
				if a.Y == b.Y && a.X < b.X+float64(len([]rune(b.Text)))*svgGlyph && b.X < a.X+float64(len([]rune(a.Text)))*svgGlyph {
					t.Fatalf("%+v and %+v stand over each other", a, b)
				}
			}
		}
	}
}

// FuzzTimeline draws times that no boot has: results may come from a file.
func FuzzTimeline(f *testing.F) {
	f.Add(0.0, 0.1, 0.1001, 0.5, 2.0)
	f.Add(0.0, 0.0, 0.0, 0.0, 0.0)
	f.Add(math.NaN(), math.Inf(1), -1.0, 1e300, 5e-324)
	f.Add(1e6, 2e6, 1e-9, 9e6, math.Inf(-1))
	f.Fuzz(func(t *testing.T, a, b, c, d, boot float64) {
		r := &verdict.Result{Timing: verdict.Timing{Boot: boot}}
		for i, v := range []float64{a, b, c, d} {
			r.Timeline = append(r.Timeline, verdict.Mark{Stage: "decompressor", Seconds: v})
			r.Initcalls = append(r.Initcalls, verdict.InitcallTime{Function: fmt.Sprintf("f%d_init", i), Start: v, Seconds: d, Returned: &i})
		}
		p, ok := layOut(r, TimelineSize{End: a})
		if !ok {
			return
		}
		labelsApart(t, p)
		if len(p.Ticks) == 0 || len(p.Ticks) > 13 {
			t.Fatalf("%d ticks", len(p.Ticks))
		}
		for _, x := range append(append([]bar{}, p.Bands...), p.Initcalls...) {
			if !(x.X >= 0 && x.W >= 0 && x.X+x.W <= p.Width) {
				t.Fatalf("%+v leaves the picture", x)
			}
		}
		if out := svg(t, r, TimelineSize{}); strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
			t.Fatal(out)
		}
	})
}

// Three thousand initcalls are as many pixels at the most, and ten labels.
func TestTimelineSVGIsBounded(t *testing.T) {
	r := &verdict.Result{Verdict: verdict.Good, Timing: verdict.Timing{Boot: 10}}
	zero := 0
	for i := range 3000 {
		r.Initcalls = append(r.Initcalls, verdict.InitcallTime{Function: fmt.Sprintf("f%d_init", i), Start: float64(i) / 300, Seconds: float64(i%7) / 3000, Returned: &zero})
	}
	p, _ := layOut(r, TimelineSize{})
	labelsApart(t, p)
	shared := slices.ContainsFunc(p.Initcalls, func(b bar) bool { return strings.HasPrefix(b.Title, "3 initcalls: ") })
	if len(p.Longest) != longestShown || len(p.Initcalls) > svgWidth || !shared {
		t.Errorf("%d labels, %d bars, three share one: %v", len(p.Longest), len(p.Initcalls), shared)
	}
	if p, _ := layOut(r, TimelineSize{Initcalls: 20}); len(p.Initcalls) > 20 {
		t.Errorf("%d bars where 20 were asked for", len(p.Initcalls))
	}
}
