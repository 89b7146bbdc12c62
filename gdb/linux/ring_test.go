package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// memory is guest memory of one piece that begins at base.
type memory struct {
	base uint64
	data []byte
}

func (m memory) ReadMemory(p []byte, addr uint64) (int, error) {
	off := addr - m.base
	if off >= uint64(len(m.data)) {
		return 0, errors.New("unmapped")
	}
	n := copy(p, m.data[off:])
	if n < len(p) {
		return n, errors.New("unmapped")
	}
	return n, nil
}

func (m memory) put64(addr, v uint64) { binary.LittleEndian.PutUint64(m.data[addr-m.base:], v) }
func (m memory) put32(addr uint64, v uint32) {
	binary.LittleEndian.PutUint32(m.data[addr-m.base:], v)
}

const (
	ringBase  = 0xffffffff82000000
	ringAt    = ringBase + 0x100
	descsAt   = ringBase + 0x1000
	infosAt   = ringBase + 0x2000
	dataAt    = ringBase + 0x3000
	countBits = 3
	sizeBits  = 8
)

// newRing is an empty ring of 8 records and 256 bytes, as printk_ringbuffer.h's DEFINE_PRINTKRB makes it.
func newRing() (Ring, memory) {
	m := memory{ringBase, make([]byte, 0x4000)}
	m.put64(ringBase, ringAt)
	m.put32(ringAt, countBits)
	m.put64(ringAt+8, descsAt)
	m.put64(ringAt+16, infosAt)
	first := uint64(1)<<stateBits - 1 - 7 // DESC0_ID(3): -(8+1)... only its wrapping matters here
	m.put64(ringAt+24, first)
	m.put64(ringAt+32, first)
	m.put32(ringAt+48, sizeBits)
	m.put64(ringAt+56, dataAt)
	m.put64(descsAt+24*(first&7), 3<<stateBits|first)
	return Ring{Mem: m, PRB: ringBase, Layout: DefaultRingLayout()}, m
}

// entry writes one record; lpos is its logical position.
func (m memory) entry(id, state, seq, begin, next uint64, text string) {
	slot := id & (1<<countBits - 1)
	d, i := uint64(descsAt+24*slot), infosAt+88*slot
	m.put64(d, state<<stateBits|id&idMask)
	m.put64(d+8, begin)
	m.put64(d+16, next)
	m.put64(i, seq)
	m.put64(i+8, seq*1000)
	m.put32(i+16, uint32(len(text))|1<<16|(4<<5|2)<<24)
	m.put32(i+20, 1<<31|7)
	b, n := begin&255, next&255
	if n != 0 && b >= n {
		b = 0
	}
	m.put64(dataAt+b, id)
	copy(m.data[dataAt+b+8-m.base:], text)
	m.put64(ringAt+24, id)
}

