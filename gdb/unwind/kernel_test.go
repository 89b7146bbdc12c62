package unwind

import (
	"errors"
	"testing"

	"kcatch/gdb/amd64"
)

// file is a vmlinux of a few functions of 0x100 bytes, linked at 0xffffffff81000000.
type file struct {
	orc   map[uint64]ORC // by function start; nil: no table
	cfi   map[uint64]Row
	names map[uint64]string
	code  map[uint64][]byte
}

const linkText = 0xffffffff81000000

func (f file) IsText(link uint64) bool { return link >= linkText && link < linkText+0x1000 }
func (f file) HasORC() bool            { return f.orc != nil }
func (f file) ORC(link uint64) (ORC, bool) {
	o, ok := f.orc[link&^0xff]
	return o, ok
}
func (f file) CFI(link uint64) (Row, error) {
	if r, ok := f.cfi[link&^0xff]; ok {
		return r, nil
	}
	return Row{}, errors.New("no FDE")
}
func (f file) Function(link uint64) (string, uint64, bool) {
	name, ok := f.names[link&^0xff]
	return name, link &^ 0xff, ok
}
func (f file) CodeAt(link uint64, n int) []byte {
	c := f.code[link&^0xff]
	off := int(link & 0xff)
	if off >= len(c) {
		return nil
	}
	return c[off:min(off+n, len(c))]
}

func TestKernel(t *testing.T) {
	const slide, phys = 0x1a00000, 0x3c00000
	call := ORC{SPReg: ORCSP, SPOffset: 16, Type: ORCTypeCall}
	orc := file{orc: map[uint64]ORC{
		linkText:         call,
		linkText + 0x100: {SPReg: ORCSP, SPOffset: 0, Type: ORCTypeRegs},
		linkText + 0x200: {Type: ORCTypeEnd},
	}}
	bare := file{
		names: map[uint64]string{linkText + 0x100: "early_idt_handler_common", linkText + 0x200: "secondary_startup_64_no_verify"},
		code: map[uint64][]byte{
			linkText:         {0x55, 0x48, 0x89, 0xe5, 0xe8, 0, 0, 0, 0},
			linkText + 0x300: {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0, 0xff, 0xd0, 0x90},
		},
	}
	cfi := bare
	cfi.cfi = map[uint64]Row{linkText: spRow(16)}
	gap := orc // objtool has nothing of the first function, and an undefined entry for the fourth
	gap.orc = map[uint64]ORC{linkText + 0x200: {Type: ORCTypeEnd}, linkText + 0x300: {SPReg: ORCUndefined}}
	gap.cfi = map[uint64]Row{linkText: spRow(16), linkText + 0x300: spRow(16)}
	asleep := gap
	asleep.names = map[uint64]string{linkText + 0x100: "do_suspend_lowlevel"}
	run := func(link uint64) uint64 { return link + slide }
	regs := func(ip uint64) stack {
		s := trapStack(ip, 0x100b8, 0x10)
		s.words[1] = run(linkText + 0x103)
		s.words[24] = run(linkText + 0x205)
		return s
	}
	tests := []struct {
		name   string
		kernel Kernel
		start  State
		mem    stack
		want   []FoundBy
		stop   Reason
	}{
		{"orc through regs", Kernel{Code: orc}, start(run(linkText+4), 0x10000, 0), regs(run(linkText + 8)),
			[]FoundBy{ByRegisters, ByORC, ByRegs, ByORC}, EndOfStack},
		{"identity mapped", Kernel{Code: orc, Phys: phys}, start(phys+4, 0x10000, 0), stack{0x10000, []uint64{0, phys + 0x201}},
			[]FoundBy{ByRegisters, ByORC}, EndOfStack},
		{"early_idt_handler_common by name, then cfi", Kernel{Code: cfi}, start(run(linkText+4), 0x10000, 0), regs(run(linkText + 8)),
			[]FoundBy{ByRegisters, ByCFI, ByRegs, ByCFI}, EndOfStack},
		{"cfi where orc has a gap", Kernel{Code: gap}, start(run(linkText+4), 0x10000, 0), stack{0x10000, []uint64{0, run(linkText + 0x305), 0, run(linkText + 0x201)}},
			[]FoundBy{ByRegisters, ByCFI, ByCFI}, EndOfStack},
		{"do_suspend_lowlevel by name, where orc has a gap", Kernel{Code: asleep}, start(run(linkText+0x304), 0x10000, 0), stack{0x10000, []uint64{0, run(linkText + 0x105), run(linkText + 0x201)}},
			[]FoundBy{ByRegisters, ByCFI, ByScan}, EndOfStack},
		{"a module's text is none of ours", Kernel{Code: orc}, start(0xffffffffc0000000, 0x10000, 0), stack{0x10000, []uint64{0}},
			[]FoundBy{ByRegisters}, OutsideText},
		{"scan skips words that follow no call", Kernel{Code: bare}, start(run(linkText+0x307), 0x10000, 0),
			stack{0x10000, []uint64{run(linkText + 0x30b), run(linkText + 0x30d), run(linkText + 0x30f), 1}},
			[]FoundBy{ByRegisters, ByScan, ByScan}, UnreadableStack},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tc.kernel.Slide, tc.kernel.Text, tc.kernel.End = slide, linkText, linkText+0x1000
			got := Walk(tc.start, tc.mem, &tc.kernel)
			same := got.Stop.Reason == tc.stop && len(got.Frames) == len(tc.want)
			for i := range tc.want {
				same = same && got.Frames[i].By == tc.want[i]
			}
			if !same {
				t.Errorf("got %s\nwant %v, %s", chain(got), tc.want, Stop{Reason: tc.stop})
			}
		})
	}
}

