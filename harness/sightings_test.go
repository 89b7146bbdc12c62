package harness

import (
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/watch"
)

// TestSightingsByLoad: that one load is read in a loop does not hide the only run of another, and that not each was seen is said of the
// group that it is in.
func TestSightingsByLoad(t *testing.T) {
	// mov (%rdi),%eax; mov 8(%rdi),%ecx; test %eax,%eax; jne; cmp $0,%ecx; jne; ret; ud2
	code := []byte{0x8b, 0x07, 0x8b, 0x4f, 0x08, 0x85, 0xc0, 0x75, 0x06, 0x83, 0xf9, 0x00, 0x75, 0x01, 0xc3, 0x0f, 0x0b}
	groups, err := linux.ConditionLoads([]linux.Code{{Bytes: code}}, uint64(len(code)-2))
	if err != nil || len(groups) != 2 {
		t.Fatalf("%d groups, %v", len(groups), err)
	}
	var s sightings
	often, once := groups[0], groups[1]
	s.begin(groups)
	for i := range maxSightings + 2 {
		next := s.saw(0, amd64.Registers{RIP: often[0].PC, RDI: uint64(i)})
		if (next == watch.Rest) != (i >= maxSightings) {
			t.Fatalf("run %d: next %d", i, next)
		}
	}
	if next := s.saw(0, amd64.Registers{RIP: once[0].PC, RDI: 0x1000}); next != watch.Keep {
		t.Errorf("the first run of the other: next %d", next)
	}
	if at, ok := s.last(often, false); !ok || !at.sampled || at.addr != maxSightings+1 {
		t.Errorf("the one in the loop: %+v, %v", at, ok)
	}
	if at, ok := s.last(once, false); !ok || at.sampled || at.addr != 0x1008 {
		t.Errorf("the other: %+v, %v", at, ok)
	}
}
