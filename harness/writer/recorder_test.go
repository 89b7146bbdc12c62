package writer

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/rsp"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// machine is a page of RAM at 0x5000 that two virtual addresses map: 0xffff888000005000 and, from a moment on, 0x5000.
type machine struct {
	ram      [4096]byte
	identity uint64 // what 0x5000 maps to
}

const (
	page   = 0x5000
	direct = 0xffff888000000000
)

func (m *machine) ReadPhysical(p []byte, pa uint64) (int, error) {
	return copy(p, m.ram[pa-page:]), nil
}

func (m *machine) translate(va uint64) (pa, n uint64, err error) {
	switch va &^ 0xfff {
	case direct + page:
		return page + va&0xfff, 4096 - va&0xfff, nil
	case page:
		return m.identity + va&0xfff, 4096 - va&0xfff, nil
	}
	return 0, 0, errors.New("not mapped")
}

// write stores a word and tells the recorder, as code called name does at an address.
func (m *machine) write(r *Recorder, name string, va uint64, v uint32) watch.Next {
	if pa, _, _ := m.translate(va); pa&^0xfff == page {
		binary.LittleEndian.PutUint32(m.ram[pa-page:], v)
	}
	return r.Written(watch.Write{Addr: va, Regs: amd64.Registers{}}, name == "loader", m.translate, func(uint64, int) autopsy.Chain {
		return autopsy.Chain{Frames: []verdict.Frame{{Function: name}}, Traps: []autopsy.Trap{{PtRegs: map[string]uint64{"handler": 0x77}[name]}}}
	})
}

func recorder(t *testing.T, m *machine) *Recorder {
	t.Helper()
	pieces, err := Split(direct+page+0x34, 4, m.translate)
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(m, Maps{Direct: direct}, []Target{{Expression: "x", Addr: direct + page + 0x34, Size: 4, Pieces: pieces}})
	var at []uint64
	for _, b := range r.Watchpoints() {
		at = append(at, b.Addr)
	}
	if want := []uint64{direct + page + 0x34, page + 0x34}; !slices.Equal(at, want) {
		t.Fatalf("watchpoints at %x, want %x", at, want)
	}
	return r
}

func names(a Answer) (out []string) {
	for _, e := range a.Events {
		out = append(out, e.Chain.Frames[0].Function)
	}
	return out
}

// TestWriters: writes by both addresses count, those of other memory at the same address do not, and loading is one.
func TestWriters(t *testing.T) {
	m := &machine{identity: page}
	r := recorder(t, m)
	m.write(r, "loader", page+0x34, 1)
	m.write(r, "loader", page+0x34, 2)
	m.write(r, "a", direct+page+0x34, 3)
	m.identity = 0x9000
	for i := range maxForeign {
		if next := m.write(r, "stranger", page+0x34, 9); (next == watch.Drop) != (i == maxForeign-1) {
			t.Errorf("stop %d at foreign memory: next %d", i, next)
		}
	}
	m.write(r, "b", direct+page+0x34, 4)
	a := r.Answers(false, 0)[0]
	if got := names(a); !slices.Equal(got, []string{"loader", "a", "b"}) || a.Writers != 3 || a.Missed || a.Value != 4 {
		t.Errorf("writers %v (%d), value %d, missed %v", got, a.Writers, a.Value, a.Missed)
	}
	if e := a.Events[0]; e.Times != 2 || e.Old != 0 || e.New != 2 || e.Via != Identity {
		t.Errorf("loading: %+v", e)
	}
	if e := a.Events[2]; e.Old != 3 || e.New != 4 || e.Via != Own {
		t.Errorf("the last: %+v", e)
	}
	if !slices.Equal(a.Dropped, []Kind{Identity}) {
		t.Errorf("dropped: %v", a.Dropped)
	}
}

