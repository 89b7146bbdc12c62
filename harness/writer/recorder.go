package writer

import (
	"bytes"
	"encoding/binary"
	"slices"

	"kcatch/gdb/rsp"
	"kcatch/harness/autopsy"
	"kcatch/harness/watch"
)

// Kept is how many of the last writers are kept with their chains.
const Kept = 16

// maxForeign is how many stops at an address that maps other memory are taken before that address is no longer watched: user
// space may be busy there.
const maxForeign = 64

// maxHits is how many writes by one address are all taken; of those after it some are, see watch.Rest.
const maxHits = 512

// RAM is the guest's memory. *guest.RAM satisfies it.
type RAM interface {
	ReadPhysical(p []byte, pa uint64) (n int, err error)
}

// Event is one write.
type Event struct {
	CPU int
	Via Kind
	// Old and New are the eight bytes, or fewer, of the target at Offset: the first ones that changed.
	Offset   int
	Old, New uint64
	Chain    autopsy.Chain
	// Loading says that the kernel was not at its place yet: the firmware loads it or its decompressor unpacks it, byte by byte.
	// All of that is one event, of so many writes; the chain is that of the first.
	Loading bool
	Times   int // stops: those of loading, or the rounds of a repeated string instruction
}

// Recorder takes the writes of one boot. It is not safe for concurrent use.
type Recorder struct {
	ram     RAM
	maps    Maps
	records []record
	frozen  bool // by End
}

// record is one target's.
type record struct {
	target  Target
	aliases []Alias
	foreign map[uint64]int // stops by alias that were other memory's
	hits    map[uint64]int // writes by alias
	sampled bool           // some writes were not seen, because there were so many
	dropped []Kind         // aliases that are no longer watched
	shared  bool           // a write was seen by a watchpoint that has another target's bytes, too
	last    []byte         // its bytes as they were seen last
	now     account
	cut     account // as it was when Cut was called last
}

// account is what is known of the writers up to some moment.
type account struct {
	writers int
	events  []Event // the last ones, at most Kept
	left    []byte  // the target as the last of them left it; at power-on before the first
	value   []byte  // and as it was when the account was closed

	handlers []handler // those that the last of them is in
}

// handler is an exception's handler that has written the target, or an interrupt's.
type handler struct {
	ptRegs uint64
	before account // as it was when it began; value is that of the target then
}

// enter keeps what was known before a handler's first write, which the death that it reports is about. e is the next event, and
// last the target before it. A stack address serves the next exception, too: a handler that e is not in is over.
func (acc *account) enter(e *Event, last []byte) {
	var in []handler
	for _, t := range e.Chain.Traps {
		switch i := slices.IndexFunc(acc.handlers, func(h handler) bool { return h.ptRegs == t.PtRegs }); {
		case t.PtRegs == 0 || len(in) == maxHandlers:
		case i >= 0:
			in = append(in, acc.handlers[i])
		default:
			in = append(in, handler{t.PtRegs, account{writers: acc.writers, events: slices.Clone(acc.events), left: last, value: last}})
		}
	}
	acc.handlers = in
}

// maxHandlers bounds the exceptions within exceptions whose beginning is kept.
const maxHandlers = 8

// NewRecorder begins with the machine at its first instruction.
func NewRecorder(ram RAM, m Maps, targets []Target) *Recorder {
	r := &Recorder{ram: ram, maps: m}
	for _, t := range targets {
		rec := record{target: t, aliases: m.Aliases(t), foreign: map[uint64]int{}, hits: map[uint64]int{}}
		rec.last = r.bytes(t)
		rec.now.left = rec.last
		r.records = append(r.records, rec)
	}
	return r
}

// bytes reads a target as it is now.
func (r *Recorder) bytes(t Target) []byte {
	all := make([]byte, 0, t.Size)
	for _, p := range t.Pieces {
		b := make([]byte, p.Len)
		_, _ = r.ram.ReadPhysical(b, p.Phys) // the target was read when it was found; what fails later reads as zero
		all = append(all, b...)
	}
	return all
}

