package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"kcatch/harness/verdict"
)

// TimelineSize is the look of a timeline's picture. The zero value is the usual one.
type TimelineSize struct {
	Width int // of the picture in units of its own, which are pixels where nothing scales it; 0: 1000
	// Initcalls is how many have a bar, the longest ones; 0: 4000.
	Initcalls int
	End       float64 // seconds at the end of the axis, for pictures to be laid side by side; 0, or too short: the end of the boot
}

// Bounds of a picture, and its measures in pixels.
const (
	shownMarks     = 32   // stages in a picture
	shownInitcalls = 4000 // the longest ones
	longestShown   = 10   // initcalls with a label, and in the list
	svgWidth       = 1000
	svgLabels      = 215.0 // at the right, for labels that begin at the end of the boot
	svgRow         = 15.0  // a row of labels
	svgBand        = 22.0
	svgLane        = 12.0
	svgLanes       = 4
	svgGlyph       = 6.3 // the widest that a letter of 11 px is on the average, for names in lower case
)

// TimelineSVG writes the boot's timeline as one SVG element: its stages as bands on an axis of seconds since QEMU was let go, its
// initcalls as bars under them, the longest of them with labels, and how it ended. What is narrower than a pixel shares one.
// The element stands by itself, in a page or as a file: it has no styles or scripts, takes the colour of text from around it
// (currentColor), and its other colours are readable on white and on black.
//
// A mark is the time at which its stage was first seen; the stage lasts until the next one. A boot without marks and
// initcalls has no picture: nothing is written.
func TimelineSVG(w io.Writer, r *verdict.Result, size TimelineSize) error {
	t, ok := layOut(r, size)
	if !ok {
		return nil
	}
	return pictures().Execute(w, t)
}

//go:embed page/timeline.svg
var timelineTemplate string

var pictures = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("timeline").Parse(timelineTemplate))
})

// picture is a timeline in pixels.
type picture struct {
	Title         string
	Width, Height float64
	Top, Bars     float64 // y of the bands, of the initcalls
	Base, Ticks0  float64 // y of the axis, of its numbers
	End           float64 // x of the end of the boot
	Ticks         []tick
	Bands         []bar
	Stages        []callout
	Events        []callout // what happened in a stage
	Initcalls     []bar
	Longest       []callout
	Outcome       callout
	Died          bool
}

type tick struct {
	X    float64
	Text string
}

// bar is a stretch of time; Kind is its CSS class.
type bar struct {
	X, Y, W, H float64
	Kind       string
	Title      string
}

// callout is a label with a line to its place on the axis.
type callout struct {
	X, Y  float64 // of the text
	Place float64 // y of the other end of the line
	Text  string
}

// layOut makes the picture; false when there is nothing to draw.
func layOut(r *verdict.Result, size TimelineSize) (*picture, bool) {
	if size.Initcalls <= 0 {
		size.Initcalls = shownInitcalls
	}
	marks, calls := drawable(r, size.Initcalls)
	if len(marks) == 0 && len(calls) == 0 {
		return nil, false
	}
	end := bootEnd(r, marks, calls)
	axis := end
	if sane(size.End) && size.End > axis {
		axis = size.End
	}
	p := &picture{Width: svgWidth, Died: r.Verdict == verdict.Bad}
	if size.Width > 0 {
		p.Width = float64(max(size.Width, 2*svgLabels))
	}
	scale := (p.Width - svgLabels) / axis
	x := func(seconds float64) float64 { return round(math.Min(seconds, axis) * scale) }
	p.End = x(end)
	p.Title = fmt.Sprintf("the boot's timeline: %s in all", seconds(end))

	for i, m := range marks {
		until := end
		if i+1 < len(marks) {
			until = marks[i+1].Seconds
		}
		kind := "even"
		if i%2 == 1 {
			kind = "odd"
		}
		name := svgText(m.Stage, 24)
		p.Bands = append(p.Bands, bar{X: x(m.Seconds), W: round(math.Max(x(until)-x(m.Seconds), 0.5)), H: svgBand, Kind: kind,
			Title: fmt.Sprintf("%s: %s, from %s to %s%s", name, seconds(until-m.Seconds), seconds(m.Seconds), seconds(until), within(m))})
		p.Stages = append(p.Stages, callout{X: x(m.Seconds), Text: name})
	}
	for _, m := range events(r) {
		p.Events = append(p.Events, callout{X: x(m.Seconds), Text: svgText(m.Stage, 24)})
	}
	p.Outcome = callout{X: p.End, Text: fmt.Sprintf("%s at %s", svgText(outcome(r), 22), seconds(end))}
	above := slices.Concat(p.Stages, p.Events, []callout{p.Outcome})
	p.Top = float64(raise(above)) * svgRow
	for i := range above {
		above[i].Y, above[i].Place = p.Top-above[i].Y*svgRow+svgRow-4, p.Top
	}
	p.Stages, p.Events, p.Outcome = above[:len(p.Stages)], above[len(p.Stages):len(above)-1], above[len(above)-1]
	for i := range p.Bands {
		p.Bands[i].Y = p.Top
	}

	p.Bars = p.Top + svgBand + 3
	lanes := p.initcalls(calls, x, end)
	p.Base = p.Bars + float64(lanes)*svgLane
	if lanes > 0 {
		p.Base += 3
	}
	p.Ticks0 = p.Base + 13
	p.Height = p.Ticks0 + 6 + float64(raise(p.Longest))*svgRow
	for i := range p.Longest {
		f := &p.Longest[i]
		f.Place, f.Y = p.Bars, p.Ticks0+2+f.Y*svgRow
	}
	p.ticks(axis, x)
	return p, true
}