// TestAfterTheDeath: what is written after the cut, or in the handler of the death's own exception, does not count.
func TestAfterTheDeath(t *testing.T) {
	m := &machine{identity: page}
	r := recorder(t, m)
	m.write(r, "a", direct+page+0x34, 3)
	r.Cut()
	m.write(r, "b", direct+page+0x34, 4)
	m.write(r, "handler", direct+page+0x34, 5)
	for _, tc := range []struct {
		cut    bool
		ptRegs uint64
		want   []string
		value  uint64
	}{{true, 0, []string{"a"}, 3}, {false, 0, []string{"a", "b", "handler"}, 5}, {false, 0x77, []string{"a", "b"}, 4}} {
		a := r.Answers(tc.cut, tc.ptRegs)[0]
		if got := names(a); !slices.Equal(got, tc.want) || a.Writers != len(tc.want) || a.Value != tc.value || a.Missed {
			t.Errorf("cut %v, pt_regs 0x%x: %v (%d), value %d, missed %v", tc.cut, tc.ptRegs, got, a.Writers, a.Value, a.Missed)
		}
	}
	r.End()
	if next := m.write(r, "c", direct+page+0x34, 6); next != watch.Drop {
		t.Errorf("after the end: next %d", next)
	}
	if a := r.Answers(false, 0)[0]; a.Writers != 3 || a.Value != 5 {
		t.Errorf("after the end: %d writers, value %d", a.Writers, a.Value)
	}
}

// TestTheDirectMapMoves: the kernel says where it has put it, and the watchpoint follows.
func TestTheDirectMapMoves(t *testing.T) {
	m := &machine{identity: page}
	const old, variable = direct + 0x40000000, direct + page + 0x80
	r := NewRecorder(m, Maps{Direct: old, DirectVar: variable, DirectVarPhys: page + 0x80},
		[]Target{{Expression: "x", Addr: page + 0x34, Size: 4, Pieces: []Piece{{page + 0x34, page + 0x34, 4}}}})
	at := func(addr uint64) bool {
		return slices.ContainsFunc(r.Watchpoints(), func(b rsp.Breakpoint) bool { return b.Addr == addr })
	}
	if !at(old+page+0x34) || !at(variable) {
		t.Fatalf("watchpoints %v", r.Watchpoints())
	}
	set := func(v uint64) watch.Next {
		binary.LittleEndian.PutUint64(m.ram[0x80:], v)
		return r.Written(watch.Write{Addr: variable}, false, m.translate, nil)
	}
	if next := set(7); next != watch.Keep || !at(old+page+0x34) {
		t.Errorf("an address that is none: next %d, watchpoints %v", next, r.Watchpoints())
	}
	if next := set(direct); next != watch.Moved || at(old+page+0x34) || !at(direct+page+0x34) {
		t.Errorf("moved: next %d, watchpoints %v", next, r.Watchpoints())
	}
	m.write(r, "a", direct+page+0x34, 3)
	if a := r.Answers(false, 0)[0]; a.Writers != 1 || a.Events[0].Via != Direct {
		t.Errorf("%d writers: %+v", a.Writers, a.Events)
	}
}

// TestTwoTargetsOfOneWord: QEMU says only that something under the watchpoint was written. What changed tells whose it was.
func TestTwoTargetsOfOneWord(t *testing.T) {
	const at = direct + page + 0x40
	for _, tc := range []struct {
		name   string
		second uint64 // its address; the first is of four bytes at at
		size   int
		points int // watchpoints
		want   [2]int
	}{
		{"the same address", at, 8, 2, [2]int{1, 2}}, {"a part of it", at + 2, 2, 2, [2]int{1, 1}}, {"one beside it", at + 4, 4, 4, [2]int{1, 1}},
	} {
		m := &machine{identity: page}
		var targets []Target
		for _, of := range []struct {
			addr uint64
			size int
		}{{at, 4}, {tc.second, tc.size}} {
			pieces, err := Split(of.addr, of.size, m.translate)
			if err != nil {
				t.Fatal(err)
			}
			targets = append(targets, Target{Addr: of.addr, Size: of.size, Pieces: pieces})
		}
		r := NewRecorder(m, Maps{Direct: direct}, targets)
		stands := r.Watchpoints()
		if len(stands) != tc.points {
			t.Errorf("%s: watchpoints %v, want %d", tc.name, stands, tc.points)
		}
		for _, w := range []struct{ off, v uint32 }{{0, 0x01010101}, {4, 7}} {
			binary.LittleEndian.PutUint32(m.ram[0x40+w.off:], w.v)
			for _, b := range stands {
				if overlap(b, at+uint64(w.off), 4) {
					r.Written(watch.Write{Addr: b.Addr}, false, m.translate, func(uint64, int) autopsy.Chain { return autopsy.Chain{} })
					break
				}
			}
		}
		got := r.Answers(false, 0)
		for i, a := range got {
			if a.Writers != tc.want[i] || a.Missed || a.Shared != (tc.points == 2) {
				t.Errorf("%s: target %d: %d writers, want %d; missed %v, shared %v", tc.name, i, a.Writers, tc.want[i], a.Missed, a.Shared)
			}
		}
	}
}