// Watchpoints are what has to stand from power-on. Those that would overlap are one: QEMU reports one of them for a write.
func (r *Recorder) Watchpoints() []rsp.Breakpoint {
	var all []rsp.Breakpoint
	add := func(addr uint64, size int) {
		b := rsp.Breakpoint{Kind: rsp.WriteWatch, Addr: addr, Len: size}
		at := len(all)
		for i := len(all) - 1; i >= 0; i-- {
			if a := all[i]; overlap(a, b.Addr, b.Len) {
				first, end := min(a.Addr, b.Addr), max(a.Addr+uint64(a.Len), b.Addr+uint64(b.Len))
				b.Addr, b.Len, at = first, int(end-first), i
				all = slices.Delete(all, i, i+1)
			}
		}
		all = slices.Insert(all, min(at, len(all)), b)
	}
	for _, rec := range r.records {
		for _, a := range rec.aliases {
			add(a.Addr, a.Len)
		}
	}
	if at := r.maps.DirectVar; at != 0 {
		add(at, directVarSize)
	}
	return all
}

// directVarSize is the size of page_offset_base, in bytes.
const directVarSize = 8

// overlap reports whether a watchpoint has a byte of [addr, addr+size).
func overlap(b rsp.Breakpoint, addr uint64, size int) bool {
	return addr-b.Addr < uint64(b.Len) || b.Addr-addr < uint64(size)
}

// watchpoint is the one that was inserted at an address.
func (r *Recorder) watchpoint(addr uint64) (rsp.Breakpoint, bool) {
	all := r.Watchpoints()
	i := slices.IndexFunc(all, func(b rsp.Breakpoint) bool { return b.Addr == addr })
	if i < 0 {
		return rsp.Breakpoint{}, false
	}
	return all[i], true
}

// followed takes a write to page_offset_base: the direct map is somewhere else than in the boot that found the target, because a
// stop before that has taken the clock that KASLR chooses by forward.
func (r *Recorder) followed(translate Translate) bool {
	if pa, _, err := translate(r.maps.DirectVar); err != nil || pa != r.maps.DirectVarPhys {
		return false
	}
	var b [8]byte
	if _, err := r.ram.ReadPhysical(b[:], r.maps.DirectVarPhys); err != nil {
		return false
	}
	base := word(b[:])
	if base == r.maps.Direct || base>>63 == 0 {
		return false
	}
	for i := range r.records {
		for n := range r.records[i].aliases {
			if a := &r.records[i].aliases[n]; a.Kind == Direct {
				a.Addr = base + a.Phys
			}
		}
	}
	r.maps.Direct = base
	return true
}

// Translate gives the guest-physical address of a virtual one for the vCPU that wrote.
type Translate func(va uint64) (pa, n uint64, err error)

// hit is a target that a stop may be about.
type hit struct {
	rec *record
	by  Alias
	now []byte // the target's bytes
}

// Written takes a stop; loading is as in [Event]. chain unwinds the writer, given the bytes that it may have written; it is called
// at most once.
func (r *Recorder) Written(w watch.Write, loading bool, translate Translate, chain func(at uint64, size int) autopsy.Chain) watch.Next {
	if r.frozen {
		return watch.Drop
	}
	point, ok := r.watchpoint(w.Addr)
	if !ok {
		return watch.Drop
	}
	base := r.maps.DirectVar != 0 && overlap(point, r.maps.DirectVar, directVarSize)
	keep, rest := base, false
	var hits []hit
	var strangers []Alias
	var foreign []*record
	for i := range r.records {
		rec := &r.records[i]
		by, own, covers := rec.covered(point, translate)
		switch {
		case !covers:
		case own:
			hits = append(hits, hit{rec, by, r.bytes(rec.target)})
		default:
			foreign, strangers = append(foreign, rec), append(strangers, by)
			rec.foreign[w.Addr]++
			keep = keep || rec.foreign[w.Addr] < maxForeign
		}
	}
	keep = keep || len(hits) > 0
	var got *autopsy.Chain
	for _, h := range append(concerned(hits), r.beside(hits)...) {
		rec := h.rec
		if loading && rec.loaded(h.now) {
			continue
		}
		if rec.hits[w.Addr]++; rec.hits[w.Addr] > maxHits {
			rec.sampled, rest = true, true
		}
		if got == nil {
			c := chain(point.Addr, point.Len)
			got = &c
		}
		rec.add(Event{CPU: w.CPU, Via: h.by.Kind, Chain: *got, Loading: loading, Times: 1}, h.now)
	}
	switch {
	case base && r.followed(translate):
		return watch.Moved
	case rest && !base:
		return watch.Rest
	case keep:
		return watch.Keep
	}
	for i, rec := range foreign {
		if k := strangers[i].Kind; !slices.Contains(rec.dropped, k) {
			rec.dropped = append(rec.dropped, k)
		}
	}
	return watch.Drop
}

