package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/harness/machine"
	"kcatch/internal/blame"
)

// TestNoReverse: a QEMU that does not record, and a disk that is too full, are refused in one line before the boot.
func TestNoReverse(t *testing.T) {
	dir := t.TempDir()
	qemu := filepath.Join(dir, "qemu")
	if err := os.WriteFile(qemu, []byte("#!/bin/sh\necho 'qemu: -icount: record/replay is not supported' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := &boot{plan: Plan{QEMU: qemu, Hold: &Hold{Reverse: true}}, artifacts: artifacts{dir: dir}}
	err := b.canReverse(t.Context())
	if blame.Of(err) != blame.Infrastructure || err.Error() != "debug: --reverse: this QEMU cannot: record: -icount: record/replay is not supported" ||
		!strings.Contains(blame.Hint(err), "--who-wrote") {
		t.Errorf("%v, hint %q", err, blame.Hint(err))
	}
	b.plan.Hold.Reverse = false
	if err := b.canReverse(t.Context()); err != nil {
		t.Errorf("nobody asked: %v", err)
	}
	err = roomFor(dir, 1<<62)
	if blame.Of(err) != blame.Infrastructure || !strings.HasSuffix(err.Error(), "a recording may take 4398046511104 MiB") {
		t.Error(err)
	}
}

func TestSameStop(t *testing.T) {
	at := func(rip, rsp, flags uint64) []machine.CPUState {
		return []machine.CPUState{{RIP: rip, RSP: rsp, RFLAGS: flags}}
	}
	for _, got := range [][]machine.CPUState{nil, at(2, 2, 3), at(1, 1, 3), at(1, 2, 2)} {
		if sameStop(at(1, 2, 3), got) == nil {
			t.Errorf("the same: %v", got)
		}
	}
	if err := sameStop(at(1, 2, 3), at(1, 2, 3)); err != nil {
		t.Error(err)
	}
}
