package core

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"kcatch/internal/blame"
)

// room is what a state ends in: it may grow by as many bytes, and [Open] leaves them out.
func room(state []byte, n int) []byte {
	return append(bytes.Clone(state), bytes.Repeat([]byte(" "), max(0, n))...)
}

// SetState puts another state into a core of [Write]'s at path. It may be as long as the first one and [Machine.StateRoom]; one that
// does not fit, and a core without a state, are refused, and the file stays as it is.
func SetState(path string, state []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [headSize + progSize]byte // Write's first segment is that of the notes
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return err
	}
	le := binary.LittleEndian
	off, size := le.Uint64(head[headSize+8:]), le.Uint64(head[headSize+32:])
	if size > maxNotes || off > 1<<62 {
		return blame.New(blame.Usage, path+": its notes are too large for a core", "")
	}
	notes := make([]byte, size)
	if _, err := f.ReadAt(notes, int64(off)); err != nil {
		return err
	}
	for rest := notes; ; {
		n, ok := nextNote(&rest)
		switch {
		case !ok:
			return blame.New(blame.Usage, path+": no core of kcatch's own", "")
		case n.name != stateName || n.kind != stateType:
			continue
		case len(state) > len(n.desc):
			return fmt.Errorf("core: a state of %d bytes in the place of one of %d", len(state), len(n.desc))
		}
		at := int64(off) + int64(len(notes)-len(rest)-len(n.desc)-(-len(n.desc)&3))
		if _, err := f.WriteAt(room(state, len(n.desc)-len(state)), at); err != nil {
			return err
		}
		return f.Close()
	}
}
