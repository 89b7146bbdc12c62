package linux

import (
	"encoding/binary"
	"strings"
	"testing"
)

// FuzzFlagNames: a table in hostile memory gives an error or no more names than it may have.
func FuzzFlagNames(f *testing.F) {
	table := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1), 32) // {1, "locked"}, {0, NULL}
	table = append(append(table, make([]byte, 16)...), "locked\x00"...)
	f.Add(table)
	f.Add([]byte(strings.Repeat("\x01", 200)))
	f.Fuzz(func(t *testing.T, b []byte) {
		flags, err := readFlagNames(atBytes(append(b, make([]byte, 64)...)), 0)
		if len(flags) > maxFlagNames {
			t.Errorf("%d names, %v", len(flags), err)
		}
		for _, f := range flags {
			if len(f.Name) > 64 {
				t.Errorf("a name of %d bytes", len(f.Name))
			}
		}
		if string(b) == string(table) && (err != nil || len(flags) != 1 || flags[0].Name != "locked" || flags[0].Mask != 1) {
			t.Errorf("%v, %v", flags, err)
		}
	})
}