// covered is an alias of the target that a watchpoint has bytes of; own says that it maps the target for the vCPU that wrote, and not
// other memory.
func (rec *record) covered(point rsp.Breakpoint, translate Translate) (by Alias, own, covers bool) {
	for _, a := range rec.aliases {
		if !overlap(point, a.Addr, a.Len) {
			continue
		}
		if pa, _, err := translate(a.Addr); err == nil && pa == a.Phys {
			return a, true, true
		}
		if !covers {
			by, covers = a, true
		}
	}
	return by, false, covers
}

// concerned are those of the targets under one watchpoint that a write was to. It does not say to which bytes: to those that changed;
// when none did, to any.
func concerned(hits []hit) []hit {
	if len(hits) < 2 {
		return hits
	}
	var changed []hit
	for _, h := range hits {
		h.rec.shared = true
		if !bytes.Equal(h.rec.last, h.now) {
			changed = append(changed, h)
		}
	}
	if len(changed) == 0 {
		return hits
	}
	return changed
}

// beside are the targets next to those of a stop which the same store changed: QEMU reports one watchpoint for a store, also when it has
// bytes of two (softmmu/physmem.c, cpu_check_watchpoint). A store that left such a target as it was is not told from one that
// did not reach it.
func (r *Recorder) beside(hits []hit) (all []hit) {
	for i := range r.records {
		rec := &r.records[i]
		if slices.ContainsFunc(hits, func(h hit) bool { return h.rec == rec }) {
			continue
		}
		near := slices.IndexFunc(hits, func(h hit) bool { return rec.target.near(h.rec.target) })
		if near < 0 {
			continue
		}
		if now := r.bytes(rec.target); !bytes.Equal(rec.last, now) {
			all = append(all, hit{rec, hits[near].by, now})
		}
	}
	return all
}

// widest is the most bytes that one instruction stores in a kernel: a register of AVX-512, in the RAID code.
const widest = 64

// near reports whether one store can reach both targets.
func (t Target) near(other Target) bool {
	return t.Addr < other.Addr+uint64(other.Size)+widest-1 && other.Addr < t.Addr+uint64(t.Size)+widest-1
}

// add counts a write that left the target with these bytes. The rounds of one repeated string instruction are one write.
func (rec *record) add(e Event, now []byte) {
	if n := len(rec.now.events); n > 0 && rec.now.events[n-1].goesOn(e) {
		last := &rec.now.events[n-1]
		last.Times++
		last.Chain.Regs = e.Chain.Regs
		last.New = word(now[last.Offset:])
		rec.last, rec.now.left = now, now
		return
	}
	rec.now.enter(&e, rec.last)
	e.Offset = changed(rec.last, now)
	e.Old, e.New = word(rec.last[e.Offset:]), word(now[e.Offset:])
	rec.last, rec.now.left = now, now
	rec.now.writers++
	if len(rec.now.events) == Kept {
		rec.now.events = rec.now.events[:copy(rec.now.events, rec.now.events[1:])]
	}
	rec.now.events = append(rec.now.events, e)
}

