package guest

import "fmt"

// FourGiB is where the RAM that does not fit below the PCI hole continues.
const FourGiB = 4 << 30

// Layout says where the bytes of the RAM file are in guest-physical memory:
//
//	gpa in [0, Low)              offset = gpa
//	gpa in [4 GiB, 4 GiB + High) offset = gpa - 4 GiB + Low
type Layout struct {
	Low, High uint64 // bytes
}

// LayoutFor is the layout QEMU gives machine ("q35", "pc", "microvm", with or without a version suffix) with size
// bytes of RAM. Machine types it does not know are taken as q35, which has the smallest part below 4 GiB.
//
// Source: hw/i386/pc_q35.c pc_q35_init (RAM of 0xb0000000 and more is split at 2 GiB), pc_piix.c pc_init1 (0xe0000000,
// split at 3 GiB), microvm.c microvm_memory_init (more than 3 GiB, split there); QEMU 7.2, no max-ram-below-4g. Checked on both
// sides of each limit with "info mtree -f".
func LayoutFor(machine string, size uint64) Layout {
	limit, low := uint64(0xb0000000), uint64(0x80000000)
	switch machineFamily(machine) {
	case "pc":
		limit, low = 0xe0000000, 0xc0000000
	case "microvm":
		limit, low = 0xc0000001, 0xc0000000
	}
	if size < limit {
		return Layout{Low: size}
	}
	return Layout{Low: low, High: size - low}
}

func machineFamily(machine string) string {
	switch {
	case machine == "pc" || hasPrefix(machine, "pc-i440fx"):
		return "pc"
	case hasPrefix(machine, "microvm"):
		return "microvm"
	}
	return "q35"
}

func hasPrefix(s, p string) bool { return len(s) >= len(p) && s[:len(p)] == p }

// Size is the number of bytes of RAM.
func (l Layout) Size() uint64 { return l.Low + l.High }

// Offset is where gpa lies in the file and how many bytes follow there without a gap; n is zero for no RAM.
func (l Layout) Offset(gpa uint64) (off, n uint64) {
	switch {
	case gpa < l.Low:
		return gpa, l.Low - gpa
	case gpa >= FourGiB && gpa-FourGiB < l.High:
		return gpa - FourGiB + l.Low, l.High - (gpa - FourGiB)
	}
	return 0, 0
}

func (l Layout) String() string {
	if l.High == 0 {
		return fmt.Sprintf("[0, 0x%x)", l.Low)
	}
	return fmt.Sprintf("[0, 0x%x) and [0x%x, 0x%x)", l.Low, uint64(FourGiB), FourGiB+l.High)
}