func TestRecords(t *testing.T) {
	const start = idMask - 5 // ids wrap within the test
	tests := []struct {
		name  string
		write func(m memory)
		want  []string
	}{
		{"empty", func(memory) {}, nil},
		{"finalized, committed, reserved", func(m memory) {
			m.entry(start, stateFinalized, 0, 0, 24, "first")
			m.entry(start+1, stateCommitted, 1, 24, 56, "second, open")
			m.entry(start+2, stateReserved, 2, 56, 96, "third")
			m.put32(infosAt+88*((start+2)&7)+16, 0)
		}, []string{"0 first F", "1 second, open -", "2 third R"}},
		{"id wraps around", func(m memory) {
			for i := range uint64(8) {
				m.entry((start+i)&idMask, stateFinalized, i, i*24, i*24+24, fmt.Sprint("n", i))
			}
		}, []string{"0 n0 F", "1 n1 F", "2 n2 F", "3 n3 F", "4 n4 F", "5 n5 F", "6 n6 F", "7 n7 F"}},
		{"data wraps around", func(m memory) {
			m.entry(start, stateFinalized, 0, 240, 256+24, "wrapped")
			m.entry(start+1, stateFinalized, 1, 256+24, 512, "to the end")
		}, []string{"0 wrapped F", "1 to the end F"}},
		{"no data", func(m memory) {
			m.entry(start, stateFinalized, 0, 1, 1, "")
			m.entry(start+1, stateFinalized, 1, 3, 3, "")
		}, []string{"0  F", "1  F"}},
		{"text longer than its block", func(m memory) {
			m.entry(start, stateFinalized, 0, 0, 16, "12345678 and more")
		}, []string{"0 12345678 F"}},
		{"reusable and foreign ids are skipped", func(m memory) {
			m.entry(start, 3, 0, 0, 24, "gone")
			m.entry(start+1, stateFinalized, 1, 24, 48, "here")
			m.put64(descsAt+24*((start+1)&7), stateFinalized<<stateBits|99)
			m.entry(start+2, stateFinalized, 2, 48, 72, "last")
		}, []string{"2 last F"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r, m := newRing()
			if tc.name != "empty" {
				m.put64(ringAt+32, start)
			}
			tc.write(m)
			records, err := r.Records(0)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, rec := range records {
				state := map[[2]bool]string{{true, false}: "F", {false, true}: "R", {false, false}: "-"}[[2]bool{rec.Finalized, rec.Reserved}]
				got = append(got, fmt.Sprintf("%d %s %s", rec.Seq, rec.Text, state))
			}
			if strings.Join(got, "|") != strings.Join(tc.want, "|") {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if len(records) > 0 && records[0].Time != time.Duration(records[0].Seq)*1000 {
				t.Errorf("time %v", records[0].Time)
			}
		})
	}
	r, m := newRing()
	m.put64(ringAt+32, start)
	m.entry(start, stateFinalized, 9, 0, 24, "x")
	got, err := r.Records(0)
	want := Record{Seq: 9, Time: 9000, Level: 4, Facility: 1, Caller: "C7", Text: "x", Finalized: true}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if head, err := r.Head(); err != nil || head != start {
		t.Errorf("head 0x%x, %v", head, err)
	}
}

func TestRecordsRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(m memory)
	}{
		{"ring nowhere", func(m memory) { m.put64(ringBase, 0) }},
		{"too many records", func(m memory) { m.put32(ringAt, 60) }},
		{"no size", func(m memory) { m.put32(ringAt+48, 0) }},
		{"descriptors nowhere", func(m memory) { m.put64(ringAt+8, 0x1000) }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			r, m := newRing()
			tc.change(m)
			if got, err := r.Records(0); err == nil {
				t.Errorf("%+v", got)
			}
		})
	}
	r, _ := newRing()
	r.Layout.TextLen = 88
	if _, err := r.Records(0); err == nil {
		t.Error("layout with a field outside its structure")
	}
}

func FuzzRecords(f *testing.F) {
	_, m := newRing()
	m.entry(5, stateFinalized, 5, 0, 24, "hello")
	f.Add(m.data[0x100:0x160], m.data[0x1000:0x10c0], m.data[0x2000:0x2200])
	f.Fuzz(func(t *testing.T, header, descs, infos []byte) {
		r, m := newRing()
		copy(m.data[0x100:0x200], header)
		copy(m.data[0x1000:0x2000], descs)
		copy(m.data[0x2000:0x3000], infos)
		if bits := binary.LittleEndian.Uint32(m.data[0x100:]); bits > 16 {
			m.put32(ringAt, 16) // more are legal and slow
		}
		records, _ := r.Records(0)
		for _, rec := range records {
			if len(rec.Text) > maxText || rec.Level > 7 {
				t.Errorf("%+v", rec)
			}
		}
		_, _ = r.Head()
	})
}

type member map[string]int

func (m member) Offset(name string) (int, bool) { o, ok := m[name]; return o, ok }
func (m member) Size() int                      { return m["size"] }

// TestRingLayoutFrom: the offsets gdb's ptype /o gives for 6.1, through the same route as DWARF's.
func TestRingLayoutFrom(t *testing.T) {
	kernel := map[string]member{
		"printk_ringbuffer": {"size": 88, "desc_ring": 0, "text_data_ring": 48, "fail": 80},
		"prb_desc_ring":     {"size": 48, "count_bits": 0, "descs": 8, "infos": 16, "head_id": 24, "tail_id": 32},
		"prb_data_ring":     {"size": 32, "size_bits": 0, "data": 8, "head_lpos": 16, "tail_lpos": 24},
		"prb_desc":          {"size": 24, "state_var": 0, "text_blk_lpos": 8},
		"prb_data_blk_lpos": {"size": 16, "begin": 0, "next": 8},
		"printk_info":       {"size": 88, "seq": 0, "ts_nsec": 8, "text_len": 16, "facility": 18, "caller_id": 20},
	}
	find := func(name string) (Struct, error) {
		if s, ok := kernel[name]; ok {
			return s, nil
		}
		return nil, errors.New("not found")
	}
	got, err := RingLayoutFrom(find)
	if err != nil || got != DefaultRingLayout() {
		t.Errorf("%+v, %v", got, err)
	}
	delete(kernel["prb_desc"], "state_var")
	if _, err := RingLayoutFrom(find); err == nil || err.Error() != "printk ring layout: struct prb_desc: no member state_var" {
		t.Error(err)
	}
	delete(kernel, "printk_info")
	if _, err := RingLayoutFrom(find); err == nil || err.Error() != "printk ring layout: struct printk_info: not found" {
		t.Error(err)
	}
}
