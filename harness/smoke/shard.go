package smoke

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// Shard is one of so many parts of a matrix, for as many machines of a CI system. The zero value is all of it.
type Shard struct {
	Index, Of int // 1 to Of, 1 to 1000
}

// maxShards bounds how many parts there may be.
const maxShards = 1000

// ParseShard reads "2/5", the second of five.
func ParseShard(text string) (Shard, error) {
	if text == "" {
		return Shard{}, nil
	}
	index, of, _ := strings.Cut(text, "/")
	i, ierr := strconv.Atoi(index)
	n, nerr := strconv.Atoi(of)
	if ierr != nil || nerr != nil || i < 1 || i > n || n > maxShards {
		if len(text) > 60 {
			text = text[:60] + "..."
		}
		return Shard{}, blame.New(blame.Usage, fmt.Sprintf("--shard: %q is not I/N with I from 1 to N, and N at most %d", text, maxShards), "--shard 2/5 is the second of five")
	}
	return Shard{i, n}, nil
}

func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Take are the cells of the shard, in their order. All shards together are all cells, each once, as long as each shard is given the
// same cells and the same durations; the order of the cells does not matter.
//
// The longest cell goes first, to the shard that has least so far (LPT: R. L. Graham, "Bounds on multiprocessing timing anomalies",
// 1969: at most 4/3 - 1/(3n) times as long as the best split). A cell whose duration is not known counts as the median of those that
// are.
func (s Shard) Take(cells []Cell, known map[string]time.Duration) []Cell {
	if s.Of < 2 {
		return cells
	}
	type weighed struct {
		name string
		time time.Duration
	}
	usual := usualOf(cells, known)
	list := make([]weighed, len(cells))
	for i, c := range cells {
		d, ok := known[c.Name]
		if !ok {
			d = usual
		}
		list[i] = weighed{c.Name, max(d, time.Millisecond)}
	}
	slices.SortFunc(list, func(a, b weighed) int { return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(a.name, b.name)) })
	load := make([]time.Duration, s.Of)
	mine := map[string]bool{}
	for _, w := range list {
		least := 0
		for i := range load {
			if load[i] < load[least] {
				least = i
			}
		}
		load[least] += w.time
		if least == s.Index-1 {
			mine[w.name] = true
		}
	}
	var out []Cell
	for _, c := range cells {
		if mine[c.Name] {
			out = append(out, c)
		}
	}
	return out
}

// usualOf is the median of the durations of those cells that have one; a second when none has.
func usualOf(cells []Cell, known map[string]time.Duration) time.Duration {
	var all []time.Duration
	for _, c := range cells {
		if d, ok := known[c.Name]; ok {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return time.Second
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// ForShards says for a person what shards are balanced by: the durations of a baseline, which is one file for all of them, else the
// number of cells. What a machine remembers of its own boots is not used. Two machines remember two things, and one machine other things
// after each part: were a matrix split by that, a cell could be in no part, and nobody would miss it.
func ForShards(baseline map[string]time.Duration) string {
	if len(baseline) > 0 {
		return "the durations of the baseline"
	}
	return "their number; the --baseline of a whole run has durations"
}
