package smoke

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kcatch/harness/verdict"
)

const (
	durationsName   = "durations.json"
	durationsSchema = "kcatch/durations/v1"
	lastDurations   = 5     // of each cell are kept
	maxDurations    = 10000 // cells; those that were not booted for the longest time go
)

// durations is the file that remembers how long cells took.
type durations struct {
	Schema string              `json:"schema"`
	Cells  map[string]duration `json:"cells"`
}

// duration is the last boots of a cell, the newest last, in seconds, and when that was.
type duration struct {
	Seconds []float64 `json:"seconds"`
	Used    time.Time `json:"used"`
}

// Durations are how long a boot of each cell took, by name: the median of the last few on this machine. A file that is not there, or
// that is no such file, and a user without a state directory know none: it is only for estimates.
func Durations() map[string]time.Duration {
	runs, err := runsDir()
	if err != nil {
		return nil
	}
	d := readDurations(filepath.Join(runs, durationsName))
	all := make(map[string]time.Duration, len(d.Cells))
	for name, c := range d.Cells {
		if m := median(c.Seconds); m > 0 && m < 1e6 {
			all[name] = time.Duration(m * float64(time.Second))
		}
	}
	return all
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func readDurations(path string) durations {
	var d durations
	if data, err := os.ReadFile(path); err == nil && (json.Unmarshal(data, &d) != nil || d.Schema != durationsSchema) {
		d = durations{}
	}
	d.Schema = durationsSchema
	if d.Cells == nil {
		d.Cells = map[string]duration{}
	}
	return d
}

// learn adds the last boot of every cell that came to a verdict.
func (d *durations) learn(cells []verdict.Cell, now time.Time) {
	for i := range cells {
		c := &cells[i]
		if len(c.Tries) == 0 || c.Tries[len(c.Tries)-1].Verdict == "" {
			continue
		}
		list := append(d.Cells[c.Name].Seconds, c.Tries[len(c.Tries)-1].Seconds)
		d.Cells[c.Name] = duration{Seconds: list[max(0, len(list)-lastDurations):], Used: now.UTC().Truncate(time.Second)}
	}
	if len(d.Cells) <= maxDurations {
		return
	}
	names := slices.SortedFunc(maps.Keys(d.Cells), func(a, b string) int { return d.Cells[a].Used.Compare(d.Cells[b].Used) })
	for _, name := range names[:len(names)-maxDurations] {
		delete(d.Cells, name)
	}
}

// remember writes what a run has taught. Of two runs that end at the same moment one may be forgotten.
func remember(cells []verdict.Cell, now time.Time) error {
	runs, err := runsDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return err
	}
	path := filepath.Join(runs, durationsName)
	d := readDurations(path)
	d.learn(cells, now)
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(runs, durationsName+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
