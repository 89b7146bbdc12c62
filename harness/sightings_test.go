package harness

import (
	"strings"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/watch"
	"kcatch/harness/writer"
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

// TestBootsThatDiffer: the sentence has the two numbers that differ, whichever these are.
func TestBootsThatDiffer(t *testing.T) {
	same := exact{slide: 0x200000, maps: writer.Maps{Direct: 0xffff888000000000, ImagePhys: 0x1000000}}
	if why := same.differs(&exact{slide: same.slide, maps: same.maps}); why != "" {
		t.Errorf("the same: %s", why)
	}
	for what, change := range map[string]func(*exact){
		"0x200000 and 0x400000":                     func(x *exact) { x.slide = 0x400000 },
		"0x1000000 and 0x1200000":                   func(x *exact) { x.maps.ImagePhys = 0x1200000 },
		"0xffff888000000000 and 0xffff888040000000": func(x *exact) { x.maps.Direct = 0xffff888040000000 },
	} {
		other := exact{slide: same.slide, maps: same.maps}
		change(&other)
		if why := same.differs(&other); !strings.HasSuffix(why, what) {
			t.Errorf("%q, want %s", why, what)
		}
	}
}
