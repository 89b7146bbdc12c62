package guest

import (
	"bytes"
	"encoding/binary"
)

// Match says how well a kernel in RAM fits a [Probe]. Higher is better.
type Match uint8

const (
	// NoKernel: the banner is nowhere in RAM.
	NoKernel Match = iota
	// OtherBuild: the banner is there, but the build-id differs. Same version, same builder, another kernel: its
	// addresses mean nothing.
	OtherBuild
	// Loading: the kernel is there, and no pointer in it makes sense yet: the decompressor is at work.
	Loading
	// SameBuild: this kernel, with its slide.
	SameBuild
)

func (m Match) String() string {
	return [...]string{"no kernel", "same banner, other build", "kernel is being loaded", "same build"}[m&3]
}

// Alignment is the step of the search: the least CONFIG_PHYSICAL_ALIGN of x86_64, which KASLR also uses.
const Alignment = 2 << 20

// MaxSlide is KERNEL_IMAGE_SIZE with KASLR (arch/x86/include/asm/page_64_types.h).
const MaxSlide = 1 << 30

// Searchable is RAM with its extent.
type Searchable interface {
	Physical
	Layout() Layout
}

// FindKernel looks for the probe's kernel at every 2 MiB of RAM, low memory first. The placement is valid only with
// SameBuild; with several candidates (after a reset an old copy may remain, and the decompressor leaves the unmoved
// image behind for a moment) the best match wins, and a settled one before others.
func FindKernel(ram Searchable, probe Probe) (Placement, Match) {
	var (
		best  Placement
		match = NoKernel
		buf   = make([]byte, len(probe.Banner))
	)
	layout := ram.Layout()
	for _, part := range [...][2]uint64{{0, layout.Low}, {FourGiB, FourGiB + layout.High}} {
		for phys := part[0]; phys < part[1]; phys += Alignment {
			if _, err := ram.ReadPhysical(buf, phys+probe.BannerOff); err != nil || !bytes.Equal(buf, probe.Banner) {
				continue
			}
			p, m := probe.examine(ram, phys)
			if m > match || m == match && p.Settled && !best.Settled {
				best, match = p, m
			}
		}
	}
	return best, match
}

// Confirm looks again at a placement found before, and only there: it is how a poll sees that a kernel settled, or
// that a reset took it away. It costs a few reads.
func Confirm(ram Physical, probe Probe, p Placement) (Placement, Match) {
	buf := make([]byte, len(probe.Banner))
	if _, err := ram.ReadPhysical(buf, p.Phys+probe.BannerOff); err != nil || !bytes.Equal(buf, probe.Banner) {
		return Placement{}, NoKernel
	}
	return probe.examine(ram, p.Phys)
}

// examine judges the kernel whose banner was found at phys.
func (probe Probe) examine(ram Physical, phys uint64) (Placement, Match) {
	if len(probe.Note) > 0 {
		note := make([]byte, len(probe.Note))
		if _, err := ram.ReadPhysical(note, phys+probe.NoteOff); err != nil {
			return Placement{}, Loading
		}
		if !bytes.Equal(note, probe.Note) {
			// A half-copied image has zeros there.
			if len(bytes.Trim(note, "\x00")) == 0 {
				return Placement{}, Loading
			}
			return Placement{}, OtherBuild
		}
	}
	slide, ok := probe.slide(ram, phys)
	if !ok {
		return Placement{}, Loading
	}
	p := NewPlacement(probe.Text, phys, slide)
	p.Settled = probe.settled(ram, p)
	return p, SameBuild
}

// slide reads pointers until one has a sensible value.
func (probe Probe) slide(ram Physical, phys uint64) (uint64, bool) {
	for _, ptr := range probe.Pointers {
		v, err := readPhysical64(ram, phys+ptr.Off)
		if err != nil {
			continue
		}
		for _, target := range ptr.Targets {
			if s := v - target; s < MaxSlide && s%Alignment == 0 {
				return s, true
			}
		}
	}
	return 0, len(probe.Pointers) == 0
}

func (probe Probe) settled(ram Physical, p Placement) bool {
	if probe.PhysBaseOff != 0 {
		v, err := readPhysical64(ram, p.Phys+probe.PhysBaseOff)
		if err != nil || int64(v) != p.PhysBase {
			return false
		}
	}
	if probe.FirstPMDOff != 0 && probe.Text%(1<<30) >= Alignment {
		v, err := readPhysical64(ram, p.Phys+probe.FirstPMDOff)
		return err == nil && v&present == 0
	}
	return probe.PhysBaseOff != 0
}

func readPhysical64(ram Physical, pa uint64) (uint64, error) {
	var b [8]byte
	_, err := ram.ReadPhysical(b[:], pa)
	return binary.LittleEndian.Uint64(b[:]), err
}
