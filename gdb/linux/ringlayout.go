package linux

import "fmt"

// RingLayout is where the fields of the printk ring's structures are: byte offsets and sizes.
type RingLayout struct {
	// struct printk_ringbuffer, with its desc_ring and text_data_ring flattened into it.
	CountBits, Descs, Infos, HeadID, TailID int // struct prb_desc_ring
	SizeBits, Data                          int // struct prb_data_ring
	// struct prb_desc
	DescSize, StateVar, Begin, Next int
	// struct printk_info
	InfoSize, Seq, Time, TextLen, Facility, FlagsLevel, CallerID int
}

// DefaultRingLayout is the layout of x86_64 kernels 5.10 to 6.12, measured on 6.1 and 6.12 (gdb's ptype /o).
func DefaultRingLayout() RingLayout {
	return RingLayout{
		CountBits: 0, Descs: 8, Infos: 16, HeadID: 24, TailID: 32,
		SizeBits: 48, Data: 56,
		DescSize: 24, StateVar: 0, Begin: 8, Next: 16,
		InfoSize: 88, Seq: 0, Time: 8, TextLen: 16, Facility: 18, FlagsLevel: 19, CallerID: 20,
	}
}

// Struct is a C structure as DWARF describes it: the byte offset of a member and the size of the whole.
type Struct interface {
	Offset(member string) (offset int, ok bool)
	Size() int
}

// RingLayoutFrom takes the layout from DWARF: find returns the structure called name. An error names the first
// structure or member that is missing; [DefaultRingLayout] is then the choice.
func RingLayoutFrom(find func(name string) (Struct, error)) (RingLayout, error) {
	s := structs{find: find}
	ring, dring := s.open("printk_ringbuffer"), s.open("prb_desc_ring")
	data, desc, info := s.open("prb_data_ring"), s.open("prb_desc"), s.open("printk_info")
	if s.err != nil {
		return RingLayout{}, s.err
	}
	descAt, dataAt := s.offset(ring, "printk_ringbuffer", "desc_ring"), s.offset(ring, "printk_ringbuffer", "text_data_ring")
	lpos := s.open("prb_data_blk_lpos")
	if s.err != nil {
		return RingLayout{}, s.err
	}
	blk := s.offset(desc, "prb_desc", "text_blk_lpos")
	l := RingLayout{
		CountBits: descAt + s.offset(dring, "prb_desc_ring", "count_bits"),
		Descs:     descAt + s.offset(dring, "prb_desc_ring", "descs"),
		Infos:     descAt + s.offset(dring, "prb_desc_ring", "infos"),
		HeadID:    descAt + s.offset(dring, "prb_desc_ring", "head_id"),
		TailID:    descAt + s.offset(dring, "prb_desc_ring", "tail_id"),
		SizeBits:  dataAt + s.offset(data, "prb_data_ring", "size_bits"),
		Data:      dataAt + s.offset(data, "prb_data_ring", "data"),
		DescSize:  desc.Size(), StateVar: s.offset(desc, "prb_desc", "state_var"),
		Begin:    blk + s.offset(lpos, "prb_data_blk_lpos", "begin"),
		Next:     blk + s.offset(lpos, "prb_data_blk_lpos", "next"),
		InfoSize: info.Size(), Seq: s.offset(info, "printk_info", "seq"), Time: s.offset(info, "printk_info", "ts_nsec"),
		TextLen: s.offset(info, "printk_info", "text_len"), Facility: s.offset(info, "printk_info", "facility"),
		CallerID: s.offset(info, "printk_info", "caller_id"),
	}
	// flags:5 and level:3 are bit fields; the byte they share follows facility in every kernel.
	l.FlagsLevel = l.Facility + 1
	if s.err == nil {
		s.err = l.check()
	}
	return l, s.err
}

// check refuses offsets that would make a reader go outside its buffers.
func (l RingLayout) check() error {
	within := func(size int, offsets ...[2]int) bool {
		for _, o := range offsets {
			if o[0] < 0 || o[0]+o[1] > size {
				return false
			}
		}
		return size > 0 && size <= 4096
	}
	if !within(l.DescSize, [2]int{l.StateVar, 8}, [2]int{l.Begin, 8}, [2]int{l.Next, 8}) ||
		!within(l.InfoSize, [2]int{l.Seq, 8}, [2]int{l.Time, 8}, [2]int{l.TextLen, 2}, [2]int{l.Facility, 1},
			[2]int{l.FlagsLevel, 1}, [2]int{l.CallerID, 4}) {
		return fmt.Errorf("printk ring layout: a field lies outside its structure")
	}
	return nil
}

// structs looks things up and keeps the first error.
type structs struct {
	find func(name string) (Struct, error)
	err  error
}

func (s *structs) open(name string) Struct {
	if s.err != nil {
		return nil
	}
	t, err := s.find(name)
	if err != nil {
		s.err = fmt.Errorf("printk ring layout: struct %s: %w", name, err)
	}
	return t
}

func (s *structs) offset(t Struct, name, member string) int {
	if s.err != nil {
		return 0
	}
	off, ok := t.Offset(member)
	if !ok {
		s.err = fmt.Errorf("printk ring layout: struct %s: no member %s", name, member)
	}
	return off
}
