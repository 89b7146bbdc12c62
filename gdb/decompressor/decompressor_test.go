package decompressor

import (
	"encoding/binary"
	"errors"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// physical is memory with a few pieces in it.
type physical map[uint64][]byte

func (m physical) ReadPhysical(p []byte, addr uint64) (int, error) {
	for at, data := range m {
		if addr >= at && addr-at+uint64(len(p)) <= uint64(len(data)) {
			return copy(p, data[addr-at:]), nil
		}
	}
	return 0, errors.New("nothing there")
}

// TestErrorChain puts a real boot vmlinux where it runs, with a made-up stack on which extract_kernel() has called error(),
// among stale words that look like return addresses and are none.
func TestErrorChain(t *testing.T) {
	for _, name := range []string{fixtures.Good61, fixtures.Good612} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			d, err := Open(k.BootVmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			text, ok := d.file.Section(".text")
			if !ok {
				t.Fatal("no .text")
			}
			code, err := d.file.Bytes(text.Addr, int(text.Size))
			if err != nil {
				t.Fatal(err)
			}
			setup := Setup{Alignment: 0x200000, PrefAddress: 0x1000000, InitSize: d.end + 0x2000000}
			base := uint64(0x1000000 + 0x2000000)
			errorAt, _ := d.file.Symbol("error")
			extract, _ := d.file.Symbol("extract_kernel")
			messages := 0
			for i := 0; i+callSize <= len(code); i++ {
				ret := uint64(text.Addr) + uint64(i) + callSize
				if target, _, ok := d.callBefore(base+ret, base); !ok || target != uint64(errorAt.Addr) {
					continue
				}
				stack := make([]byte, 256)
				stale := base + uint64(extract.Addr) + 7
				for j, word := range []uint64{1, stale, base + ret, stale, 2} {
					binary.LittleEndian.PutUint64(stack[8*j:], word)
				}
				mem := physical{0x9000: stack, base + uint64(text.Addr): code}
				regs := amd64.Registers{RIP: base + uint64(errorAt.Addr) + 4, RSP: 0x9000}
				if at, ok := d.Place(regs.RIP, setup, mem); !ok || at != base {
					t.Fatalf("Place = 0x%x, %v, want 0x%x", at, ok, base)
				}
				chain := d.Chain(regs, base, mem)
				if len(chain) != 2 || chain[0].Function != "error" || chain[1].PC != base+ret {
					t.Fatalf("chain %+v", chain)
				}
				if d.Message(chain, base) != "" {
					messages++
				}
			}
			if messages < 10 {
				t.Errorf("%d messages; the decompressor has more", messages)
			}
		})
	}
}

func TestPlaceBelievesOnlyItsOwnCode(t *testing.T) {
	d, err := Open(fixtures.Find(t, fixtures.Good61).BootVmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, _ := d.file.Symbol("error")
	mem := physical{loadAddress: make([]byte, 4<<20)}
	if base, ok := d.Place(loadAddress+uint64(s.Addr), Setup{}, mem); ok {
		t.Errorf("zeros are taken for code at 0x%x", base)
	}
	if _, ok := d.Place(0xffffffff81000000, Setup{Alignment: 3, InitSize: 1}, mem); ok {
		t.Error("the kernel is taken for the decompressor")
	}
}

func FuzzChain(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint64(0x100200), uint64(0x9000))
	f.Fuzz(func(t *testing.T, stack []byte, rip, rsp uint64) {
		d := &Image{file: empty(t), end: 1 << 20}
		chain := d.Chain(amd64.Registers{RIP: rip, RSP: rsp}, loadAddress, physical{0x9000: stack})
		_ = d.Message(chain, loadAddress)
	})
}

func empty(t *testing.T) *vmlinux.File {
	d, err := Open(fixtures.Find(t, fixtures.Good61).BootVmlinux)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.file
}