// TestOneStoreOfTwoTargets: page_init_poison() stores eight bytes at once over _mapcount and _refcount, and QEMU reports the watchpoint
// of one of them. The next store is to one alone.
func TestOneStoreOfTwoTargets(t *testing.T) {
	const at = direct + page + 0x30
	m := &machine{identity: page}
	var targets []Target
	for _, addr := range []uint64{at + 4, at, at + 0x200} {
		targets = append(targets, Target{Addr: addr, Size: 4, Pieces: []Piece{{addr, addr - direct, 4}}})
	}
	r := NewRecorder(m, Maps{Direct: direct}, targets)
	stop := func(name string, addr uint64) {
		r.Written(watch.Write{Addr: addr}, false, m.translate, func(uint64, int) autopsy.Chain {
			return autopsy.Chain{Frames: []verdict.Frame{{Function: name}}}
		})
	}
	binary.LittleEndian.PutUint64(m.ram[0x30:], 1<<64-1)
	m.ram[0x230] = 1 // by nobody that was seen
	stop("memset", at)
	binary.LittleEndian.PutUint32(m.ram[0x34:], 1)
	stop("init", at+4)
	got := r.Answers(false, 0)
	for i, want := range [][]string{{"memset", "init"}, {"memset"}, nil} {
		if a := got[i]; !slices.Equal(names(a), want) || a.Missed != (i == 2) {
			t.Errorf("target %d: writers %v, want %v; missed %v", i, names(a), want, a.Missed)
		}
	}
	if e := got[0].Events; len(e) == 2 && (e[1].Old != 0xffffffff || e[1].New != 1 || e[0].Old != 0) {
		t.Errorf("the values: %+v", e)
	}
}

// TestManyWritesOfTheHandler: what prints the death writes more often than is kept, and what was before is known all the same. The
// same stack address has served another exception before.
func TestManyWritesOfTheHandler(t *testing.T) {
	m := &machine{identity: page}
	r := recorder(t, m)
	m.write(r, "handler", direct+page+0x34, 6)
	m.write(r, "a", direct+page+0x34, 7)
	for i := range 2 * Kept {
		m.write(r, "handler", direct+page+0x34, 100+uint32(i))
	}
	a := r.Answers(false, 0x77)[0]
	if got := names(a); !slices.Equal(got, []string{"handler", "a"}) || a.Writers != 2 || a.Value != 7 || a.Missed {
		t.Errorf("writers %v (%d), value %d, missed %v; want 7 by a", got, a.Writers, a.Value, a.Missed)
	}
	if a := r.Answers(false, 0)[0]; a.Writers != 2+2*Kept || len(a.Events) != Kept {
		t.Errorf("without an exception: %d writers, %d kept", a.Writers, len(a.Events))
	}
}

