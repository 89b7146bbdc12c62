package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// SmokeHTML writes s as one page that needs nothing but itself: the matrix as a grid, what died in it, and of each cell all that
// is known. It works from a file, without network and without JavaScript; a cell has an address of its own,
// "#cell/stable/q35/quiet".
//
// Its size is bounded: of a boot that ended well the last 100 records of the log are in it, of a death as many as leave the
// page readable, 200 to 1500. What is left out is said in its place. 100 deaths with 1,000 records each are 10 MB.
func SmokeHTML(w io.Writer, s *verdict.Smoke) error {
	return pages().ExecuteTemplate(w, "smoke", newSmokePage(s))
}

// Bounds of a page.
const (
	goodRecords = 100    // of the log of a boot that ended well
	leastBad    = 200    // records of a death
	mostBad     = 1500   //
	allBad      = 150000 // records of all deaths together
	allBars     = 20000  // initcalls in the pictures of all boots together
	wideColumns = 6      // so many columns leave room for words in a box of the grid; more have signs only
	barWidth    = 1000   // of the picture of the counts
)

// smokePage is a smoke test for the template "smoke".
type smokePage struct {
	frame
	Smoke    *verdict.Smoke
	Verdict  glyph
	Sentence string
	Counts   []countHTML
	Meta     []string
	Grid     grid
	Groups   []deathGroup
	Cells    []*cellPage
	Expired  []allowHTML
	Single   bool // one cell: it is open
}

// countHTML is how many cells have a status, and its part of a bar that is barWidth long.
type countHTML struct {
	Glyph glyph
	N     int
	X, W  float64
	First string // the first of these cells
}

// allowHTML is an entry of the allow list.
type allowHTML struct{ Signature, Cells, Owner, Reason, Expires string }

// cellPage is a cell's page, and its place in the row of cells.
type cellPage struct {
	*deathPage
	Name       string
	Prev, Next string // the cells beside it, by address; empty at the ends
	Position   string // "3 of 12"
}

func newSmokePage(s *verdict.Smoke) *smokePage {
	p := &smokePage{frame: newFrame("kcatch smoke"), Smoke: s, Single: len(s.Cells) == 1}
	if s.Profile != "" {
		p.Title = "kcatch smoke: " + Clean(s.Profile, 80)
	}
	ids := addresses(s.Cells)
	bad := 0
	for i := range s.Cells {
		if r := s.Cells[i].Result; r != nil && r.Verdict == verdict.Bad {
			bad++
		}
	}
	limits := pageLimits{good: goodRecords, bad: min(max(allBad/max(bad, 1), leastBad), mostBad), bars: max(allBars/max(len(s.Cells), 1), longestShown)}
	for i := range s.Cells {
		c := &cellPage{deathPage: newDeathPage(ids[i], &s.Cells[i], s.Cells[i].Result, limits), Name: Clean(s.Cells[i].Name, 200),
			Position: fmt.Sprintf("%d of %d", i+1, len(s.Cells))}
		if i > 0 {
			c.Prev = ids[i-1]
		}
		if i+1 < len(ids) {
			c.Next = ids[i+1]
		}
		p.Cells = append(p.Cells, c)
	}
	p.headline(ids)
	p.Grid = gridOf(s.Cells, ids)
	p.Groups = groupsOf(s.Cells, ids)
	for _, a := range s.Expired {
		p.Expired = append(p.Expired, allowHTML{Clean(a.Signature, htmlLine), Clean(a.Cells, 200), Clean(a.Owner, 120), Clean(a.Reason, htmlLine), Clean(a.Expires, 40)})
	}
	return p
}

