package guest

// StartKernelMap is where the kernel mapping begins: __START_KERNEL_map, arch/x86/include/asm/page_64_types.h.
const StartKernelMap = 0xffffffff80000000

// Placement is where a kernel lies. Virtual and physical randomization are independent of each other.
type Placement struct {
	// Phys is the guest-physical address of _text, a multiple of 2 MiB.
	Phys uint64
	// Slide is run-time address minus link address of the kernel mapping, a multiple of 2 MiB below 1 GiB.
	Slide uint64
	// PhysBase is the kernel's phys_base, phys = virt - StartKernelMap + PhysBase. It may be negative.
	PhysBase int64
	// Settled means that __startup_64 has run: the kernel has stored this phys_base itself. Before that the
	// decompressor may still be moving and relocating the image, and Phys and Slide may be preliminary.
	Settled bool
}

// NewPlacement is the placement of a kernel linked at text (the symbol _text) that lies at phys and was moved by slide.
func NewPlacement(text, phys, slide uint64) Placement {
	return Placement{Phys: phys, Slide: slide, PhysBase: int64(phys - (text + slide - StartKernelMap))}
}

// Physical is the guest-physical address of a run-time address in the kernel mapping.
func (p Placement) Physical(run uint64) uint64 { return run - StartKernelMap + uint64(p.PhysBase) }

// Run is the run-time address of a link-time one.
func (p Placement) Run(link uint64) uint64 { return link + p.Slide }

// Link is the link-time address of a run-time one.
func (p Placement) Link(run uint64) uint64 { return run - p.Slide }
