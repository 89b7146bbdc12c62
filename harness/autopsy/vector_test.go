package autopsy

import (
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
)

func TestGuessVector(t *testing.T) {
	const pc = 0xffffffff81000000
	for _, tc := range []struct {
		name      string
		code      []byte
		regs      amd64.Registers
		errorCode uint64
		cr2       uint64
		want      amd64.Vector
		ok        bool
	}{
		{name: "ud2", code: []byte{0x0f, 0x0b}, want: amd64.InvalidOpcode, ok: true},
		{name: "store through NULL", code: []byte{0x48, 0x89, 0x47, 0x30}, cr2: 0x30, errorCode: 2, want: amd64.PageFault, ok: true},
		{name: "divide", code: []byte{0x48, 0xf7, 0xf1}, want: amd64.DivideError, ok: true},
		{name: "non-canonical", code: []byte{0x48, 0x8b, 0x07}, regs: amd64.Registers{RDI: 0x8000000000000000}, want: amd64.GeneralProtection, ok: true},
		{name: "rdmsr", code: []byte{0x0f, 0x32}, want: amd64.GeneralProtection, ok: true},
		{name: "fetch", code: []byte{0x90}, cr2: pc, want: amd64.PageFault, ok: true},
		{name: "nothing tells", code: []byte{0x90}},
		{name: "an old cr2", code: []byte{0x48, 0x89, 0x47, 0x30}, regs: amd64.Registers{RDI: 0xffff888000000000}, cr2: 0x10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.regs.RIP = pc
			in, err := linux.Explain(tc.code, tc.regs, nil)
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := guessVector(in, pc, tc.errorCode, tc.cr2); v != tc.want || ok != tc.ok {
				t.Errorf("guessVector = %v, %v, want %v, %v", v, ok, tc.want, tc.ok)
			}
		})
	}
}