// headline is what a reader sees first: did it pass, and how many of what.
func (p *smokePage) headline(ids []string) {
	s := p.Smoke
	switch s.ExitCode() {
	case verdict.ExitGood:
		p.Verdict, p.Sentence = glyphOf(verdict.CellPass), "passed"
		if s.Error != nil || s.NotRun > 0 {
			p.Verdict, p.Sentence = glyphOf(verdict.CellNotRun), "not finished"
		}
	case verdict.ExitBad:
		p.Verdict, p.Sentence = glyphOf(verdict.CellFail), "failed"
	case verdict.ExitSkip:
		p.Verdict, p.Sentence = glyphOf(verdict.CellSkip), "could not be tested in all cells"
	default:
		p.Verdict, p.Sentence = glyphOf(verdict.CellError), "this machine failed it"
	}
	x := 0.0
	for _, status := range []verdict.CellStatus{verdict.CellFail, verdict.CellFlaky, verdict.CellError, verdict.CellSkip, verdict.CellNotRun, verdict.CellPass} {
		c := countHTML{Glyph: glyphOf(status)}
		for i := range s.Cells {
			if glyphOf(s.Cells[i].Status) != c.Glyph {
				continue
			}
			if c.N == 0 {
				c.First = ids[i]
			}
			c.N++
		}
		if c.N == 0 {
			continue
		}
		c.X, c.W = round(x), round(barWidth*float64(c.N)/float64(len(s.Cells)))
		x += c.W
		p.Counts = append(p.Counts, c)
	}
	add := func(there bool, format string, args ...any) {
		if there {
			p.Meta = append(p.Meta, Clean(fmt.Sprintf(format, args...), 300))
		}
	}
	add(true, "%d cell%s", len(s.Cells), plural(len(s.Cells)))
	add(s.Profile != "", "profile %s", s.Profile)
	add(s.Shard != "", "shard %s", s.Shard)
	add(s.Started != "", "started %s", strings.NewReplacer("T", " ", "Z", " UTC").Replace(s.Started))
	add(s.Seconds > 0, "took %s", seconds(s.Seconds))
	add(s.Jobs > 0, "%d boots at a time", s.Jobs)
	add(s.AllowFlaky, "flaky cells are allowed")
	add(s.Baseline != "", "compared with %s", s.Baseline)
}

// addresses gives each cell an id for its element. The names of cells have letters, digits and ".-_/" only, and no two are
// alike; of a file that somebody else wrote this is not known.
func addresses(cells []verdict.Cell) []string {
	taken := map[string]bool{}
	var out []string
	for i := range cells {
		id := "cell/" + strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_/", r) {
				return r
			}
			return '_'
		}, cells[i].Name)
		if taken[id] || len(id) > 300 {
			id = fmt.Sprintf("cell/%d", i+1)
		}
		for taken[id] {
			id += "_"
		}
		taken[id] = true
		out = append(out, id)
	}
	return out
}

// grid is the matrix as a table. The kernels are its rows, unless the other way is much narrower.
type grid struct {
	Corner  string
	Grouped bool // the columns have two rows of heads
	Wide    bool // the boxes have words
	Groups  []head
	Columns []string
	Rows    []gridRow
}

type head struct {
	Text string
	Span int
}

type gridRow struct {
	Group string // of the rows from here on; empty when it is the one before
	Span  int    // rows that Group is the head of
	Text  string
	Boxes [][]box
}

// box is a cell in the grid; where cells are at one place of the matrix, they share it.
type box struct {
	ID, Title   string
	Glyph       glyph
	What, Where string // of a death its class and function
	Time        string
	New         bool
	Expected    bool // it died, as it had to
}

// axis is one side of the matrix: a list of names, in groups.
type axis []struct{ group, name string }

func gridOf(cells []verdict.Cell, ids []string) grid {
	type key struct{ group, name string }
	var kernels, others axis
	at := func(a *axis, k key) int {
		i := slices.IndexFunc(*a, func(e struct{ group, name string }) bool { return e == k })
		if i < 0 {
			i = len(*a)
			*a = append(*a, k)
		}
		return i
	}
	appends := slices.ContainsFunc(cells, func(c verdict.Cell) bool { return c.Append != "" })
	place := func(c *verdict.Cell) (kernel, other key) {
		other = key{name: Clean(cmp.Or(c.Machine, "-"), 60)}
		if appends {
			other = key{group: other.name, name: Clean(cmp.Or(c.Append, "-"), 60)}
		}
		return key{name: Clean(cmp.Or(c.Kernel, "-"), 60)}, other
	}
	for i := range cells { // those of a machine side by side, also where exclusions mix their order
		k, o := place(&cells[i])
		at(&kernels, k)
		at(&others, o)
	}
	order := map[string]int{}
	for i, o := range others {
		if _, ok := order[o.group]; !ok {
			order[o.group] = i
		}
	}
	slices.SortStableFunc(others, func(a, b struct{ group, name string }) int { return cmp.Compare(order[a.group], order[b.group]) })

	rows, columns, flipped := kernels, others, false
	if len(others) > 2*wideColumns && len(kernels) < len(others) {
		rows, columns, flipped = others, kernels, true
	}
	g := grid{Wide: len(columns) <= wideColumns, Corner: "kernel"}
	if flipped {
		g.Corner = "machine"
	}
	for i, c := range columns {
		g.Columns = append(g.Columns, c.name)
		g.Grouped = g.Grouped || c.group != ""
		if i > 0 && c.group == columns[i-1].group {
			g.Groups[len(g.Groups)-1].Span++
			continue
		}
		g.Groups = append(g.Groups, head{c.group, 1})
	}
	groupRow := -1
	for i, r := range rows {
		row := gridRow{Text: r.name, Boxes: make([][]box, len(columns))}
		if r.group != "" {
			if i == 0 || rows[i-1].group != r.group {
				groupRow = i
				row.Group = r.group
			}
		}
		g.Rows = append(g.Rows, row)
		if groupRow >= 0 {
			g.Rows[groupRow].Span++
		}
	}
	for i := range cells {
		k, o := place(&cells[i])
		y, x := at(&kernels, k), at(&others, o)
		if flipped {
			y, x = x, y
		}
		g.Rows[y].Boxes[x] = append(g.Rows[y].Boxes[x], boxOf(&cells[i], ids[i]))
	}
	return g
}

