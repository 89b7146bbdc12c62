package guest

import (
	"errors"
	"testing"
)

const (
	testText  = StartKernelMap + 0x1000000
	testSlide = 0x1a00000
)

func testProbe() Probe {
	return Probe{
		Text: testText, Size: 0x10000, Banner: []byte("Linux version 6.1.0 (me@here) #1\n"), BannerOff: 0x1000,
		Note: []byte("note of build A"), NoteOff: 0x2000,
		Pointers:    []Pointer{{Off: 0x3000, Targets: []uint64{testText + 0x100, testText + 0x333}}, {Off: 0x3008, Targets: []uint64{testText + 0x200}}},
		PhysBaseOff: 0x4000, FirstPMDOff: 0x5000,
	}
}

// load writes a kernel that runs at phys.
func (m memory) load(p Probe, phys, slide uint64) Placement {
	place := NewPlacement(p.Text, phys, slide)
	copy(m[phys+p.BannerOff:], p.Banner)
	copy(m[phys+p.NoteOff:], p.Note)
	m.put(phys+p.Pointers[0].Off, p.Pointers[0].Targets[0]+slide)
	m.put(phys+p.Pointers[1].Off, p.Pointers[1].Targets[0]+slide)
	m.put(phys+p.PhysBaseOff, uint64(place.PhysBase))
	place.Settled = true
	return place
}

func TestFindKernel(t *testing.T) {
	const phys = 3 * Alignment
	probe := testProbe()
	tests := []struct {
		name   string
		change func(m memory)
		match  Match
		ok     func(Placement) bool
	}{
		{"plain", func(memory) {}, SameBuild, func(p Placement) bool { return p == NewPlacementSettled(phys, testSlide) }},
		{"log moved to the dynamic ring", func(m memory) { m.put(phys+0x3000, testText+0x333+testSlide) }, SameBuild,
			func(p Placement) bool { return p.Slide == testSlide }},
		{"first pointer is nonsense", func(m memory) { m.put(phys+0x3000, 0xffff888001234567) }, SameBuild,
			func(p Placement) bool { return p.Slide == testSlide }},
		{"decompressed and not relocated", func(m memory) {
			m.put(phys+0x3000, testText+0x100)
			m.put(phys+0x4000, 0)
		}, SameBuild, func(p Placement) bool { return !p.Settled }},
		{"not started, no KASLR", func(m memory) { m.put(phys+0x5000, 0x1e3) }, SameBuild, func(p Placement) bool { return !p.Settled }},
		{"no data yet", func(m memory) { m.put(phys+0x3000, 0); m.put(phys+0x3008, 0) }, Loading, nil},
		{"no note yet", func(m memory) { clear(m[phys+0x2000 : phys+0x2100]) }, Loading, nil},
		{"other build", func(m memory) { copy(m[phys+0x2000:], "note of build B") }, OtherBuild, nil},
		{"no banner", func(m memory) { m[phys+0x1000] = 'l' }, NoKernel, nil},
		{"stale copy below of another build", func(m memory) {
			m.load(probe, Alignment, 0)
			copy(m[Alignment+0x2000:], "note of build B")
		}, SameBuild, func(p Placement) bool { return p.Phys == phys && p.Settled }},
		{"unmoved copy below", func(m memory) {
			m.load(probe, Alignment, 0)
			m.put(Alignment+0x4000, 0)
		}, SameBuild, func(p Placement) bool { return p.Phys == phys && p.Settled }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			m := make(memory, 5*Alignment)
			m.load(probe, phys, testSlide)
			tc.change(m)
			got, match := FindKernel(m, probe)
			if match != tc.match || tc.ok != nil && !tc.ok(got) {
				t.Errorf("%v %+v, want %v", match, got, tc.match)
			}
			if tc.match == SameBuild {
				if again, match := Confirm(m, probe, got); again != got || match != SameBuild {
					t.Errorf("confirm: %v %+v", match, again)
				}
			}
		})
	}
}

func NewPlacementSettled(phys, slide uint64) Placement {
	p := NewPlacement(testText, phys, slide)
	p.Settled = true
	return p
}

func TestPlacement(t *testing.T) {
	// Measured on a 6.1 kernel: P=0xd800000 S=0x21a00000, and phys_base in its memory was -0x15200000.
	p := NewPlacement(0xffffffff81000000, 0xd800000, 0x21a00000)
	if p.PhysBase != -0x15200000 || p.Physical(p.Run(0xffffffff81000123)) != 0xd800123 || p.Link(p.Run(7)) != 7 {
		t.Errorf("%+v", p)
	}
}

func TestImage(t *testing.T) {
	m := make(memory, 5*Alignment)
	probe := testProbe()
	place := m.load(probe, 3*Alignment, testSlide)
	image := Image{RAM: m, Placement: place, Text: probe.Text, Size: probe.Size, PageOffsetBase: testText + 0x6000}
	m.put(3*Alignment+0x6000, 0xffff9a5b40000000)
	read := func(va uint64) (string, error) {
		p := make([]byte, 5)
		n, err := image.ReadMemory(p, va)
		return string(p[:n]), err
	}
	for _, va := range []uint64{place.Run(testText + 0x1000), 0xffff9a5b40000000 + 3*Alignment + 0x1000} {
		if got, err := read(va); got != "Linux" || err != nil {
			t.Errorf("0x%x: %q, %v", va, got, err)
		}
	}
	for _, va := range []uint64{place.Run(testText) - 1, place.Run(testText + 0x10000), 0xffff9a5b40000000 + 5*Alignment, 0, ^uint64(0)} {
		if got, err := read(va); err == nil {
			t.Errorf("0x%x: %q", va, got)
		} else if _, ok := errors.AsType[*FaultError](err); !ok {
			t.Errorf("0x%x: %v", va, err)
		}
	}
	m.put(3*Alignment+0x6000, 0x41414141)
	if got := image.DirectMap(); got != pageOffset4 {
		t.Errorf("direct map by a nonsense variable: 0x%x", got)
	}
}

type symbols map[string]uint64

func (s symbols) Addresses(names ...string) map[string]uint64 {
	at := make(map[string]uint64)
	for _, n := range names {
		if a, ok := s[n]; ok {
			at[n] = a
		}
	}
	return at
}

func TestSlideFromGate(t *testing.T) {
	s := symbols{"early_idt_handler_array": 0xffffffff82c81000, "asm_exc_divide_error": 0xffffffff81800000}
	// Gate 0 of a live 6.1 kernel with slide 0x1a00000: handler 0xffffffff84681000.
	gate := [16]byte{0x00, 0x10, 0x10, 0x00, 0x00, 0x8e, 0x68, 0x84, 0xff, 0xff, 0xff, 0xff}
	if got, ok := SlideFromGate(gate, s); !ok || got != testSlide {
		t.Errorf("0x%x %v", got, ok)
	}
	gate[1] = 0x20
	if got, ok := SlideFromGate(gate, s); ok {
		t.Errorf("handler of another kernel: 0x%x", got)
	}
	if _, ok := SlideFromGate([16]byte{}, s); ok {
		t.Error("empty gate")
	}
}

// BenchmarkFindKernel searches 256 MiB of mapped, sparse RAM whose kernel lies at the end.
func BenchmarkFindKernel(b *testing.B) {
	const size = 256 << 20
	ram, err := OpenRAM(ramFile(b, size), Layout{Low: size})
	if err != nil {
		b.Fatal(err)
	}
	defer ram.Close()
	probe := testProbe()
	for b.Loop() {
		FindKernel(ram, probe)
	}
}
