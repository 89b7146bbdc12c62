package vmlinux

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Answer is what a file says of one address.
type Answer struct {
	Symbol    Symbol // as [File.SymbolAt]; its Name is empty where no symbol covers the address
	Locations []Location
	Err       error // as [File.Locate]
}

// Most of the units of a kernel are small, and of a big batch most units are asked for one address or two. So the work is handed
// out unit by unit, and what a unit took in memory is used for the next.
const (
	maxWorkers = 8        // more wait for memory, not for work
	dropEvery  = 24 << 20 // bytes of .debug_info that a worker has been through before the mapping's pages are given back
)

// LocateAll is [File.SymbolAt] and [File.Locate] for many addresses at once, in their order. Each unit is read once whatever the
// order, on all cores, and nothing of it is kept: 2,000 addresses all over Debian's kernel take 0.2 s of a processor and 90 MB.
func (f *File) LocateAll(addrs []Addr) []Answer {
	answers := make([]Answer, len(addrs))
	f.mu.Lock()
	defer f.mu.Unlock()
	var tree *sourceTree
	t, terr := f.debugTables()
	if f.HasDWARF() {
		tree = f.tree()
	}
	if len(addrs) > fewSymbols {
		f.buildSymbolIndex()
	}
	groups := make([]group, 0, len(addrs))
	for i, a := range addrs {
		out := &answers[i]
		if !f.IsText(a) {
			out.Err = &UnknownError{a, NotMapped}
			continue
		}
		out.Symbol, _ = f.symbolAt(a)
		switch {
		case !f.HasDWARF():
			out.Err = &UnknownError{a, NoDebugInfo}
		case terr != nil:
			out.Err = fmt.Errorf("locate 0x%x: %w", uint64(a), terr)
		default:
			off, ok, err := f.unitOffset(a)
			if err != nil {
				out.Err = fmt.Errorf("locate 0x%x: %w", uint64(a), err)
			} else if !ok {
				out.Err = &UnknownError{a, NoUnit}
			} else {
				groups = append(groups, group{off, i})
			}
		}
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(addrs[a.index], addrs[b.index]))
	})
	f.locateGroups(t, tree, groups, addrs, answers)
	return answers
}

// group says that address index lies in the unit at an offset of .debug_info.
type group struct {
	unit  uint64
	index int
}

func (f *File) locateGroups(t *debugTables, tree *sourceTree, groups []group, addrs []Addr, answers []Answer) {
	var starts []int // of the units in groups
	for i := range groups {
		if i == 0 || groups[i].unit != groups[i-1].unit {
			starts = append(starts, i)
		}
	}
	var next atomic.Int64
	work := func() {
		w := batchWorker{file: f, tables: t, tree: *tree}
		for {
			n := int(next.Add(1)) - 1
			if n >= len(starts) {
				return
			}
			end := len(groups)
			if n+1 < len(starts) {
				end = starts[n+1]
			}
			w.unit(groups[starts[n]:end], addrs, answers)
		}
	}
	workers := min(runtime.GOMAXPROCS(0), maxWorkers, len(starts))
	var wait sync.WaitGroup
	for range workers - 1 {
		wait.Go(work)
	}
	if workers > 0 {
		work()
	}
	wait.Wait()
}

// batchWorker locates addresses in one unit after the other.
type batchWorker struct {
	file   *File
	tables *debugTables
	tree   sourceTree
	since  uint64 // bytes of units since pages were given back

	// Memory that one unit after the other is read into.
	lines   lineTable
	abbrevs abbrevs
}

func (w *batchWorker) unit(groups []group, addrs []Addr, answers []Answer) {
	u, err := readUnit(w.tables, groups[0].unit, &w.abbrevs)
	if err == nil {
		u.file = w.file
		u.linesDone = true
		u.lines, u.linesErr = u.readLines(&w.lines)
	}
	for _, g := range groups {
		out := &answers[g.index]
		if err == nil {
			out.Locations, out.Err = locateIn(u, &w.tree, addrs[g.index], out.Symbol.Name)
		}
		if err != nil {
			out.Err = fmt.Errorf("locate 0x%x: %w", uint64(addrs[g.index]), err)
		}
	}
	if u != nil {
		w.since += uint64(len(u.info))
	}
	if w.since > dropEvery {
		w.since = 0
		w.file.dropPages()
	}
}

// dropPages gives the mapping's pages back to the kernel; they are in its cache when they are wanted again. Otherwise the process
// would come to own what it has ever looked at.
func (f *File) dropPages() {
	if !f.heap && f.data != nil {
		_ = unix.Madvise(f.data, unix.MADV_DONTNEED)
	}
}
