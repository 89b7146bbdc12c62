package writer

// Target is memory that is asked for, at a run-time virtual address.
type Target struct {
	Expression string
	Addr       uint64
	Size       int // bytes, more than 0
	// Pieces are the target page by page.
	Pieces []Piece
}

// Piece is a part of a target within one page.
type Piece struct {
	Virt, Phys uint64 // Phys is guest-physical
	Len        int    // bytes
}

// Split cuts size bytes at addr into the pieces of its pages. translate gives the guest-physical address and the bytes that follow
// in the same page; its error is returned as it is.
func Split(addr uint64, size int, translate func(va uint64) (pa, n uint64, err error)) ([]Piece, error) {
	var pieces []Piece
	for done := 0; done < size; {
		at := addr + uint64(done)
		pa, n, err := translate(at)
		if err != nil {
			return nil, err
		}
		n = max(1, min(n, uint64(size-done)))
		pieces = append(pieces, Piece{Virt: at, Phys: pa, Len: int(n)})
		done += int(n)
	}
	return pieces, nil
}

// Maps is where a kernel maps memory besides the address that was asked for. Documentation/arch/x86/x86_64/mm.rst.
type Maps struct {
	Direct uint64 // page_offset_base: all of RAM
	// DirectVar is the run-time address of the variable page_offset_base, DirectVarPhys its guest-physical one; 0: there is none.
	// kernel_randomize_memory() (arch/x86/mm/kaslr.c) sets it once.
	DirectVar, DirectVarPhys uint64
	// Image is the run-time address of _text, ImagePhys its guest-physical one, ImageSize the bytes to _end.
	Image, ImagePhys, ImageSize uint64
}

// InImage reports whether an address is in the kernel's image.
func (m Maps) InImage(addr uint64) bool { return m.Image != 0 && addr-m.Image < m.ImageSize }

// Alias is one virtual address of a piece.
type Alias struct {
	Addr uint64
	Phys uint64
	Len  int
	Kind Kind
}

// Kind is the mapping that an alias belongs to, in words.
type Kind string

// The mappings. The identity map is that of the firmware, the decompressor and startup_64; later its addresses are user
// space's.
const (
	Own      Kind = "its own address"
	Direct   Kind = "the direct map"
	Image    Kind = "the kernel's image"
	Identity Kind = "its physical address"
)

// Aliases are the addresses by which the target may be written, its own first.
func (m Maps) Aliases(t Target) []Alias {
	var all []Alias
	add := func(a Alias) {
		for _, b := range all {
			if a.Addr == b.Addr {
				return
			}
		}
		all = append(all, a)
	}
	for _, p := range t.Pieces {
		add(Alias{p.Virt, p.Phys, p.Len, Own})
	}
	for _, p := range t.Pieces {
		if m.Direct != 0 {
			add(Alias{m.Direct + p.Phys, p.Phys, p.Len, Direct})
		}
		if off := p.Phys - m.ImagePhys; m.Image != 0 && off < m.ImageSize {
			add(Alias{m.Image + off, p.Phys, p.Len, Image})
		}
		add(Alias{p.Phys, p.Phys, p.Len, Identity})
	}
	return all
}