func TestFramePointerRow(t *testing.T) {
	p, ok := ParsePrologue([]byte{0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1f, 0x44, 0, 0, 0x55, 0x48, 0x89, 0xe5, 0x53})
	if !ok || p.Pushed != 10 || p.Set != 13 {
		t.Fatalf("prologue %+v %v", p, ok)
	}
	// The same frame, [0x10010] = caller's rbp 0x10040 and then the return address 0x4005, at four places of it.
	mem := stack{0x10000, []uint64{0, 0, 0x10040, 0x4005}}
	tests := []struct {
		offset uint64
		atRet  bool
		from   State
	}{
		{0, false, start(0, 0x10018, 0x10040)},
		{10, false, start(0, 0x10010, 0x10040)},
		{13, false, start(0, 0x10000, 0x10010)},
		{40, true, start(0, 0x10018, 0x10040)},
	}
	for _, tc := range tests {
		c, err := Step(FramePointerRow(p, tc.offset, tc.atRet), tc.from, mem)
		rbp, _ := c.State.Get(amd64.RBP)
		if err != nil || c.PC != (PC{0x4005, Return}) || c.CFA != 0x10020 || rbp != 0x10040 {
			t.Errorf("offset %d: %+v, %v", tc.offset, c, err)
		}
	}
	for _, code := range [][]byte{nil, {0x55}, {0x53, 0x55}, {0xf3, 0x0f}} {
		if p, ok := ParsePrologue(code); ok {
			t.Errorf("% x: %+v", code, p)
		}
	}
}

// TestScheduledPrologue: functions of a frame-pointer kernel, 6.1 by gcc 12, as gdb disassembles them.
func TestScheduledPrologue(t *testing.T) {
	for name, tc := range map[string]struct {
		code []byte
		want Prologue
	}{
		// push %rbp; xor %eax,%eax; mov %rsp,%rbp; push %r14
		"panic": {[]byte{0x55, 0x31, 0xc0, 0x48, 0x89, 0xe5, 0x41, 0x56}, Prologue{1, 6}},
		// push %rbp; xor %r9d,%r9d; mov $0xffffffff81a11600,%rdi; mov %rsp,%rbp; push %r15
		"start_kernel": {[]byte{0x55, 0x45, 0x31, 0xc9, 0x48, 0xc7, 0xc7, 0x00, 0x16, 0xa1, 0x81, 0x48, 0x89, 0xe5, 0x41, 0x57}, Prologue{1, 14}},
	} {
		if p, ok := ParsePrologue(tc.code); !ok || p != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", name, p, ok, tc.want)
		}
	}
}

