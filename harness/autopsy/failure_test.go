package autopsy

import (
	"testing"

	"kcatch/gdb/linux"
)

// TestDumped: which page a dump in the log is of, and whether it is the trap's. The lines are those of seed-6.1 and seed-6.12.
func TestDumped(t *testing.T) {
	const (
		page61  = "page:(____ptrval____) refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x3f9"
		page612 = "page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x0"
		raw     = "raw: 0000000000000000 0000000000000000 00000001ffffffff 0000000000000000"
		because = "page dumped because: VM_BUG_ON_PAGE(atomic_read(&({ do { if (__builtin_expect(!!(1 && PageCompound(page))"
		cut     = "------------[ cut here ]------------"
		bug     = "kernel BUG at include/linux/page-flags.h:503!"
		warning = "WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:503 f+0x1/0x2"
	)
	for _, tc := range []struct {
		name string
		log  []string
		want int64 // -1: none
	}{
		{"6.1", []string{page61, "flags: 0x0(zone=0)", raw, raw, because, cut, bug, "CPU: 0 PID: 0"}, 0x3f9},
		{"6.12", []string{page612, "flags: 0x0(zone=0)", raw, because, cut, bug}, 0},
		{"not reported yet", []string{page61, raw, because, cut}, 0x3f9},
		{"a warning", []string{page61, raw, because, cut, warning}, 0x3f9},
		{"the last of two", []string{page612, because, bug, page61, because, bug}, 0x3f9},
		{"another BUG", []string{page61, because, cut, "kernel BUG at mm/slub.c:4!"}, -1},
		{"another line's end", []string{page61, because, cut, "kernel BUG at mm/slub.c:1503!"}, -1},
		{"another warning", []string{page61, because, cut, "WARNING: CPU: 0 PID: 1 at mm/slub.c:4 f+0x1/0x2"}, -1},
		{"no dump", []string{cut, bug}, -1},
		{"cut off", []string{because, cut, bug}, -1},
		{"forged", []string{"page: pfn:0x1", because, cut, bug}, -1},
	} {
		var log []linux.Record
		for _, l := range tc.log {
			log = append(log, linux.Record{Text: l})
		}
		pfn, ok := dumped(log, 503)
		if ok != (tc.want >= 0) || ok && pfn != uint64(tc.want) {
			t.Errorf("%s: 0x%x %v, want %d", tc.name, pfn, ok, tc.want)
		}
	}
}