func boxOf(c *verdict.Cell, id string) box {
	b := box{ID: id, Glyph: glyphOf(c.Status), New: c.Novelty == "new"}
	b.Title = Clean(c.Name, 200) + ": " + b.Glyph.Word
	if c.Seconds > 0 {
		b.Time = seconds(c.Seconds)
	}
	if r := c.Result; r != nil && r.Verdict != verdict.Good {
		b.What = Clean(string(r.Class), 40)
		b.Expected = c.Status == verdict.CellPass
		if r.Cause != nil {
			b.Where = Clean(r.Cause.Function, 60)
		}
		b.Title += ", " + Clean(r.Summary, 300)
	}
	if c.Reason != "" {
		b.Title += "; " + Clean(c.Reason, 300)
	}
	if c.Status == verdict.CellFlaky {
		b.Time = strings.TrimSpace(fmt.Sprintf("%d attempts  %s", c.Attempts, b.Time))
	}
	return b
}

// deathGroup is a death, and all cells that died it.
type deathGroup struct {
	Glyph            glyph
	Class, Headline  string
	Signature, Since string
	First            string
	Cells            []link
	More             []link
}

type link struct {
	ID, Text string
	Glyph    glyph
}

// groupsOf gathers the cells that did not pass by what they died of: failed ones first, the most frequent death before others.
func groupsOf(cells []verdict.Cell, ids []string) []deathGroup {
	var out []deathGroup
	place := map[string]int{}
	for i := range cells {
		c := &cells[i]
		if c.Status == verdict.CellPass || c.Status == verdict.CellNotRun {
			continue
		}
		g := deathGroup{Glyph: glyphOf(c.Status), Headline: Clean(c.Reason, htmlLine), Since: Clean(c.Novelty, 20), First: ids[i]}
		if r := c.Result; r != nil && r.Verdict == verdict.Bad {
			g.Class, g.Headline, g.Signature = Clean(string(r.Class), 40), Clean(firstPart(r.Summary), htmlLine), Clean(r.Signature, htmlLine)
		}
		if g.Headline == "" {
			g.Headline = g.Glyph.Word
		}
		key := strings.Join([]string{g.Glyph.Kind, g.Class, g.Signature}, "\n")
		if g.Signature == "" {
			key += "\n" + g.Headline
		}
		at, ok := place[key]
		if !ok {
			at = len(out)
			place[key] = at
			out = append(out, g)
		}
		l := link{ids[i], Clean(c.Name, 200), glyphOf(c.Status)}
		if len(out[at].Cells) < 8 {
			out[at].Cells = append(out[at].Cells, l)
		} else {
			out[at].More = append(out[at].More, l)
		}
	}
	rank := func(g deathGroup) int { return slices.Index([]string{"fail", "flaky", "error", "skip"}, g.Glyph.Kind) }
	slices.SortStableFunc(out, func(a, b deathGroup) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.N(), a.N())) })
	return out
}

// N is how many cells died so.
func (g deathGroup) N() int { return len(g.Cells) + len(g.More) }
