package harness

import (
	"encoding/json"
	"strings"
	"testing"

	"kcatch/gdb/linux"
)

// TestFitting: of the log after a core the first records are kept, as many as there is room for.
func TestFitting(t *testing.T) {
	var later []linux.Record
	for i := range 100 {
		later = append(later, linux.Record{Seq: uint64(i), Text: strings.Repeat("<&", 100), Finalized: true})
	}
	s := coreState{Form: coreStateForm, Later: later}
	for _, room := range []int{0, 100, 5000, 1 << 20} {
		data, ok := fitting(s, room)
		if !ok {
			if room > 100 {
				t.Errorf("room of %d: none fits", room)
			}
			continue
		}
		without := s
		without.Later = nil
		if base := len(without.note()); len(data) > base+room {
			t.Errorf("room of %d: %d bytes more", room, len(data)-base)
		}
		var got coreState
		if err := json.Unmarshal(data, &got); err != nil || len(got.Later) == 0 || room > 100000 && len(got.Later) != 100 || room == 5000 && len(got.Later) > 25 {
			t.Errorf("room of %d: %d records, %v", room, len(got.Later), err)
		}
	}
	if _, ok := fitting(coreState{}, 1000); ok {
		t.Error("nothing came later, and it was written")
	}
}
