package vmlinux

import (
	"testing"

	"kcatch/internal/fixtures"
)

// The expected layout is gdb's: gdb -batch -ex 'ptype /o struct ring' testdata/tiny.elf (GDB 13.1).
func TestStruct(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-dwarf4", "tiny-zstd"} {
		f := openTiny(t, name)
		anchor, _ := f.Symbol("start_kernel")
		s, err := f.Struct(anchor.Addr, "ring")
		if err != nil {
			t.Fatal(err)
		}
		if s.Size != 112 {
			t.Errorf("%s: size %d", name, s.Size)
		}
		for _, tt := range []struct {
			path                                string
			offset, size, count, bitOff, bitLen uint64
		}{
			{"head", 0, 16, 0, 0, 0},
			{"head.value", 8, 4, 0, 0, 0},
			{"state", 16, 4, 0, 0, 3},
			{"order", 16, 4, 0, 3, 5},
			{"count", 20, 4, 0, 0, 0},
			{"high", 22, 2, 0, 0, 0},
			{"slots", 24, 64, 4, 0, 0},
			{"slots.value", 32, 4, 0, 0, 0},
			{"map", 88, 16, 16, 0, 0},
			{"where", 104, 8, 0, 0, 0},
			{"tail", 112, 0, 0, 0, 0},
		} {
			got, ok := s.Field(tt.path)
			if !ok || got.Offset != tt.offset || got.Size != tt.size || got.Count != tt.count ||
				got.BitOffset != tt.bitOff || got.BitSize != tt.bitLen {
				t.Errorf("%s: %s: got %+v, %v, want %+v", name, tt.path, got, ok, tt)
			}
		}
		for _, path := range []string{"", ".", "none", "head.none", "where.x", "count.", ".count"} {
			if got, ok := s.Field(path); ok {
				t.Errorf("%q: %+v", path, got)
			}
		}
		if a, err := f.Struct(anchor.Addr, "atomic_t"); err != nil || a.Size != 4 || len(a.Fields) != 1 {
			t.Errorf("typedef: %+v, %v", a, err)
		}
		if _, err := f.Struct(anchor.Addr, "nothing"); err == nil {
			t.Error("a structure out of nothing")
		}
	}
}

// TestStructOfKernel: offsets from gdb 13.1's ptype /o on the fixture's kernel, or fixed by the ABI.
func TestStructOfKernel(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	printk, _ := f.Symbol("vprintk_emit")
	ring, err := f.Struct(printk.Addr, "printk_ringbuffer")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint64{"desc_ring": 0, "desc_ring.count_bits": 0, "desc_ring.descs": 8, "text_data_ring.size_bits": 48} {
		if got, ok := ring.Field(path); !ok || got.Offset != want {
			t.Errorf("%s: %+v %v, want %d", path, got, ok, want)
		}
	}
	fault, _ := f.Symbol("do_early_exception")
	regs, err := f.Struct(fault.Addr, "pt_regs")
	if err != nil || regs.Size != 168 {
		t.Fatalf("%+v, %v", regs, err)
	}
	for path, want := range map[string]uint64{"r15": 0, "bp": 32, "orig_ax": 120, "ip": 128, "ss": 160} {
		if got, _ := regs.Field(path); got.Offset != want {
			t.Errorf("pt_regs.%s at %d, want %d", path, got.Offset, want)
		}
	}
	sched, _ := f.Symbol("schedule")
	task, err := f.Struct(sched.Addr, "task_struct")
	if err != nil {
		t.Fatal(err)
	}
	if comm, ok := task.Field("comm"); !ok || comm.Size != 16 || comm.Count != 16 {
		t.Errorf("comm %+v", comm)
	}
	if vruntime, ok := task.Field("se.vruntime"); !ok || vruntime.Size != 8 {
		t.Errorf("se.vruntime %+v", vruntime)
	}
}
