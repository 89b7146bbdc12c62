package linux

import (
	"strings"
	"testing"

	"kcatch/gdb/amd64"
)

// TestExplain: the text is objdump's (GNU binutils 2.40, objdump -D -b binary -m i386:x86-64), without its padding.
// "udb" is not known to it.
func TestExplain(t *testing.T) {
	regs := amd64.Registers{
		RIP: 0xffffffff81000000, RSP: 0xffffffff82003f10, RBP: 0xffffffff82003f40, RAX: 0xffff888000001000, RBX: 0x8000000000000001,
		RCX: 3, RDX: 0x10, RDI: 0, RSI: 0xffff888000002000, GSBase: 0xffffffff83000000, R12: 0xfffffffffffffff4,
	}
	tests := []struct {
		name, text, access string
		code               []byte
	}{
		{"null member write", "movq $0x1,0x30(%rdi)", "write of 8 bytes to 0x30: rdi=0x0 + 0x30 (null pointer)",
			[]byte{0x48, 0xc7, 0x47, 0x30, 1, 0, 0, 0}},
		{"read", "mov 0x8(%rax),%rdx", "read of 8 bytes from 0xffff888000001008: rax=0xffff888000001000 + 0x8", []byte{0x48, 0x8b, 0x50, 8}},
		{"negative displacement", "mov -0x8(%rax),%edx", "read of 4 bytes from 0xffff888000000ff8: rax=0xffff888000001000 - 0x8", []byte{0x8b, 0x50, 0xf8}},
		{"index", "mov (%rax,%rcx,8),%rdx", "read of 8 bytes from 0xffff888000001018: rax=0xffff888000001000 + rcx=0x3*8", []byte{0x48, 0x8b, 0x14, 0xc8}},
		{"not canonical", "incl (%rbx)", "read and write of 4 bytes at 0x8000000000000001: rbx=0x8000000000000001 (not canonical)", []byte{0xff, 0x03}},
		{"error pointer", "mov (%r12),%eax", "read of 4 bytes from 0xfffffffffffffff4: r12=0xfffffffffffffff4 (error pointer)", []byte{0x41, 0x8b, 0x04, 0x24}},
		{"per-CPU", "mov %gs:0x28,%rax", "read of 8 bytes from 0xffffffff83000028: gs base=0xffffffff83000000 + 0x28",
			[]byte{0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0}},
		{"rip relative", "mov 0x10(%rip),%rax", "read of 8 bytes from 0xffffffff81000017: rip=0xffffffff81000007 + 0x10",
			[]byte{0x48, 0x8b, 0x05, 0x10, 0, 0, 0}},
		{"call through memory", "call *0x18(%rdx)", "read of 8 bytes from 0x28: rdx=0x10 + 0x18 (null pointer); write of 8 bytes to 0xffffffff82003f08: rsp=0xffffffff82003f10 - 0x8", []byte{0xff, 0x52, 0x18}},
		{"compare", "cmpl $0x0,0x34(%rsi)", "read of 4 bytes from 0xffff888000002034: rsi=0xffff888000002000 + 0x34", []byte{0x83, 0x7e, 0x34, 0}},
		{"push", "push %rbp", "write of 8 bytes to 0xffffffff82003f08: rsp=0xffffffff82003f10 - 0x8", []byte{0x55}},
		{"ret", "ret", "read of 8 bytes from 0xffffffff82003f10: rsp=0xffffffff82003f10", []byte{0xc3}},
		{"lea touches nothing", "lea 0x8(%rax),%rdx", "", []byte{0x48, 0x8d, 0x50, 8}},
		{"string", "rep stos %rax,%es:(%rdi)", "write of 8 bytes to 0x0: rdi=0x0 (null pointer)", []byte{0xf3, 0x48, 0xab}},
		{"copy", "rep movsb %ds:(%rsi),%es:(%rdi)", "write of 1 byte to 0x0: rdi=0x0 (null pointer); read of 1 byte from 0xffff888000002000: rsi=0xffff888000002000", []byte{0xf3, 0xa4}},
		{"ud2", "ud2", "", []byte{0x0f, 0x0b}},
		{"hlt", "hlt", "", []byte{0xf4}},
		{"endbr64", "endbr64", "", []byte{0xf3, 0x0f, 0x1e, 0xfa}},
		{"clac", "clac", "", []byte{0x0f, 0x01, 0xca}},
		{"stac", "stac", "", []byte{0x0f, 0x01, 0xcb}},
		{"udb", "udb", "", []byte{0xd6}},
		{"warn", "ud1 (%edx),%rdi", "", []byte{0x67, 0x48, 0x0f, 0xb9, 0x3a}},
		{"ubsan", "ud1 0x12(%eax),%eax", "", []byte{0x67, 0x0f, 0xb9, 0x40, 0x12}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Explain(append(tc.code, 0x90, 0x90, 0x90), regs, nil)
			var all []string
			for _, a := range got.Accesses {
				all = append(all, a.String())
			}
			access := strings.Join(all, "; ")
			if err != nil || got.Text != tc.text || access != tc.access || string(got.Bytes) != string(tc.code) {
				t.Errorf("% x: %v\ngot  %q %q % x\nwant %q %q", tc.code, err, got.Text, access, got.Bytes, tc.text, tc.access)
			}
		})
	}
	for _, code := range [][]byte{nil, {}, {0x0f}, {0x48}, {0x06}} {
		if got, err := Explain(code, regs, nil); err == nil {
			t.Errorf("% x: %+v", code, got)
		}
	}
	symbols := func(addr uint64) (string, uint64) { return "panic", 0xffffffff81000100 }
	if got, err := Explain([]byte{0xe8, 0xfb, 0, 0, 0}, regs, symbols); err != nil || got.Text != "call panic" {
		t.Errorf("call: %+v %v", got, err)
	}
}

func FuzzExplain(f *testing.F) {
	for _, seed := range [][]byte{{0x48, 0xc7, 0x47, 0x30, 1, 0, 0, 0}, {0x62, 0xf1, 0x7c, 0x48, 0x10}, {0xc5, 0xf8, 0x77}, {0x67, 0x0f, 0xb9, 0x40, 0x12}} {
		f.Add(seed, uint64(1), uint64(2))
	}
	f.Fuzz(func(t *testing.T, code []byte, rip, rdi uint64) {
		got, err := Explain(code, amd64.Registers{RIP: rip, RDI: rdi}, nil)
		if err == nil && (len(got.Bytes) == 0 || len(got.Bytes) > MaxInstruction || got.Text == "") {
			t.Errorf("% x: %+v", code, got)
		}
		if trap := DecodeTrap(code); trap.Kind != NoTrap && (trap.Len < 1 || trap.Len > len(code)) {
			t.Errorf("% x: %+v", code, trap)
		}
		for _, a := range got.Accesses {
			_ = a.String()
			if again, ok := got.At(a.Addr); !ok || again.Addr > a.Addr {
				t.Errorf("% x: access at 0x%x is not found", code, a.Addr)
			}
		}
	})
}
