package autopsy

import (
	"encoding/binary"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/harness/machine"
)

// pages is 2 MiB of physical memory.
type pages []byte

func (p pages) ReadPhysical(b []byte, gpa uint64) (int, error) {
	if gpa+uint64(len(b)) > uint64(len(p)) {
		return 0, &guest.FaultError{Addr: gpa, Reason: guest.NoRAM}
	}
	return copy(b, p[gpa:]), nil
}

// TestUndeliverable: a vCPU in long mode whose first 2 MiB are mapped at 0 and at the kernel's half, by one large page, with
// an IDT at 0x8000; each case breaks one thing.
func TestUndeliverable(t *testing.T) {
	const half = 0xffff800000000000
	put := func(p pages, at int, v uint64) { binary.LittleEndian.PutUint64(p[at:], v) }
	gate := func(p pages, v int, handler uint64, ist uint64) {
		put(p, 0x8000+16*v, handler&0xffff|ist<<32|0x8e<<40|handler>>16&0xffff<<48)
		put(p, 0x8000+16*v+8, handler>>32)
	}
	for _, tc := range []struct {
		name   string
		change func(p pages, cpu *machine.CPUState, r *amd64.Registers)
		want   string
	}{
		{"nothing is wrong", func(pages, *machine.CPUState, *amd64.Registers) {}, ""},
		{"smashed CR3", func(_ pages, _ *machine.CPUState, r *amd64.Registers) { r.CR3 = 0x100000 }, "its own code is not mapped"},
		{"no IDT", func(_ pages, cpu *machine.CPUState, _ *amd64.Registers) { cpu.IDTLimit = 0 }, "the IDT has no gate for #PF"},
		{"the IDT is nowhere", func(_ pages, cpu *machine.CPUState, _ *amd64.Registers) { cpu.IDTBase = half + 1<<30 }, "the IDT is not mapped"},
		{"an empty gate", func(p pages, _ *machine.CPUState, _ *amd64.Registers) { put(p, 0x8000+16*13, 0) }, "the IDT's gate for #GP is empty"},
		{"a gate to nowhere", func(p pages, _ *machine.CPUState, _ *amd64.Registers) { gate(p, 8, half+1<<31, 0) }, "the handler of #DF is not mapped"},
		{"no stack", func(_ pages, _ *machine.CPUState, r *amd64.Registers) { r.RSP = half + 1<<30 }, "the stack is not mapped"},
		{"no stack, and gates that switch", func(p pages, _ *machine.CPUState, r *amd64.Registers) {
			r.RSP = half + 1<<30
			for _, v := range []int{8, 13, 14} {
				gate(p, v, half+0x1000, 1)
			}
		}, ""},
		{"real mode looks different", func(_ pages, cpu *machine.CPUState, r *amd64.Registers) { r.CR0, cpu.IDTLimit = 0, 0 }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := make(pages, 2<<20)
			put(p, 0x1000, 0x2003)       // PML4[0]
			put(p, 0x1000+256*8, 0x2003) // PML4[256]: the kernel's half
			put(p, 0x2000, 0x3003)
			put(p, 0x3000, 0x83) // 2 MiB at 0
			for _, v := range []int{8, 13, 14} {
				gate(p, v, half+0x1000, 0)
			}
			cpu := machine.CPUState{IDTBase: half + 0x8000, IDTLimit: 0xfff}
			r := amd64.Registers{CR0: amd64.CR0PE | amd64.CR0PG, CR3: 0x1000, CR4: 1 << 5, EFER: amd64.EFERLMA | amd64.EFERLME}
			r.RIP, r.RSP = half+0x4000, half+0x6000
			tc.change(p, &cpu, &r)
			if got := undeliverable(cpu, r, guest.NewSpace(p, r)); got != tc.want {
				t.Errorf("undeliverable = %q, want %q", got, tc.want)
			}
		})
	}
}
