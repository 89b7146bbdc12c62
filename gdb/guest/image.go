package guest

import "encoding/binary"

// Defaults of page_offset_base (Documentation/arch/x86/x86_64/mm.rst).
const (
	pageOffset4 = 0xffff888000000000 // 4-level paging
	pageOffset5 = 0xff11000000000000
	// directMap4 bounds a direct map (64 TiB with 4-level paging); of it, what RAM backs can be read.
	directMap4 = 64 << 40
)

// Image reads memory by the kernel's own run-time addresses through a [Placement]: its image, and the direct map of
// RAM. It uses no page tables and no registers, and so works on a guest that runs and before paging is set up by the
// kernel. It does not reach vmalloc space, modules, vmemmap or per-CPU areas by their own addresses.
type Image struct {
	RAM       Searchable
	Placement Placement
	// Text and Size are the link address _text and the bytes to _end.
	Text, Size uint64
	// PageOffsetBase is the link address of the variable page_offset_base; zero when the kernel has none
	// (no CONFIG_DYNAMIC_MEMORY_LAYOUT), then the direct map is at its default place.
	PageOffsetBase uint64
}

// ReadMemory fills p from run-time address va. Addresses outside the image and the direct map, and bytes that are no
// RAM, give a [*FaultError]; n is the number of bytes before it.
func (i Image) ReadMemory(p []byte, va uint64) (int, error) {
	return readPaged(p, va, i.RAM, i.Translate)
}

// Translate gives the guest-physical address of a run-time address, and how many bytes follow in the same mapping.
func (i Image) Translate(va uint64) (pa, n uint64, err error) {
	if off := va - i.Placement.Run(i.Text); off < i.Size {
		return i.Placement.Phys + off, i.Size - off, nil
	}
	base := i.DirectMap()
	if off := va - base; va >= base && off < directMap4 {
		layout := i.RAM.Layout()
		if _, n := layout.Offset(off); n > 0 {
			return off, n, nil
		}
		return 0, 0, &FaultError{Addr: va, Reason: NoRAM}
	}
	return 0, 0, &FaultError{Addr: va, Reason: NotKernel}
}

// DirectMap is where the kernel maps all of RAM, now: kernel_randomize_memory() moves it once, early in setup_arch.
func (i Image) DirectMap() uint64 {
	if i.PageOffsetBase == 0 {
		return pageOffset4
	}
	var b [8]byte
	if _, err := i.RAM.ReadPhysical(b[:], i.Placement.Phys+i.PageOffsetBase-i.Text); err != nil {
		return pageOffset4
	}
	base := binary.LittleEndian.Uint64(b[:])
	if base < pageOffset5 || base >= StartKernelMap {
		return pageOffset4 // hostile or not yet loaded
	}
	return base
}
