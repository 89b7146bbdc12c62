package harness

import (
	"encoding/json"

	"kcatch/gdb/core"
)

// laterRoom is what a core of the first oops or panic keeps free for the log's records that came after it, in bytes of JSON: an
// oops and the panic that follows it are some 100 records, 15 KB.
const laterRoom = 48 << 10

// addLater puts what the kernel logged after the core of the first oops or panic into the core: its text, its error code, its own
// trace. Without it the report from the core would know less of the death than that of the boot.
func (b *boot) addLater() error {
	if b.coreState == nil || b.kernel == nil || b.place == nil {
		return nil
	}
	ring, ok := b.kernel.Log(b.kernel.Memory(b.ram, *b.place), *b.place)
	if !ok {
		return nil
	}
	records, _ := ring.Records(0) // what could be read before an error counts
	for i := range records {
		if records[i].Seq+1 >= b.first.Moment.Records { // the last one of then may have been put together only now
			b.coreState.Later = records[i:]
			break
		}
	}
	state, ok := fitting(*b.coreState, laterRoom)
	if !ok {
		return nil
	}
	if err := core.SetState(b.artifacts.path(coreName), state); err != nil {
		return diskError("vmcore", err)
	}
	return nil
}

// fitting is the state with as many of the later records, the first ones, as fit into room bytes more; not ok when none does.
func fitting(s coreState, room int) ([]byte, bool) {
	used := 0
	for i, r := range s.Later {
		one, err := json.Marshal(r)
		if used += len(one) + len(","); err != nil || used+len(laterKey) > room {
			s.Later = s.Later[:i]
			break
		}
	}
	if len(s.Later) == 0 {
		return nil, false
	}
	state, err := json.Marshal(s)
	return state, err == nil
}

// laterKey is what the records stand in.
const laterKey = `,"Later":[]`
