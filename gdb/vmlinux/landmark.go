package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// kernelMap is __START_KERNEL_map, where x86-64 kernels are linked to run (arch/x86/include/asm/page_64_types.h).
const kernelMap = 0xffffffff80000000

// landmark is a symbol that was found by what stands there.
type landmark struct {
	name string
	addr uint64
}

// landmarks finds the variables that an autopsy cannot do without in a file whose own table has functions only
// (CONFIG_KALLSYMS_ALL=n), by their initial values. What is not found, or not beyond doubt, is left out.
//
//	_text, _end         the segments linked above __START_KERNEL_map
//	__start___bug_table the section
//	level2_kernel_pgt   level3_kernel_pgt is a page with 510 zeros, the physical address of it, and another one
//	                    (arch/x86/kernel/head_64.S)
//	printk_rb_static    the ring's static initializer: both ids are DESC0_ID (kernel/printk/printk_ringbuffer.h)
//	prb                 the pointer to it
//	page_offset_base    __PAGE_OFFSET_BASE_L4, where it stands only once
func (f *File) landmarks() []landmark {
	text, end, ok := f.imageRange()
	if !ok {
		return nil
	}
	found := []landmark{{"_text", text}, {"_end", end}}
	if s, ok := f.Section("__bug_table"); ok {
		found = append(found, landmark{"__start___bug_table", uint64(s.Addr)}, landmark{"__stop___bug_table", uint64(s.Addr) + s.Size})
	}
	inside := func(a uint64) bool { return a >= text && a < end }
	data, at := f.loaded(".data")
	if a, ok := kernelPMD(data, at, inside); ok {
		found = append(found, landmark{"level2_kernel_pgt", a})
	}
	if a, ok := staticRing(data, at, inside); ok {
		found = append(found, landmark{"printk_rb_static", a})
		if p, ok := onlyWord(data, at, a); ok {
			found = append(found, landmark{"prb", p})
		}
	}
	const pageOffsetL4 = 0xffff888000000000
	rodata, rat := f.loaded(".rodata")
	a, inData := onlyWord(data, at, pageOffsetL4)
	b, inRodata := onlyWord(rodata, rat, pageOffsetL4) // .data..ro_after_init is a part of .rodata
	switch {
	case inRodata && !inData:
		found = append(found, landmark{"page_offset_base", b})
	case inData && !inRodata:
		found = append(found, landmark{"page_offset_base", a})
	}
	return found
}

// imageRange is the range of the segments that are linked where the kernel runs, end rounded up to a page.
func (f *File) imageRange() (text, end uint64, ok bool) {
	text = ^uint64(0)
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Vaddr >= kernelMap && p.Memsz > 0 && p.Vaddr+p.Memsz > p.Vaddr && p.Vaddr+p.Memsz < ^uint64(0xfff) {
			text, end = min(text, p.Vaddr), max(end, (p.Vaddr+p.Memsz+0xfff)&^0xfff)
		}
	}
	return text, end, text < end
}

// loaded is the contents of a section from its first address that is a multiple of 8 on, and that address.
func (f *File) loaded(name string) ([]byte, uint64) {
	s := f.sections[name]
	if s == nil || s.elf.Flags&elf.SHF_ALLOC == 0 || s.elf.Flags&elf.SHF_COMPRESSED != 0 {
		return nil, 0
	}
	data, skip := s.raw(), -s.elf.Addr&7
	if skip >= uint64(len(data)) {
		return nil, 0
	}
	return data[skip:], s.elf.Addr + skip
}

func wordAt(data []byte, off int) uint64 { return binary.LittleEndian.Uint64(data[off:]) }

// kernelPMD finds level2_kernel_pgt by level3_kernel_pgt.
func kernelPMD(data []byte, at uint64, inside func(uint64) bool) (uint64, bool) {
	const page, flags = 4096, 0xfff
	var zero [510 * 8]byte
	for off := int(-at & flags); off+page <= len(data); off += page {
		pmd, fixmap := wordAt(data, off+510*8), wordAt(data, off+511*8)
		if pmd&1 == 0 || fixmap&1 == 0 || !bytes.Equal(data[off:off+len(zero)], zero[:]) {
			continue
		}
		if a, b := pmd&^flags+kernelMap, fixmap&^flags+kernelMap; inside(a) && inside(b) {
			return a, true
		}
	}
	return 0, false
}

// staticRing finds the static printk ring. struct prb_desc_ring begins it: count_bits u32, descs, infos, head_id, tail_id.
func staticRing(data []byte, at uint64, inside func(uint64) bool) (uint64, bool) {
	for off := 0; off+40 <= len(data); off += 8 {
		bits := wordAt(data, off)
		if bits < 2 || bits > 30 {
			continue
		}
		first := uint64(-(uint32(1)<<bits + 1)) // DESC0_ID, of 32 bits because _DESCS_COUNT is 1U << bits
		if wordAt(data, off+24) == first && wordAt(data, off+32) == first && inside(wordAt(data, off+8)) && inside(wordAt(data, off+16)) {
			return at + uint64(off), true
		}
	}
	return 0, false
}

// onlyWord is the address of the only word with a value.
func onlyWord(data []byte, at, value uint64) (addr uint64, ok bool) {
	for off := 0; off+8 <= len(data); off += 8 {
		if wordAt(data, off) == value {
			if ok {
				return 0, false
			}
			addr, ok = at+uint64(off), true
		}
	}
	return addr, ok
}
