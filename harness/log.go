package harness

import (
	"kcatch/gdb/linux"
	"kcatch/harness/watch"
)

// logWatch is the printk ring as the watch asks for it. The ring's layout may come to be known while it is watched.
type logWatch struct{ ring func() linux.Ring }

// Head implements watch.Log.
func (l logWatch) Head() (uint64, error) { return l.ring().Head() }

// Recent implements watch.Log.
func (l logWatch) Recent(n int) ([]watch.Line, error) {
	records, err := l.ring().Records(max(n, 1))
	lines := make([]watch.Line, len(records))
	for i, r := range records {
		lines[i] = watch.Line{Seq: r.Seq, Text: r.Text, User: r.Facility != 0, Time: r.Time, Open: !r.Finalized}
	}
	return lines, err
}
