package smoke

import (
	"fmt"

	"kcatch/harness"
)

// phase is how far a cell or a build is.
type phase uint8

const (
	waiting phase = iota
	running
	over
)

// board is how far a run is, and decides what begins next. It acts on nothing.
type board struct {
	cells  []Cell
	room   room
	cell   []phase
	needs  []int // the build of each cell; -1: its kernel is there
	builds []build
	halted bool // nothing begins any more
}

// build is a kernel that cells share.
type build struct {
	key   string
	first int // the cell whose plan it is built by: the first one that needs it
	phase phase
	plan  harness.Plan // of the first cell, built
	err   error        // why there is none
}

// newBoard finds the builds that cells share.
func newBoard(cells []Cell, r room) *board {
	b := &board{cells: cells, room: r, cell: make([]phase, len(cells)), needs: make([]int, len(cells))}
	at := map[string]int{}
	for i := range cells {
		b.needs[i] = -1
		if cells[i].Plan.Build == nil {
			continue
		}
		key := buildKey(&cells[i].Plan)
		n, ok := at[key]
		if !ok {
			n = len(b.builds)
			at[key] = n
			b.builds = append(b.builds, build{key: key, first: i})
		}
		b.needs[i] = n
	}
	return b
}

// buildKey is equal for plans that need the same build.
func buildKey(p *harness.Plan) string {
	r := p.Build
	return fmt.Sprintf("%q %q %q %q %q %q", p.Cache, r.Tree, r.Base, r.Patches, r.Fragments, r.Make)
}

// nextBuild is the build to begin now: the first one that a waiting cell needs, if none is under way, since make takes all cores.
func (b *board) nextBuild() (int, bool) {
	next := -1
	for i := range b.builds {
		switch {
		case b.builds[i].phase == running:
			return 0, false
		case b.builds[i].phase == waiting && next < 0:
			next = i
		}
	}
	return next, next >= 0 && !b.halted
}

// ready reports whether a waiting cell's kernel is there, or is known not to come.
func (b *board) ready(i int) bool {
	return b.cell[i] == waiting && (b.needs[i] < 0 || b.builds[b.needs[i]].phase == over)
}

// unbuildable are the waiting cells whose kernel does not come. Nothing is begun for them, so that it does not matter whether the run
// was halted.
func (b *board) unbuildable() []int {
	var list []int
	for i := range b.cells {
		if b.ready(i) && b.needs[i] >= 0 && b.builds[b.needs[i]].err != nil {
			list = append(list, i)
		}
	}
	return list
}

// nextBoot is the cell to boot now: the first one that is ready and for which there is room. A wide one lets those behind it pass, so
// that no core waits for it.
func (b *board) nextBoot() (int, bool) {
	if b.halted {
		return 0, false
	}
	var busy []*Cell
	for i := range b.cells {
		if b.cell[i] == running {
			busy = append(busy, &b.cells[i])
		}
	}
	for i := range b.cells {
		if b.ready(i) && b.room.fits(&b.cells[i], busy) {
			return i, true
		}
	}
	return 0, false
}

// idle reports whether nothing is under way. When nothing can begin either, the run is over.
func (b *board) idle() bool {
	for _, p := range b.cell {
		if p == running {
			return false
		}
	}
	for i := range b.builds {
		if b.builds[i].phase == running {
			return false
		}
	}
	return true
}