// within says how precisely a mark is known; nothing where it is exact.
func within(m verdict.Mark) string {
	if !(m.Within > 0) {
		return ""
	}
	return fmt.Sprintf(", seen within %s", seconds(m.Within))
}

// events are the marks of what happened in a stage, without the end.
func events(r *verdict.Result) []verdict.Mark {
	var out []verdict.Mark
	for _, m := range r.Timeline {
		if m.Event && m.Stage != verdict.MarkEnd && sane(m.Seconds) && len(out) < shownMarks {
			out = append(out, m)
		}
	}
	return out
}

// drawable is what of a result can be drawn, in the order of time: stages, for an event has no length, and of the initcalls the
// longest, so many as there are bars.
func drawable(r *verdict.Result, bars int) ([]verdict.Mark, []verdict.InitcallTime) {
	var marks []verdict.Mark
	for _, m := range r.Timeline {
		if sane(m.Seconds) && !m.Event && len(marks) < shownMarks {
			marks = append(marks, m)
		}
	}
	slices.SortStableFunc(marks, func(a, b verdict.Mark) int { return cmp.Compare(a.Seconds, b.Seconds) })
	calls := longest(r.Initcalls, bars)
	slices.SortStableFunc(calls, func(a, b verdict.InitcallTime) int { return cmp.Compare(a.Start, b.Start) })
	return marks, calls
}

