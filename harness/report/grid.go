package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// Grid is how far a smoke test is: the state that its live view is drawn from. Its methods take what happens, and when; times are seconds
// since the test began. It reads no clock.
type Grid struct {
	Cells  []GridCell // in the order of the profile
	Builds []GridBuild
	Jobs   int // boots at a time; 0 is not known: as many as there are under way
}

// GridCell is a cell that waits, boots or is done.
type GridCell struct {
	Name, Kernel, Machine, Append string
	Built                         bool    // its kernel is one that is built, not one that is given
	Known                         float64 // seconds that its boots are known to take; 0 is not known

	Attempt int                // that is under way, from 1; 0 while it waits
	Stage   string             // of that boot; "" when it waits
	Began   float64            // that attempt
	Status  verdict.CellStatus // "" while it is not done
	Seconds float64            // of its boots, when it is done
	Booted  bool
	Why     string // one line: why it is not a pass
}

// GridBuild is the build of a kernel.
type GridBuild struct {
	Kernel, Stage, Note string
	Done, Total         int     // Total is 0 when it is not known
	Began               float64 // the stage
	Over                bool
}

// Build takes a stage of a kernel's build, or a count within it; that of another kernel is over, then. It reports whether the stage is
// a new one.
func (g *Grid) Build(now float64, kernel, stage, note string, done, total int) bool {
	i := slices.IndexFunc(g.Builds, func(b GridBuild) bool { return b.Kernel == kernel })
	if i < 0 {
		i = len(g.Builds)
		g.Builds = append(g.Builds, GridBuild{Kernel: kernel})
	}
	for j := range g.Builds {
		g.Builds[j].Over = j != i
	}
	b := &g.Builds[i]
	fresh := b.Stage != stage
	if fresh {
		*b = GridBuild{Kernel: kernel, Stage: stage, Began: now}
	}
	b.Done, b.Total = done, total
	if note != "" {
		b.Note = note
	}
	return fresh
}

// Begin takes the begin of a boot. Its kernel is built, then.
func (g *Grid) Begin(now float64, cell string, attempt int) {
	if c := g.cell(cell); c != nil {
		c.Attempt, c.Stage, c.Began = attempt, "", now
		g.built(c.Kernel)
	}
}

// Stage takes a stage of a boot.
func (g *Grid) Stage(cell, stage string) {
	if c := g.cell(cell); c != nil {
		c.Stage = stage
	}
}

// End takes a cell that is done.
func (g *Grid) End(done *verdict.Cell) {
	c := g.cell(done.Name)
	if c == nil {
		return
	}
	c.Status, c.Seconds, c.Booted, c.Stage = done.Status, done.Seconds, done.Attempts > 0, ""
	if done.Status != verdict.CellPass {
		c.Why = whyNot(done)
	}
	g.built(c.Kernel)
}

func (g *Grid) built(kernel string) {
	for i := range g.Builds {
		g.Builds[i].Over = g.Builds[i].Over || g.Builds[i].Kernel == kernel
	}
}

