package report

import (
	"fmt"
	"io"
	"math"

	"kcatch/harness/verdict"
)

// CompareHTML writes a comparison as one page that needs nothing but itself: of each cell the stages, and the initcalls that stand out,
// as pairs of bars with the noise.
func CompareHTML(w io.Writer, c *verdict.Comparison) error {
	p := &comparePage{frame: newFrame("kcatch compare"), Comparison: c, A: Clean(c.A, htmlLine), B: Clean(c.B, htmlLine), Verdict: glyphOf(verdict.CellPass),
		Sentence: "nothing stands out"}
	if c.Slower+c.Faster > 0 {
		p.Sentence = fmt.Sprintf("%d slower, %d faster in B", c.Slower, c.Faster)
	}
	if c.Slower > 0 {
		p.Verdict = glyphOf(verdict.CellFail)
	}
	for i := range c.Cells {
		p.Cells = append(p.Cells, newCompareCell(&c.Cells[i]))
	}
	return pages().ExecuteTemplate(w, "compare", p)
}

// comparePage is a comparison for the template "compare".
type comparePage struct {
	frame
	Comparison *verdict.Comparison
	A, B       string
	Verdict    glyph
	Sentence   string
	Cells      []compareCellHTML
}

type compareCellHTML struct {
	Name, Pace     string
	BootsA, BootsB int
	Rows           []compareRow
	More           int // that stand out and have no row
}

// compareRow is a pair of bars, in pixels of a picture that is compareWidth wide.
type compareRow struct {
	Name, Level, Change, Noise, A, B string
	Stands                           string
	Glyph                            glyph
	WA, WB                           float64
	From, Until                      float64 // of what B may be by chance
}

const (
	compareWidth = 300.0
	compareRows  = 200 // that stand out
)

func newCompareCell(c *verdict.CellComparison) compareCellHTML {
	out := compareCellHTML{Name: Clean(c.Cell, 200), BootsA: c.BootsA, BootsB: c.BootsB, Pace: pace(c)}
	longest := map[string]float64{} // by kind: an initcall is not to be seen beside a boot
	for _, d := range c.Differences {
		if shownDifference(d) && sane(d.A) && sane(d.B) {
			longest[d.Kind] = max(longest[d.Kind], d.A, d.B, 1e-6)
		}
	}
	standing := 0
	for _, d := range c.Differences {
		if !shownDifference(d) {
			continue
		}
		if d.Stands != "" {
			if standing++; standing > compareRows {
				out.More++
				continue
			}
		}
		x := func(v float64) float64 {
			if !sane(v) {
				return 0
			}
			return round(math.Min(v/longest[d.Kind], 1) * compareWidth)
		}
		expected := d.B - d.Change
		row := compareRow{Name: differenceName(d), Level: Clean(d.Level, 20), Change: fmt.Sprintf("%+.1f", 1000*d.Change), Noise: milliseconds(d.Noise), A: milliseconds(d.A), B: milliseconds(d.B),
			Stands: Clean(d.Stands, 20), WA: x(d.A), WB: x(d.B), From: x(max(expected-d.Noise, 0)), Until: x(expected + d.Noise)}
		switch d.Stands {
		case verdict.Slower:
			row.Glyph = glyph{"fail", "▲", d.Stands}
		case verdict.Faster:
			row.Glyph = glyph{"pass", "▼", d.Stands}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