func TestEndsInCall(t *testing.T) {
	tests := []struct {
		code []byte
		want bool
	}{
		{[]byte{0, 0, 0xe8, 1, 2, 3, 4}, true},          // call rel32
		{[]byte{0, 0, 0, 0, 0, 0xff, 0xd0}, true},       // call *%rax
		{[]byte{0, 0, 0, 0, 0xff, 0x50, 0x10}, true},    // call *0x10(%rax)
		{[]byte{0, 0xff, 0x15, 1, 2, 3, 4}, true},       // call *rip(0x...)
		{[]byte{0xff, 0x14, 0xc5, 0, 1, 2, 0x81}, true}, // call *table(,%rax,8)
		{[]byte{0, 0, 0, 0, 0, 0xff, 0xe0}, false},      // jmp *%rax
		{[]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}, false},
		{[]byte{0xff}, false},
		{nil, false},
	}
	for _, tc := range tests {
		if got := EndsInCall(tc.code); got != tc.want {
			t.Errorf("% x: %v, want %v", tc.code, got, tc.want)
		}
	}
}

// TestORC has one entry of each form and the formula it stands for.
func TestORC(t *testing.T) {
	mem := stack{0x10000, []uint64{0x10020, 0x99, 2, 3, 4, 5, 6, 7}}
	from := NewState(amd64.Registers{RIP: 1, RSP: 0x10000, RBP: 0x10008, R10: 0x10010, R13: 0x10018, RDI: 0x10020, RDX: 0x10028})
	tests := []struct {
		name string
		orc  ORC
		cfa  uint64
		ip   uint64
		rbp  uint64
	}{
		{"sp+24", ORC{SPReg: ORCSP, SPOffset: 24, Type: ORCTypeCall}, 0x10018, 2, 0x10008},
		{"sp+24 bp at prev_sp-16", ORC{SPReg: ORCSP, SPOffset: 24, BPReg: ORCPrevSP, BPOffset: -16, Type: ORCTypeCall}, 0x10018, 2, 0x99},
		{"bp+16 bp at bp+8", ORC{SPReg: ORCBP, SPOffset: 16, BPReg: ORCBP, BPOffset: 8, Type: ORCTypeCall}, 0x10018, 2, 2},
		{"*(sp)+8", ORC{SPReg: ORCSPIndirect, SPOffset: 8, Type: ORCTypeCall}, 0x10028, 4, 0x10008},
		{"*(bp-8)", ORC{SPReg: ORCBPIndirect, SPOffset: -8, Type: ORCTypeCall}, 0x10020, 3, 0x10008},
		{"r10+8", ORC{SPReg: ORCR10, SPOffset: 8, Type: ORCTypeCall}, 0x10018, 2, 0x10008},
		{"r13+8", ORC{SPReg: ORCR13, SPOffset: 8, Type: ORCTypeCall}, 0x10020, 3, 0x10008},
		{"di+8", ORC{SPReg: ORCDI, SPOffset: 8, Type: ORCTypeCall}, 0x10028, 4, 0x10008},
		{"dx+8", ORC{SPReg: ORCDX, SPOffset: 8, Type: ORCTypeCall}, 0x10030, 5, 0x10008},
		{"iret frame at sp+8", ORC{SPReg: ORCSP, SPOffset: 8, Type: ORCTypeRegsPartial}, 0x10008, 0x99, 0x10008},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			row, err := tc.orc.Row()
			if err != nil {
				t.Fatal(err)
			}
			c, err := Step(row, from, mem)
			rbp, _ := c.State.Get(amd64.RBP)
			if err != nil || c.CFA != tc.cfa || c.PC.Addr != tc.ip || rbp != tc.rbp {
				t.Errorf("cfa 0x%x ip 0x%x rbp 0x%x, %v; want 0x%x 0x%x 0x%x", c.CFA, c.PC.Addr, rbp, err, tc.cfa, tc.ip, tc.rbp)
			}
		})
	}
	for _, o := range []ORC{{}, {Type: ORCTypeCall}, {SPReg: ORCSP}, {SPReg: 99, Type: ORCTypeCall}, {SPReg: ORCSP, BPReg: 99, Type: ORCTypeCall}} {
		if row, err := o.Row(); err == nil {
			t.Errorf("%+v: %+v", o, row)
		}
	}
}
