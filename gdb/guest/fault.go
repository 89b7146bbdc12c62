package guest

import "fmt"

// Reason is why an address could not be read. The zero value is invalid.
type Reason uint8

const (
	// NotPresent: the table entry's P bit is clear.
	NotPresent Reason = iota + 1
	// NotCanonical: the upper bits of the address do not repeat its sign bit.
	NotCanonical
	// NoRAM: the physical address is no RAM (a hole, a device, or past the end).
	NoRAM
	// BadTable: a page table lies outside RAM or has the page-size bit where it is reserved.
	BadTable
	// NotKernel: the address is neither in the kernel's image nor in its direct map (see Image).
	NotKernel
)

var reasons = [...]string{
	"invalid", "not present", "not canonical", "no RAM there", "bad page table", "not in the kernel's image or direct map",
}

func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return reasons[0]
}

// FaultError is an address that could not be read: virtual where the read was by virtual address.
type FaultError struct {
	Addr uint64
	// Level is the page table that said so: 5 or 4 for the root of a long-mode walk, 1 for the last; 0 for none.
	Level  int
	Reason Reason
}

func (e *FaultError) Error() string {
	if e.Level > 0 {
		return fmt.Sprintf("address 0x%x: %s at level %d", e.Addr, e.Reason, e.Level)
	}
	return fmt.Sprintf("address 0x%x: %s", e.Addr, e.Reason)
}