// TestDroppedOnce: one address of two targets is given up once, and told once.
func TestDroppedOnce(t *testing.T) {
	m := &machine{identity: 0x9000}
	piece := []Piece{{direct + page + 0x34, page + 0x34, 4}}
	r := NewRecorder(m, Maps{}, []Target{{Size: 4, Pieces: piece}, {Size: 4, Pieces: piece}})
	for range maxForeign + 5 {
		m.write(r, "stranger", page+0x34, 9)
	}
	for _, a := range r.Answers(false, 0) {
		if !slices.Equal(a.Dropped, []Kind{Identity}) {
			t.Errorf("dropped: %v", a.Dropped)
		}
	}
}

// TestMissed: a write that nobody saw shows by the value.
func TestMissed(t *testing.T) {
	m := &machine{identity: page}
	r := recorder(t, m)
	m.write(r, "a", direct+page+0x34, 3)
	m.ram[0x34] = 9
	if a := r.Answers(false, 0)[0]; !a.Missed || a.Value != 9 {
		t.Errorf("missed %v, value %d", a.Missed, a.Value)
	}
}

// TestManyWriters: the last are kept, all are counted, and where there are too many the watchpoint rests.
func TestManyWriters(t *testing.T) {
	m := &machine{identity: page}
	r := recorder(t, m)
	for i := range maxHits + 10 {
		next := m.write(r, "tick", direct+page+0x34, uint32(i+1))
		if (next == watch.Rest) != (i >= maxHits) {
			t.Errorf("write %d: next %d", i, next)
		}
	}
	m.ram[0x34] = 0
	r.Rearmed(direct + page + 0x34)
	m.write(r, "tick", direct+page+0x34, 1)
	a := r.Answers(false, 0)[0]
	if a.Writers != maxHits+11 || len(a.Events) != Kept || !a.Sampled || a.Missed {
		t.Errorf("%d writers, %d kept, sampled %v, missed %v", a.Writers, len(a.Events), a.Sampled, a.Missed)
	}
	if e := a.Events[Kept-1]; e.Old&0xff != 0 || e.New&0xff != 1 {
		t.Errorf("the last: %+v", e)
	}
}

func TestName(t *testing.T) {
	header := verdict.Frame{Function: "arch_atomic_set", File: "arch/x86/include/asm/atomic.h", Inline: true}
	helper := verdict.Frame{Function: "memset_orig", File: "arch/x86/lib/memset_64.S"}
	inlined := verdict.Frame{Function: "__init_single_page", File: "mm/mm_init.c", Inline: true}
	owner := verdict.Frame{Function: "init_unavailable_range", File: "mm/mm_init.c"}
	for _, tc := range []struct {
		frames []verdict.Frame
		want   string
	}{
		{[]verdict.Frame{header, inlined, owner}, "__init_single_page"}, {[]verdict.Frame{helper, owner}, "init_unavailable_range"},
		{[]verdict.Frame{header, owner}, "init_unavailable_range"}, {[]verdict.Frame{helper}, "memset_orig"},
	} {
		if f := Name(tc.frames); f == nil || f.Function != tc.want {
			t.Errorf("%v: %v, want %s", tc.frames, f, tc.want)
		}
	}
	// Symbols of 6.1 and 6.12 that begin as a helper's name does, and helpers by other forms of theirs.
	for name, helper := range map[string]bool{
		"clear_page_dirty_for_io": false, "copy_page_range": false, "copy_page_to_iter": false, "memcpy_fromio": false, "bitmap_alloc": false,
		"__copy_io": false, "clear_page_erms": true, "clear_page_rep": true, "__memcpy": true, "memcpy_orig": true, "memcpy.constprop.0": true,
		"__bitmap_set": true, "bitmap_zero": true, "__set_bit": true, "sized_strscpy": true, "copy_page": true,
	} {
		want := name
		if helper {
			want = owner.Function
		}
		if f := Name([]verdict.Frame{{Function: name, File: "lib/x.c"}, owner}); f.Function != want {
			t.Errorf("%s wrote: %s is named, want %s", name, f.Function, want)
		}
	}
	if f := Name(nil); f != nil {
		t.Errorf("no frames: %v", f)
	}
}
