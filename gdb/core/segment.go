package core

import (
	"cmp"
	"debug/elf"
	"io"
	"slices"
	"sort"

	"kcatch/gdb/guest"
)

// segment is a piece of guest-physical memory [start, end) that lies in the file at off; of a hole in no file, it is zeros.
type segment struct {
	start, end uint64
	off        int64
}

// memory is the segments of a core, sorted and free of overlaps: a kernel's image is in kdump's cores twice, and what the
// page tables map often is in QEMU's with paging as often.
type memory struct {
	file io.ReaderAt
	data []segment
	// zero is what is in memory and not in the file: p_memsz beyond p_filesz. makedumpfile leaves pages of zeros out that way.
	zero []segment
}

// maxPhysical bounds addresses: 46 bits, 64 TiB, of what real cores have and what is searched in a second.
const maxPhysical = 1 << 46

// newMemory takes the PT_LOADs; those that cannot be are left out by the caller.
func newMemory(file io.ReaderAt, loads []elf.Prog64) memory {
	m := memory{file: file}
	for _, p := range loads {
		if p.Filesz > 0 {
			m.data = append(m.data, segment{p.Paddr, p.Paddr + p.Filesz, int64(p.Off)})
		}
		if p.Memsz > p.Filesz {
			m.zero = append(m.zero, segment{start: p.Paddr + p.Filesz, end: p.Paddr + p.Memsz})
		}
	}
	m.data, m.zero = disjoint(m.data), disjoint(m.zero)
	return m
}

// disjoint sorts the segments and clips each to what those before it leave.
func disjoint(all []segment) []segment {
	slices.SortStableFunc(all, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	out, end := all[:0], uint64(0)
	for _, s := range all {
		if s.start < end {
			clip := min(end, s.end) - s.start
			s.start, s.off = s.start+clip, s.off+int64(clip)
		}
		if s.start < s.end {
			out, end = append(out, s), s.end
		}
	}
	return out
}

// at is the segment that has an address, and where the next one after it begins; nil when none has it.
func at(all []segment, gpa uint64) (s *segment, next uint64) {
	i := sort.Search(len(all), func(i int) bool { return all[i].end > gpa })
	switch {
	case i == len(all):
		return nil, ^uint64(0)
	case all[i].start > gpa:
		return nil, all[i].start
	}
	return &all[i], all[i].end
}

// ReadPhysical fills p from guest-physical address gpa. n < len(p) only with an error: a [*guest.FaultError] for the first
// byte that the core does not have, or the file's own.
func (m memory) ReadPhysical(p []byte, gpa uint64) (n int, err error) {
	for n < len(p) {
		here, rest := gpa+uint64(n), uint64(len(p)-n)
		if s, next := at(m.data, here); s != nil {
			got, err := m.file.ReadAt(p[n:n+int(min(rest, s.end-here))], s.off+int64(here-s.start))
			n += got
			if err != nil && (err != io.EOF || n < len(p)) {
				return n, err
			}
		} else if z, _ := at(m.zero, here); z != nil {
			size := int(min(rest, z.end-here, next-here))
			clear(p[n : n+size])
			n += size
		} else {
			return n, &guest.FaultError{Addr: here, Reason: guest.NoRAM}
		}
	}
	return n, nil
}

// Layout is how far the memory goes below and above 4 GiB. There may be holes in it, which reads tell.
func (m memory) Layout() guest.Layout {
	var l guest.Layout
	for _, s := range append(slices.Clone(m.data), m.zero...) {
		if s.start < guest.FourGiB {
			l.Low = max(l.Low, min(s.end, guest.FourGiB))
		}
		if s.end > guest.FourGiB {
			l.High = max(l.High, s.end-guest.FourGiB)
		}
	}
	return l
}
