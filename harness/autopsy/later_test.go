package autopsy

import (
	"slices"
	"testing"

	"kcatch/gdb/linux"
)

// TestWithLater: what came later goes on where the log ends; a record that was being put together is the later one.
func TestWithLater(t *testing.T) {
	rec := func(seq uint64, text string, done bool) linux.Record {
		return linux.Record{Seq: seq, Text: text, Finalized: done}
	}
	old := []linux.Record{rec(4, "a", true), rec(5, "b", true)}
	for _, tc := range []struct {
		name       string
		log, later []linux.Record
		want       []string
	}{
		{"nothing", old, nil, []string{"a", "b"}},
		{"goes on", old, []linux.Record{rec(5, "x", true), rec(6, "c", true)}, []string{"a", "b", "c"}},
		{"all of it is known", old, []linux.Record{rec(5, "x", true)}, []string{"a", "b"}},
		{"no log", nil, []linux.Record{rec(6, "c", true)}, []string{"c"}},
		{"was open", []linux.Record{rec(4, "a", true), rec(5, "b..", false)}, []linux.Record{rec(5, "b", true), rec(6, "c", true)}, []string{"a", "b", "c"}},
		{"is open still", []linux.Record{rec(5, "b..", false)}, []linux.Record{rec(6, "c", true)}, []string{"b..", "c"}},
	} {
		var got []string
		for _, r := range withLater(tc.log, tc.later) {
			got = append(got, r.Text)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