// longest is the n longest initcalls, the longest first; one that did not come back is before all others.
func longest(all []verdict.InitcallTime, n int) []verdict.InitcallTime {
	var calls []verdict.InitcallTime
	for _, c := range all {
		if sane(c.Start) && sane(c.Seconds) {
			calls = append(calls, c)
		}
	}
	slices.SortStableFunc(calls, func(a, b verdict.InitcallTime) int {
		if (a.Returned == nil) != (b.Returned == nil) {
			if a.Returned == nil {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Seconds, a.Seconds)
	})
	return calls[:min(len(calls), n)]
}

// bootEnd is when the boot ended, in seconds since QEMU was let go, and never 0.
func bootEnd(r *verdict.Result, marks []verdict.Mark, calls []verdict.InitcallTime) float64 {
	end := 1e-6
	at := slices.IndexFunc(r.Timeline, func(m verdict.Mark) bool { return m.Event && m.Stage == verdict.MarkEnd && sane(m.Seconds) })
	if at >= 0 { // without the time for which the machine stood
		end = max(end, r.Timeline[at].Seconds)
	} else if sane(r.Timing.Boot) {
		end = max(end, r.Timing.Boot)
	}
	for _, m := range events(r) {
		end = max(end, m.Seconds)
	}
	for _, m := range marks {
		end = max(end, m.Seconds)
	}
	for _, c := range calls {
		end = max(end, c.Start+c.Seconds)
	}
	return end
}

// initcalls lays out the bars and the labels of the longest, and returns how many lanes they take. Calls run one after the other but
// for those of modules, so there is mostly one lane.
func (p *picture) initcalls(calls []verdict.InitcallTime, x func(float64) float64, end float64) int {
	var free [svgLanes]float64 // the pixel from which a lane is free
	lanes := 0
	tiny, tinySeconds := 0, 0.0 // calls that share the last bar
	labelled := longest(calls, longestShown)
	for _, c := range calls {
		from, until := x(c.Start), x(c.Start+c.Seconds)
		kind := "call"
		if c.Returned == nil {
			until, kind = x(end), "open"
		}
		if kind == "call" && slices.Contains(labelled, c) {
			kind, until = "long", max(until, from+1)
		}
		if kind == "call" && until-from < 1 {
			from = math.Floor(from)
			if tiny > 0 && p.Initcalls[len(p.Initcalls)-1].X == from {
				tiny++
				tinySeconds += c.Seconds
				p.Initcalls[len(p.Initcalls)-1].Title = fmt.Sprintf("%d initcalls: %s", tiny, seconds(tinySeconds))
				continue
			}
			tiny, tinySeconds, until = 1, c.Seconds, from+1
		} else {
			tiny = 0
		}
		lane := 0
		for lane < svgLanes-1 && free[lane] > from+1 {
			lane++
		}
		free[lane] = max(free[lane], until)
		lanes = max(lanes, lane+1)
		p.Initcalls = append(p.Initcalls, bar{X: from, Y: p.Bars + float64(lane)*svgLane, W: round(until - from), H: svgLane - 2, Kind: kind,
			Title: svgText(callTitle(&c), 200)})
	}
	for _, c := range labelled {
		text := fmt.Sprintf("%s %s", svgText(c.Function, 26), seconds(c.Seconds))
		if c.Returned == nil {
			text = "✕ " + svgText(c.Function, 22) + " did not return"
		}
		p.Longest = append(p.Longest, callout{X: x(c.Start), Text: text})
	}
	return lanes
}

// callTitle is all that is known of an initcall, in one line.
func callTitle(c *verdict.InitcallTime) string {
	s := c.Function
	if c.Module != "" {
		s += " [" + c.Module + "]"
	}
	if c.Level != "" {
		s += " (" + c.Level + ")"
	}
	s += fmt.Sprintf(": %s, from %s", seconds(c.Seconds), seconds(c.Start))
	switch {
	case c.Returned == nil:
		s += ", did not return"
	case *c.Returned != 0:
		s += fmt.Sprintf(", returned %d", *c.Returned)
	}
	return s
}

// raise gives each callout a row, from 1 at the axis on, in Y, and returns how many there are. From the right to the left, so
// that no line crosses a label: what stands in the way of a callout begins at its right and lies nearer to the axis.
func raise(flags []callout) int {
	order := make([]int, len(flags))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(flags[b].X, flags[a].X), cmp.Compare(b, a)) })
	var begins []float64 // by row, the leftmost pixel that is taken
	for _, i := range order {
		f := &flags[i]
		until := f.X + float64(len([]rune(f.Text)))*svgGlyph + 12
		row := len(begins)
		for row > 0 && begins[row-1] >= until {
			row--
		}
		if row == len(begins) {
			begins = append(begins, 0)
		}
		begins[row] = f.X
		f.Y = float64(row + 1)
	}
	return len(begins)
}

// ticks puts numbers on the axis, at steps of 1, 2 or 5 of a power of ten.
func (p *picture) ticks(axis float64, x func(float64) float64) {
	step := math.Pow(10, math.Floor(math.Log10(axis/10)))
	for _, f := range []float64{1, 2, 5, 10} {
		if axis/(step*f) <= 12 {
			step *= f
			break
		}
	}
	for n := 0; n <= 12 && float64(n)*step <= axis*1.0001; n++ {
		v := float64(n) * step
		text := fmt.Sprintf("%.6g s", v)
		if step < 0.1 {
			text = fmt.Sprintf("%.6g ms", v*1000)
		}
		p.Ticks = append(p.Ticks, tick{X: x(v), Text: text})
	}
}

// outcome is the end of a boot in a word or two.
func outcome(r *verdict.Result) string {
	switch r.Verdict {
	case verdict.Good:
		return "✓ ended well"
	case verdict.Bad:
		return "✕ " + string(r.Class)
	}
	return "ended"
}

// seconds is a time with three digits that mean something.
func seconds(s float64) string {
	switch {
	case !sane(s):
		return "?"
	case s == 0:
		return "0 s"
	case s < 0.001:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 0.01:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1e3)
	case s < 9.995:
		return fmt.Sprintf("%.2f s", s)
	case s < 99.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 600:
		return fmt.Sprintf("%.0f s", s)
	}
	return fmt.Sprintf("%.0f min %02.0f s", math.Floor(s/60), math.Mod(math.Floor(s), 60))
}

// sane reports whether s can be a time of a boot: results may come from a file.
func sane(s float64) bool { return s >= 0 && s < 1e7 }

func round(v float64) float64 { return math.Round(v*100) / 100 }

// svgText is text for an SVG, which is XML where it is a file: XML has no U+FFFE and U+FFFF.
func svgText(s string, limit int) string {
	if r := []rune(s); limit > 1 && len(r) > limit {
		s = string(r[:limit-1]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == 0xfffe || r == 0xffff {
			return '�'
		}
		return r
	}, Clean(s, 0))
}
