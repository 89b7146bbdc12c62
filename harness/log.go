package harness

import (
	"kcatch/gdb/linux"
	"kcatch/harness/watch"
)

// logWatch is the printk ring as the watch asks for it. The ring's layout may come to be known while it is watched.
type logWatch struct{ ring func() linux.Ring }

// recent is how many records back the watch is shown. It looks after each change, every few milliseconds.
const recent = 128

// Head implements watch.Log.
func (l logWatch) Head() (uint64, error) { return l.ring().Head() }

// Recent implements watch.Log.
func (l logWatch) Recent() ([]watch.Line, error) {
	records, err := l.ring().Records(recent)
	lines := make([]watch.Line, len(records))
	for i, r := range records {
		lines[i] = watch.Line{Seq: r.Seq, Text: r.Text, User: r.Facility != 0}
	}
	return lines, err
}
