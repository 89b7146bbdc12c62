package linux

import (
	"encoding/binary"
	"testing"
)

// bugTable makes a table at 0x1000 with strings at 0x2000 in one of the layouts.
func bugTable(l BugLayout, addrs ...uint64) BugTable {
	m := memory{0x1000, make([]byte, 0x2000)}
	copy(m.data[0x1000:], "mm/page_alloc.c\x00bad page %p\n\x00")
	for i, a := range addrs {
		off := i * l.Size
		rel := func(field int, to uint64) {
			if field >= 0 {
				binary.LittleEndian.PutUint32(m.data[off+field:], uint32(to-0x1000-uint64(off+field)))
			}
		}
		rel(l.Addr, a)
		rel(l.File, 0x2000)
		rel(l.Format, 0x2010)
		if l.Line >= 0 {
			binary.LittleEndian.PutUint16(m.data[off+l.Line:], uint16(500+i))
		}
		binary.LittleEndian.PutUint16(m.data[off+l.Flags:], uint16(9<<8|i))
	}
	return BugTable{Addr: 0x1000, Data: m.data[:len(addrs)*l.Size], Layout: l, Strings: m}
}

func TestBugTable(t *testing.T) {
	isText := func(a uint64) bool { return a >= 0x100 && a < 0x800 }
	for _, tc := range []struct {
		name string
		l    BugLayout
		want Bug
	}{
		{"12 bytes", bugVerbose, Bug{Addr: 0x400, File: "mm/page_alloc.c", Line: 503, Warning: true, Once: true, Taint: 9}},
		{"8 bytes", bugPlain, Bug{Addr: 0x400, Warning: true, Once: true, Taint: 9}},
		{"16 bytes", bugFormat, Bug{Addr: 0x400, File: "mm/page_alloc.c", Line: 503, Warning: true, Once: true, Taint: 9, Format: "bad page %p\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table := bugTable(tc.l, 0x100, 0x300, 0x200, 0x400, 0x50f)
			if got, ok := table.Find(0x400); !ok || got != tc.want {
				t.Errorf("got  %+v %v\nwant %+v", got, ok, tc.want)
			}
			if got, ok := table.Find(0x401); ok {
				t.Errorf("no entry, but %+v", got)
			}
			if l, ok := GuessBugLayout(table.Data, table.Addr, isText); !ok || l != tc.l {
				t.Errorf("guess: %+v %v", l, ok)
			}
			table.Strings = memory{}
			if got, ok := table.Find(0x400); !ok || got.File != "" || got.Line != tc.want.Line {
				t.Errorf("strings unreadable: %+v %v", got, ok)
			}
		})
	}
	if l, ok := GuessBugLayout(make([]byte, 24), 0x1000, isText); ok {
		t.Errorf("layout of nonsense: %+v", l)
	}
	s := member{"size": 12, "bug_addr_disp": 0, "file_disp": 4, "line": 8, "flags": 10}
	if l, err := BugLayoutFrom(s); err != nil || l != bugVerbose {
		t.Errorf("%+v %v", l, err)
	}
	s["flags"] = 11
	if l, err := BugLayoutFrom(s); err == nil {
		t.Errorf("field outside: %+v", l)
	}
}

func FuzzBugTable(f *testing.F) {
	table := bugTable(bugVerbose, 0x100, 0x200)
	f.Add(table.Data, 12, uint64(0x200))
	f.Fuzz(func(t *testing.T, data []byte, size int, addr uint64) {
		for _, l := range []BugLayout{bugPlain, bugVerbose, bugFormat, {Size: size, Addr: size - 4, Flags: size - 2, File: -1, Format: -1, Line: size / 2}} {
			table := BugTable{Addr: 0x1000, Data: data, Layout: l, Strings: memory{0x1000, data}}
			if b, ok := table.Find(addr); ok && b.Addr != addr {
				t.Errorf("%+v", b)
			}
		}
		GuessBugLayout(data, addr, func(uint64) bool { return true })
	})
}

func TestDecodeTrap(t *testing.T) {
	tests := []struct {
		code []byte
		want Trap
	}{
		{[]byte{0x0f, 0x0b, 0x90}, Trap{Kind: UD2, Len: 2}},
		{[]byte{0x67, 0x0f, 0x0b}, Trap{Kind: UD2, Len: 3}},
		{[]byte{0x67, 0x0f, 0xb9, 0x00}, Trap{Kind: UBSANTrap, Len: 4, Name: "add overflow"}},
		{[]byte{0x67, 0x0f, 0xb9, 0x40, 0x12}, Trap{Kind: UBSANTrap, Len: 5, Check: 0x12, Name: "out of bounds"}},
		{[]byte{0x67, 0x0f, 0xb9, 0x80, 0x16, 0, 0, 0}, Trap{Kind: UBSANTrap, Len: 8, Check: 0x16, Name: "type mismatch"}},
		{[]byte{0x67, 0x0f, 0xb9, 0x40, 0xff}, Trap{Kind: UBSANTrap, Len: 5, Check: -1}},
		{[]byte{0x67, 0x48, 0x0f, 0xb9, 0x3a}, Trap{Kind: UD1, Len: 5, Format: true}},
		{[]byte{0x0f, 0xb9, 0xcc}, Trap{Kind: UD1, Len: 3}},
		{[]byte{0xd6}, Trap{Kind: UDB, Len: 1}},
		{[]byte{0x0f, 0xb9}, Trap{}},
		{[]byte{0x67, 0x0f, 0xb9, 0x80, 1, 2}, Trap{}},
		{[]byte{0x0f}, Trap{}},
		{[]byte{0x90}, Trap{}},
		{nil, Trap{}},
	}
	for _, tc := range tests {
		if got := DecodeTrap(tc.code); got != tc.want {
			t.Errorf("% x: %+v, want %+v", tc.code, got, tc.want)
		}
	}
}

func TestDecodePtRegs(t *testing.T) {
	b := make([]byte, PtRegsSize)
	for i := range 21 {
		binary.LittleEndian.PutUint64(b[i*8:], uint64(i+1))
	}
	b[138] = 7 // FRED's bits above cs
	p, err := DecodePtRegs(b)
	r := p.Registers
	if err != nil || p.OrigAX != 16 || r.R15 != 1 || r.R14 != 2 || r.R13 != 3 || r.R12 != 4 || r.RBP != 5 || r.RBX != 6 ||
		r.R11 != 7 || r.R10 != 8 || r.R9 != 9 || r.R8 != 10 || r.RAX != 11 || r.RCX != 12 || r.RDX != 13 || r.RSI != 14 ||
		r.RDI != 15 || r.RIP != 17 || r.CS != 18 || r.EFLAGS != 19 || r.RSP != 20 || r.SS != 21 {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := DecodePtRegs(b[:167]); err == nil {
		t.Error("short pt_regs")
	}
	if got, err := ReadPtRegs(memory{0x1000, b}, 0x1000); err != nil || got != p {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := ReadPtRegs(memory{0x1000, b}, 0x1008); err == nil {
		t.Error("pt_regs over the end of memory")
	}
}