// Rearmed says that a watchpoint which rested is in again: what was written meanwhile is nobody's.
func (r *Recorder) Rearmed(addr uint64) {
	point, ok := r.watchpoint(addr)
	if !ok {
		return
	}
	for i := range r.records {
		rec := &r.records[i]
		if slices.ContainsFunc(rec.aliases, func(a Alias) bool { return overlap(point, a.Addr, a.Len) }) {
			rec.last = r.bytes(rec.target)
		}
	}
}

// loaded adds a write to the event of loading, if there is one, that left the target with these bytes.
func (rec *record) loaded(now []byte) bool {
	n := len(rec.now.events)
	if n == 0 || !rec.now.events[n-1].Loading {
		return false
	}
	e := &rec.now.events[n-1]
	e.Times++
	e.New = word(now[e.Offset:])
	rec.last, rec.now.left = now, now
	return true
}

// goesOn reports whether next is a later round of the same `rep stos` or `rep movs`: RCX counts them down.
func (e Event) goesOn(next Event) bool {
	a, b := &e.Chain, &next.Chain
	return a.Rep && b.Rep && e.CPU == next.CPU && a.Regs.RIP == b.Regs.RIP && a.Regs.RSP == b.Regs.RSP && b.Regs.RCX < a.Regs.RCX
}

// changed is the offset of the first word of eight bytes that differs; 0 when none does.
func changed(before, now []byte) int {
	for at := 0; at < len(now); at += 8 {
		end := min(at+8, len(now))
		if !bytes.Equal(before[at:end], now[at:end]) {
			return at
		}
	}
	return 0
}

// word is up to eight bytes, little-endian.
func word(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:])
}

// Cut marks a moment that may turn out to be the death: an early exception, of which some return.
func (r *Recorder) Cut() {
	if r.frozen {
		return
	}
	for i := range r.records {
		rec := &r.records[i]
		rec.cut = rec.now
		rec.cut.events, rec.cut.value = slices.Clone(rec.now.events), r.bytes(rec.target)
	}
}

// End marks the death: no write after it counts.
func (r *Recorder) End() {
	r.Cut()
	r.frozen = true
}

// Answer is who wrote one target.
type Answer struct {
	Target  Target
	Writers int
	// Events are the last writers, at most Kept, the last one last.
	Events []Event
	// Value is the target's first eight bytes, or fewer, at the death.
	Value uint64
	// Missed says that the target had another value at the death than the last writer left: something wrote it by a mapping that
	// was not watched, or a device did.
	Missed bool
	// Sampled says that there were too many writes to take each: Writers is a lower bound, and the last writer may be another.
	Sampled bool
	// Shared says that another target has some of its bytes: a write that left its own bytes as they were and changed the other's is
	// not counted.
	Shared bool
	// Kinds are the mappings that were watched, and Dropped those of them that were not watched to the end.
	Kinds, Dropped []Kind
}

// Answers are the writers of each target up to the death. atCut takes the moment of the last Cut for it, else it is now. What was
// written in the handler of the exception whose pt_regs is given was written after the death.
func (r *Recorder) Answers(atCut bool, ptRegs uint64) []Answer {
	var all []Answer
	for i := range r.records {
		rec := &r.records[i]
		acc := rec.cut
		if !r.frozen && !atCut || acc.value == nil {
			acc = rec.now
			acc.value = r.bytes(rec.target)
		}
		i := slices.IndexFunc(acc.handlers, func(h handler) bool { return ptRegs != 0 && h.ptRegs == ptRegs })
		if i >= 0 {
			acc = acc.handlers[i].before
		}
		a := Answer{Target: rec.target, Writers: acc.writers, Events: acc.events, Value: word(acc.value), Dropped: rec.dropped,
			Sampled: rec.sampled, Shared: rec.shared}
		a.Missed = !bytes.Equal(acc.left, acc.value) && !rec.sampled
		for _, al := range rec.aliases {
			if !slices.Contains(a.Kinds, al.Kind) {
				a.Kinds = append(a.Kinds, al.Kind)
			}
		}
		all = append(all, a)
	}
	return all
}
