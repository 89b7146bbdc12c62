package guest_test

import (
	"encoding/binary"
	"testing"

	"kcatch/gdb/guest"
	"kcatch/gdb/guest/guesttest"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

func open(t testing.TB, path string) guest.File {
	t.Helper()
	f, err := vmlinux.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return guest.File{File: f}
}

// TestLive boots a kernel with KASLR, finds it in RAM while it runs, and reads it in three ways that must agree: through
// the placement, through the page tables of the dead vCPU, and by QEMU's own translation (gva2gpa).
func TestLive(t *testing.T) {
	for _, tc := range []struct{ name, fixture, cmdline string }{
		{"6.1 kaslr", fixtures.Seed61, "console=ttyS0"},
		{"6.1 nokaslr", fixtures.Seed61, "console=ttyS0 nokaslr"},
		{"6.12 kaslr", fixtures.Seed612, "console=ttyS0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			k := fixtures.Find(t, tc.fixture)
			file := open(t, k.Vmlinux)
			probe, err := file.Probe()
			if err != nil {
				t.Fatal(err)
			}
			if len(probe.Pointers) == 0 || len(probe.Note) == 0 || probe.PhysBaseOff == 0 || probe.FirstPMDOff == 0 {
				t.Errorf("probe lacks something: %+v", probe)
			}
			m := guesttest.Boot(t, guesttest.Options{Kernel: k.BzImage, Append: tc.cmdline})
			early := m.Find(probe)
			regs := m.WaitDead()
			placement, match := guest.FindKernel(m.RAM, probe)
			if match != guest.SameBuild || placement != early {
				t.Errorf("placement after death is %v %+v, while running it was %+v", match, placement, early)
			}
			t.Logf("%+v, read while running", placement)
			if tc.cmdline == "console=ttyS0 nokaslr" && placement.Slide != 0 {
				t.Errorf("slide 0x%x without KASLR", placement.Slide)
			}

			space, image := guest.NewSpace(m.RAM, regs), file.Image(m.RAM, probe, placement)
			banner := placement.Run(probe.Text + probe.BannerOff)
			for name, mem := range map[string]interface {
				ReadMemory([]byte, uint64) (int, error)
			}{"page tables": space, "image": image} {
				got := make([]byte, len(probe.Banner))
				if _, err := mem.ReadMemory(got, banner); err != nil || string(got) != string(probe.Banner) {
					t.Errorf("banner by %s: %q, %v", name, got, err)
				}
			}
			var a, b [64]byte
			direct := image.DirectMap() + 0x9d000 + 4096
			_, err1 := space.ReadMemory(a[:], direct+0x100000)
			_, err2 := image.ReadMemory(b[:], direct+0x100000)
			if err1 != nil || err2 != nil || a != b {
				t.Errorf("direct map at 0x%x: page tables %v, image %v, equal %v", direct, err1, err2, a == b)
			}
			// The oracle: gva2gpa of QEMU 7.2.
			for _, va := range []uint64{regs.RIP, regs.RSP, banner, direct} {
				pa, _, err := space.Translate(va)
				if err != nil {
					t.Errorf("translate 0x%x: %v", va, err)
					continue
				}
				if got := m.Physical(va); got != pa {
					t.Errorf("translate 0x%x: 0x%x, QEMU says 0x%x", va, pa, got)
				}
			}

			base := m.IDTBase()
			var gate [16]byte
			if _, err := space.ReadMemory(gate[:], base); err != nil {
				t.Fatalf("read IDT at 0x%x: %v", base, err)
			}
			if slide, ok := guest.SlideFromGate(gate, file); !ok || slide != placement.Slide {
				t.Errorf("slide by IDT gate 0: 0x%x %v, by RAM 0x%x", slide, ok, placement.Slide)
			}
			// phys_base, as the kernel itself has it.
			at := file.Addresses("phys_base")["phys_base"]
			var pb [8]byte
			if _, err := space.ReadMemory(pb[:], placement.Run(at)); err != nil || int64(binary.LittleEndian.Uint64(pb[:])) != placement.PhysBase {
				t.Errorf("phys_base 0x%x, %v, want 0x%x", pb, err, placement.PhysBase)
			}
		})
	}
}
