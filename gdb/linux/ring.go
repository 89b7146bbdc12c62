package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// Record is one line of the kernel's log. Text may hold anything, newlines and control bytes included.
type Record struct {
	Seq      uint64
	Time     time.Duration // since sched_clock began; zero before it works
	Level    int           // 0 emerg .. 7 debug
	Facility int           // syslog's: 0 is the kernel
	// Caller is "T1" for a task or "C0" for a CPU with CONFIG_PRINTK_CALLER, else empty.
	Caller string
	Text   string
	// Finalized records are complete. The others were being put together when the machine stopped: with a
	// newline to come (committed), or in the middle of a printk (Reserved), where Text is what had been written.
	Finalized bool
	Reserved  bool
}

// Ring is the printk ring buffer of a kernel, 5.10 or later.
type Ring struct {
	Mem Memory
	// PRB is the run-time address of the variable prb, the pointer to the ring in use. It is followed at every
	// read, because setup_log_buf() may move the log to a ring in the direct map.
	PRB    uint64
	Layout RingLayout
}

// States of a record's descriptor, the top two bits of state_var (kernel/printk/printk_ringbuffer.h).
const (
	stateReserved  = 0
	stateCommitted = 1
	stateFinalized = 2
	stateBits      = 62
	idMask         = 1<<stateBits - 1
)

// Bounds on a ring: log_buf_len is at most 2 GiB (LOG_BUF_LEN_MAX), with a record in 32 bytes.
const (
	maxCountBits = 26
	maxSizeBits  = 31
	idSize       = 8 // the id in front of each data block
)

// ring is the header, read once.
type ring struct {
	countBits, sizeBits uint
	descs, infos, data  uint64
	head, tail          uint64
}

func (r Ring) open() (ring, error) {
	c := cursor{mem: r.Mem}
	l := r.Layout
	if err := l.check(); err != nil {
		return ring{}, err
	}
	at := c.u64(r.PRB)
	h := ring{
		countBits: uint(c.u32(at + uint64(l.CountBits))), sizeBits: uint(c.u32(at + uint64(l.SizeBits))),
		descs: c.u64(at + uint64(l.Descs)), infos: c.u64(at + uint64(l.Infos)), data: c.u64(at + uint64(l.Data)),
		head: c.u64(at+uint64(l.HeadID)) & idMask, tail: c.u64(at+uint64(l.TailID)) & idMask,
	}
	if c.err != nil {
		return ring{}, fmt.Errorf("read printk ring: at 0x%x: %w", at, c.err)
	}
	if h.countBits == 0 || h.countBits > maxCountBits || h.sizeBits < 3 || h.sizeBits > maxSizeBits {
		return ring{}, fmt.Errorf("read printk ring: at 0x%x: 2^%d records and 2^%d bytes make no sense",
			at, h.countBits, h.sizeBits)
	}
	return h, nil
}

// Head is a progress counter: the id of the newest record. It changes with each printk that begins a record and
// costs two small reads. Compare it for equality only.
func (r Ring) Head() (uint64, error) {
	c := cursor{mem: r.Mem}
	head := c.u64(c.u64(r.PRB)+uint64(r.Layout.HeadID)) & idMask
	if c.err != nil {
		return 0, fmt.Errorf("read printk ring: head: %w", c.err)
	}
	return head, nil
}

// Records returns the last n records, oldest first; n <= 0 means all. Records that are overwritten while they are read
// are left out. With an error the records before it are returned too.
func (r Ring) Records(n int) ([]Record, error) {
	h, err := r.open()
	if err != nil {
		return nil, err
	}
	count := (h.head-h.tail)&idMask + 1
	if size := uint64(1) << h.countBits; count > size {
		count = size
	}
	if n > 0 && count > uint64(n) {
		count = uint64(n)
	}
	var records []Record
	for back := count; back > 0; back-- {
		rec, ok, err := r.record(h, (h.head-(back-1))&idMask)
		if err != nil {
			return records, err
		}
		if ok {
			records = append(records, rec)
		}
	}
	return records, nil
}

// record reads the record with an id; ok is false when there is none (never written, or reused meanwhile).
func (r Ring) record(h ring, id uint64) (Record, bool, error) {
	l := r.Layout
	slot := id & (1<<h.countBits - 1)
	c := cursor{mem: r.Mem}
	descAddr := h.descs + slot*uint64(l.DescSize)
	desc := c.bytes(descAddr, l.DescSize)
	info := c.bytes(h.infos+slot*uint64(l.InfoSize), l.InfoSize)
	if c.err != nil {
		return Record{}, false, fmt.Errorf("read printk ring: record id 0x%x: %w", id, c.err)
	}
	le := binary.LittleEndian
	sv := le.Uint64(desc[l.StateVar:])
	state := sv >> stateBits
	if sv&idMask != id || state > stateFinalized {
		return Record{}, false, nil
	}
	flagsLevel := info[l.FlagsLevel]
	rec := Record{
		Seq:       le.Uint64(info[l.Seq:]),
		Time:      time.Duration(min(le.Uint64(info[l.Time:]), 1<<62)),
		Level:     int(flagsLevel >> 5),
		Facility:  int(info[l.Facility]),
		Caller:    callerText(le.Uint32(info[l.CallerID:])),
		Finalized: state == stateFinalized,
		Reserved:  state == stateReserved,
	}
	text, err := r.text(h, le.Uint64(desc[l.Begin:]), le.Uint64(desc[l.Next:]))
	if err != nil {
		return Record{}, false, fmt.Errorf("read printk ring: text of record %d: %w", rec.Seq, err)
	}
	if rec.Reserved {
		// text_len is not set yet; the writer goes from left to right.
		if i := bytes.IndexByte(text, 0); i >= 0 {
			text = text[:i]
		}
		if len(text) == 0 {
			return Record{}, false, nil
		}
	} else if n := int(le.Uint16(info[l.TextLen:])); n < len(text) {
		text = text[:n]
	}
	rec.Text = string(text)
	// The guest may be running: what was read counts only if the record is still the same.
	again := c.u64(descAddr + uint64(l.StateVar))
	return rec, c.err == nil && again&idMask == id, nil
}

// maxText bounds the bytes read for one record; text_len is a u16.
const maxText = 1 << 16

// text returns a data block without its id. Positions are logical: they count up for ever, and a block that does not
// fit before the end of the ring lies at its beginning:
//
//	begin%size < next%size   [ ... begin:id text :next ... ]
//	else                     [id text :next ...... begin (only its id) ]
func (r Ring) text(h ring, begin, next uint64) ([]byte, error) {
	if begin&1 != 0 || next&1 != 0 {
		return nil, nil // FAILED_LPOS or NO_LPOS: a record without text
	}
	size := uint64(1) << h.sizeBits
	b, n := begin&(size-1), next&(size-1)
	if n == 0 {
		n = size
	}
	if b >= n {
		b = 0
	}
	if n-b <= idSize {
		return nil, nil
	}
	text := make([]byte, min(n-b-idSize, maxText))
	_, err := r.Mem.ReadMemory(text, h.data+b+idSize)
	return text, err
}

// callerText is print_caller() of kernel/printk/printk.c: bit 31 tells a CPU from a task. Zero is what kernels without
// CONFIG_PRINTK_CALLER may have and is also the swapper task; it is shown as nothing.
func callerText(id uint32) string {
	switch {
	case id == 0:
		return ""
	case id>>31 != 0:
		return fmt.Sprintf("C%d", id&^(1<<31))
	}
	return fmt.Sprintf("T%d", id)
}
