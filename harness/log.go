package harness

import (
	"strings"

	"kcatch/gdb/linux"
)

// logWatch is the printk ring as the watch asks for it.
type logWatch struct{ ring linux.Ring }

// recent is how many records back a text is looked for. The watch looks after each change, every few milliseconds.
const recent = 128

// Head implements watch.Log.
func (l logWatch) Head() (uint64, error) { return l.ring.Head() }

// Contains implements watch.Log.
func (l logWatch) Contains(text string) (bool, error) {
	records, err := l.ring.Records(recent)
	for _, r := range records {
		if strings.Contains(r.Text, text) {
			return true, nil
		}
	}
	return false, err
}