func (g *Grid) cell(name string) *GridCell {
	i := slices.IndexFunc(g.Cells, func(c GridCell) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &g.Cells[i]
}

// build is the one of a kernel that is under way; nil when none is.
func (g *Grid) build(kernel string) *GridBuild {
	i := slices.IndexFunc(g.Builds, func(b GridBuild) bool { return b.Kernel == kernel && !b.Over })
	if i < 0 {
		return nil
	}
	return &g.Builds[i]
}

// whyNot is one line: what a cell died of, or why it was not booted.
func whyNot(c *verdict.Cell) string {
	if c.Result != nil && c.Result.Verdict == verdict.Bad {
		return Clean(c.Result.Summary, 0)
	}
	return Clean(c.Reason, 0)
}

func (c *GridCell) running() bool { return c.Status == "" && c.Attempt > 0 }
func (c *GridCell) waiting() bool { return c.Status == "" && c.Attempt == 0 }

// gridCell is how wide a cell of the live matrix is at least: "2 caught 12s", so that the columns do not move.
const gridCell = 12

// Lines draws g for a terminal: no line is wider than width columns, and there are at most height of them. A matrix of all cells where it has room;
// else the cells that boot, those that went wrong and how many there are besides. The lines hold colours as style has them, and no other
// escape sequence.
func (g *Grid) Lines(now float64, style Style, width, height int) []string {
	width, height = max(width, 10), max(height, 1)
	top := []string{g.head(now, style, width)}
	var builds []string
	for i := range g.Builds {
		if b := &g.Builds[i]; !b.Over {
			builds = append(builds, fitted("build  "+b.Line(now), width))
		}
	}
	wrong := g.wrong(style, width)
	table := g.matrix(now, style, width)
	if len(table) > 0 && len(top)+len(builds)+1+len(table) <= height {
		out := slices.Concat(top, builds, []string{""}, table)
		if room := height - len(out) - 1; room > 0 && len(wrong) > 0 {
			out = append(out, "")
			out = append(out, wrong[max(0, len(wrong)-room):]...)
		}
		return out
	}
	out := slices.Concat(top, builds)
	passed, waits, running := 0, 0, []string{}
	for i := range g.Cells {
		switch c := &g.Cells[i]; {
		case c.running():
			running = append(running, fitted(fmt.Sprintf("%s  %s", pad(g.mark(i, now), gridCell), Clean(c.Name, 0)), width))
		case c.waiting():
			waits++
		case c.Status == verdict.CellPass:
			passed++
		}
	}
	out = append(out, running...)
	rest := style.dim(fitted(fmt.Sprintf("%d more passed, %d wait", passed, waits), width))
	if room := height - len(out) - 1; room > 0 {
		out = append(out, wrong[max(0, len(wrong)-room):]...)
		out = append(out, rest)
	}
	return out[:min(len(out), height)]
}

// head is the line with the score, the bar and the time that is left.
func (g *Grid) head(now float64, style Style, width int) string {
	done, bad, running := 0, 0, 0
	for i := range g.Cells {
		switch c := &g.Cells[i]; {
		case c.running():
			running++
		case c.Status != "":
			done++
			if c.Status != verdict.CellPass {
				bad++
			}
		}
	}
	text := fmt.Sprintf("%d/%d", done, len(g.Cells))
	if bad > 0 {
		text += fmt.Sprintf("  %d not passed", bad)
	}
	if running > 0 {
		text += fmt.Sprintf("  %d booting", running)
	}
	text += "  " + span(now)
	if left, least, ok := g.Left(now); ok && left >= 0.05 && done < len(g.Cells) { // less is no time: it takes longer than it did
		about := "about"
		if least {
			about = "at least"
		}
		text += fmt.Sprintf(", %s %s left", about, span(left))
	}
	const bar = 20
	if len(g.Cells) > 0 && len([]rune(text))+bar+2 <= width {
		full := bar * done / len(g.Cells)
		paint := style.good
		if bad > 0 {
			paint = style.bad
		}
		return paint(strings.Repeat("━", full)) + style.dim(strings.Repeat("─", bar-full)) + "  " + text
	}
	return fitted(text, width)
}

// Line is a build in a line: kernel, stage, how much of it, how long.
func (b *GridBuild) Line(now float64) string {
	parts := []string{Clean(b.Kernel, 40), Clean(b.Stage, 40)}
	if b.Total > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d", b.Done, b.Total))
	} else if b.Done > 0 {
		parts = append(parts, fmt.Sprint(b.Done))
	}
	parts = append(parts, span(now-b.Began))
	if b.Note != "" {
		parts = append(parts, Clean(b.Note, 0))
	}
	return strings.Join(parts, "  ")
}

// matrix is nil where the cells have no places, or a block of it would be wider than the terminal.
func (g *Grid) matrix(now float64, style Style, width int) []string {
	places := make([]placed, len(g.Cells))
	for i, c := range g.Cells {
		places[i] = placed{c.Kernel, c.Machine, c.Append}
	}
	m, ok := matrixOf(places)
	if !ok || m.narrowest(gridCell) > width {
		return nil
	}
	return m.lines(style, width, gridCell, func(i int) string { return fitted(g.mark(i, now), gridCell) }, func(i int, text string) string {
		switch c := &g.Cells[i]; {
		case c.running():
			return style.mark(text)
		case c.waiting():
			return style.dim(text)
		default:
			return paintMark(style, c.Status, text)
		}
	})
}

// mark is a cell in a few letters: "·" waits, "build 34%", "boot 1.2s", "2 boot 0.3s" the second attempt, "pass 0.4s".
func (g *Grid) mark(i int, now float64) string {
	c := &g.Cells[i]
	switch {
	case c.Status != "":
		return mark(c.Status, c.Seconds, c.Booted)
	case c.waiting():
		b := g.build(c.Kernel)
		switch {
		case b == nil || !c.Built:
			return "·"
		case b.Total > 0:
			return fmt.Sprintf("build %d%%", 100*b.Done/b.Total)
		}
		return "build"
	}
	text := fmt.Sprintf("%s %s", cmp.Or(Clean(c.Stage, 20), "starts"), span(now-c.Began))
	if c.Attempt > 1 {
		text = fmt.Sprintf("%d %s", c.Attempt, text)
	}
	return text
}

// wrong is a line for each cell that is done and did not pass, in the order of the profile.
func (g *Grid) wrong(style Style, width int) []string {
	var out []string
	for i := range g.Cells {
		c := &g.Cells[i]
		if c.Status == "" || c.Status == verdict.CellPass || c.Status == verdict.CellNotRun {
			continue
		}
		word := mark(c.Status, 0, false)
		text := fitted(fmt.Sprintf("%s  %s  %s", pad(word, 5), Clean(c.Name, 0), c.Why), width)
		if rest, ok := strings.CutPrefix(text, word); ok {
			text = paintMark(style, c.Status, word) + rest
		}
		out = append(out, text)
	}
	return out
}

// SmokeCellLine is a cell that is done as one plain line.
func SmokeCellLine(c *verdict.Cell) string {
	line := pad(mark(c.Status, c.Seconds, c.Attempts > 0), gridCell) + "  " + Clean(c.Name, 0)
	if c.Status != verdict.CellPass {
		if why := whyNot(c); why != "" {
			line += "  " + why
		}
	}
	return line
}
