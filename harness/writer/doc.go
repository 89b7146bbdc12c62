// Package writer finds out which code wrote a piece of memory, from the stops of a boot with write watchpoints on it.
//
// A watchpoint sees one virtual address, and memory has several: [Maps.Aliases] gives those that a kernel is known to write by.
// [Recorder] takes each stop: it drops those where the address was another page's at that moment, counts the rest, and keeps the
// last [Kept] with their chains. Which of them is the last before the death is known only at the end, so each is unwound where
// it happens, while its stack is whole: that is cheaper than the stop itself, and needs neither copies of stacks nor one more
// boot that has to come to the same n-th stop.
//
// What it needs: the guest's RAM, and a caller that unwinds. What it does not see: writes by devices, and by mappings that no
// list here has (early_memremap and fixmap windows, vmap, user space). [Answer.Missed] tells when there was one.
package writer
