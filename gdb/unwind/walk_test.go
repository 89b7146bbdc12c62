package unwind

import (
	"testing"

	"kcatch/gdb/amd64"
)

// trapStack is: leaf's return address, then a pt_regs at 0x10010, then the interrupted function's return address.
func trapStack(ip, sp, cs uint64) stack {
	regs := make([]uint64, 21)
	regs[4], regs[5] = 0x77, 0x55 // bp, bx
	regs[16], regs[17], regs[19] = ip, cs, sp
	words := append([]uint64{0xaa, 0x2003}, regs...)
	return stack{base: 0x10000, words: append(words, 0xbb, 0x4005, 0, 0)}
}

// returnedTo is a trapStack whose interrupted function has returned: its return address is gone from the stack, its caller's is left.
func returnedTo(s stack) stack {
	s.words[len(s.words)-3] = 7
	s.words = append(s.words, 0x4005, 0)
	return s
}

func TestWalk(t *testing.T) {
	end := Row{End: true}
	leaf, outer := spRow(16), spRow(16)
	image := code{
		{0x1000, 0x1100, leaf, ByORC},
		{0x2000, 0x2100, PtRegsRow(amd64.RSP, 0), ByORC},
		{0x3000, 0x3100, outer, ByORC},
		{0x4000, 0x4100, end, ByORC},
		{0x5000, 0x5100, Row{}, ""},       // text without a row
		{0x6000, 0x6100, spRow(0), ByORC}, // steps nowhere
		{0x7000, 0x7100, Row{CFA: CFARule{Kind: CFAChain}}, ByFramePointer},
		{0x8000, 0x8100, Row{CFA: CFARule{Kind: CFAScan}}, ByScan},
		{0x9000, 0x9100, callRow(CFARule{Kind: CFAIndirect, Reg: amd64.RSP, Add: 8}), ByORC},
	}
	tests := []struct {
		name  string
		start State
		mem   stack
		want  string
	}{
		{"through an exception", start(0x1010, 0x10000, 0), trapStack(0x3010, 0x100b8, 0x10),
			"0x1010 registers, 0x2003 orc, 0x3010 regs!, 0x4005 orc: end of stack"},
		{"user mode", start(0x1010, 0x10000, 0), trapStack(0x3010, 0x100b8, 0x33),
			"0x1010 registers, 0x2003 orc: user mode at 0x3010"},
		{"fred bits above cs", start(0x1010, 0x10000, 0), trapStack(0x3010, 0x100b8, 3<<16|0x10),
			"0x1010 registers, 0x2003 orc, 0x3010 regs!, 0x4005 orc: end of stack"},
		{"empty pt_regs", start(0x1010, 0x10000, 0), trapStack(0, 0, 0),
			"0x1010 registers, 0x2003 orc: end of stack"},
		{"call through null, innermost", start(0, 0x10008, 0), trapStack(0x3010, 0x100b8, 0x10),
			"0x0 registers, 0x2003 scan, 0x3010 regs!, 0x4005 orc: end of stack"},
		{"call through null, interrupted", start(0x1010, 0x10000, 0), trapStack(0, 0x100c0, 0x10),
			"0x1010 registers, 0x2003 orc, 0x0 regs!, 0x4005 scan: end of stack"},
		{"wild and nothing on the stack", start(0x666, 0x10000, 0), stack{0x10000, []uint64{0xdead}},
			"0x666 registers: pc 0x666 is in no code"},
		{"return to null, above the caller's locals", start(0, 0x10000, 0), stack{0x10000, []uint64{7, 0x666, 0x4005, 0}},
			"0x0 registers, 0x4005 scan: end of stack"},
		{"return to null, interrupted", start(0x1010, 0x10000, 0), returnedTo(trapStack(0, 0x100c0, 0x10)),
			"0x1010 registers, 0x2003 orc, 0x0 regs!, 0x4005 scan: end of stack"},
		{"return to nowhere", start(0x1010, 0x10000, 0), stack{0x10000, []uint64{0, 0xdead, 0}},
			"0x1010 registers, 0xdead orc: pc 0xdead is in no code"},
		{"no row", start(0x5010, 0x10000, 0), stack{}, "0x5010 registers: no unwind data at 0x5010"},
		{"unreadable", start(0x1010, 0x20000, 0), stack{}, "0x1010 registers: unreadable stack memory at 0x20008"},
		{"no progress", start(0x6010, 0x10008, 0), stack{0x10000, []uint64{0x6011, 0}},
			"0x6010 registers: unwinding at 0x6010 does not advance"},
		{"loop over two stacks", start(0x9010, 0x10000, 0), stack{0x10000, []uint64{0x10010, 0, 0x9020, 0x10020, 0x9020, 0x10010}},
			"0x9010 registers, 0x9020 orc, 0x9020 orc: unwinding at 0x9020 does not advance"},
		{"stack switch downwards", start(0x9010, 0x10020, 0), stack{0x10000, []uint64{0, 0x4005, 0, 0, 0x10008}},
			"0x9010 registers, 0x4005 orc: end of stack"},
		{"frame pointers", start(0x7010, 0x10000, 0x10000), stack{0x10000, []uint64{0x10010, 0x7020, 0, 0x7030, 0}},
			"0x7010 registers, 0x7020 frame-pointer, 0x7030 frame-pointer: end of stack"},
		{"frame pointer marks pt_regs", start(0x7010, 0, 0x10011), trapStack(0x3010, 0x100b8, 0x10),
			"0x7010 registers, 0x3010 regs!, 0x4005 orc: end of stack"},
		{"scan", start(0x8010, 0x10000, 0), stack{0x10000, []uint64{7, 0x666, 0x8020, 0, 0x4005}},
			"0x8010 registers, 0x8020 scan, 0x4005 scan: end of stack"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := chain(Walk(tc.start, tc.mem, image)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWalkTooDeep(t *testing.T) {
	words := make([]uint64, 2*MaxFrames+8)
	for i := range words {
		words[i] = 0x1010
	}
	got := Walk(start(0x1010, 0x10000, 0), stack{0x10000, words}, code{{0x1000, 0x1100, spRow(8), ByORC}})
	if len(got.Frames) != MaxFrames || got.Stop.Reason != TooDeep {
		t.Errorf("%d frames, %s; want %d", len(got.Frames), got.Stop, MaxFrames)
	}
}

func TestWalkPtRegs(t *testing.T) {
	image := code{{0x2000, 0x2100, PtRegsRow(amd64.RSP, 0), ByORC}, {0x3000, 0x3100, Row{End: true}, ByORC}}
	got := Walk(start(0x2010, 0x10010, 0), trapStack(0x3010, 0x100b8, 0x10), image)
	if len(got.Frames) != 2 {
		t.Fatal(chain(got))
	}
	f := got.Frames[1]
	bx, known := f.State.Get(amd64.RBX)
	if f.PtRegs != 0x10010 || !f.Interrupted || bx != 0x55 || !known || f.PC.Lookup() != 0x3010 {
		t.Errorf("frame %+v, rbx 0x%x %v", f, bx, known)
	}
}

// TestSaved checks that .debug_frame's rules for callee-saved registers count only where both rows agree on the CFA.
func TestSaved(t *testing.T) {
	saved := spRow(24)
	saved.Regs[amd64.RBX] = Rule{Kind: AtCFA, Offset: -16}
	saved.Regs[amd64.R12] = Rule{Kind: Same}
	row := spRow(24)
	row.Saved = &saved
	mem := stack{0x10000, []uint64{1, 2, 0x3003}}
	from := start(0x1000, 0x10000, 0)
	from.Set(amd64.R12, 12)
	c, err := Step(row, from, mem)
	if err != nil {
		t.Fatal(err)
	}
	rbx, ok1 := c.State.Get(amd64.RBX)
	r12, ok2 := c.State.Get(amd64.R12)
	if _, ok3 := c.State.Get(amd64.R13); rbx != 2 || r12 != 12 || !ok1 || !ok2 || ok3 {
		t.Errorf("rbx 0x%x %v r12 0x%x %v r13 %v", rbx, ok1, r12, ok2, ok3)
	}
	row.Saved.CFA.Offset = 16
	c, err = Step(row, from, mem)
	if _, known := c.State.Get(amd64.RBX); known || err != nil {
		t.Errorf("rules of a row with another CFA were used (%v)", err)
	}
}

func TestLookup(t *testing.T) {
	if got := (PC{0x1000, Exact}).Lookup(); got != 0x1000 {
		t.Errorf("exact: 0x%x", got)
	}
	if got := (PC{0x1000, Return}).Lookup(); got != 0xfff {
		t.Errorf("return: 0x%x", got)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint64(0x1000), uint64(0x10000), uint64(0x10000))
	image := code{
		{0, 0x40, spRow(8), ByORC},
		{0x40, 0x60, PtRegsRow(amd64.RSP, 0), ByORC},
		{0x60, 0x80, Row{CFA: CFARule{Kind: CFAChain}}, ByFramePointer},
		{0x80, 0xa0, Row{CFA: CFARule{Kind: CFAScan}}, ByScan},
		{0xa0, 0xc0, callRow(CFARule{Kind: CFAIndirect, Reg: amd64.RSP, Add: 8}), ByORC},
		{0xc0, 0xe0, iretRow(CFARule{Kind: CFARegister, Reg: amd64.RBP}), ByORC},
		{0xe0, 0xf0, Row{}, ByORC},
	}
	f.Fuzz(func(t *testing.T, raw []byte, ip, sp, bp uint64) {
		words := make([]uint64, 0, len(raw))
		for i, b := range raw {
			v := uint64(b)
			if i%3 == 0 {
				v = 0x10000 + uint64(b)*8
			}
			words = append(words, v)
		}
		got := Walk(start(ip&0xff, 0x10000+sp%2048, 0x10000+bp%2048), stack{0x10000, words}, image)
		if len(got.Frames) == 0 || len(got.Frames) > MaxFrames || got.Stop.Reason == 0 {
			t.Errorf("%s", chain(got))
		}
	})
}
