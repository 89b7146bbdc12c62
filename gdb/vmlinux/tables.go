package vmlinux

import (
	"sort"
	"sync"
)

// debugTables are the sections that an address is looked up in, decompressed. They are only read, so several goroutines may.
type debugTables struct {
	info, abbrev, line, aranges    []byte
	str, lineStr, strOffsets, addr []byte
	ranges, rnglists               []byte

	once  sync.Once
	units []uint64 // see starts
}

// debugTables are made at the first call.
func (f *File) debugTables() (*debugTables, error) {
	f.debug.once.Do(func() {
		t := &debugTables{}
		for _, s := range []struct {
			name string
			to   *[]byte
		}{
			{".debug_info", &t.info}, {".debug_abbrev", &t.abbrev}, {".debug_line", &t.line}, {".debug_aranges", &t.aranges},
			{".debug_str", &t.str}, {".debug_line_str", &t.lineStr}, {".debug_str_offsets", &t.strOffsets}, {".debug_addr", &t.addr},
			{".debug_ranges", &t.ranges}, {".debug_rnglists", &t.rnglists},
		} {
			if *s.to, f.debug.err = f.section(s.name); f.debug.err != nil {
				return
			}
		}
		f.debug.tables = t
	})
	return f.debug.tables, f.debug.err
}

// starts are the offsets of all units whose headers can be read, in order: 3,400 in Debian's kernel, whose headers take 100 ms and
// 80 MB to look at, so only references to other units and searches by name ask for them.
func (t *debugTables) starts() []uint64 {
	t.once.Do(func() {
		for off := uint64(0); off < uint64(len(t.info)); {
			h, err := parseUnitHeader(t.info, off)
			if h.length == 0 {
				break // where the next unit begins is unknown
			}
			if err == nil {
				t.units = append(t.units, off)
			}
			off += h.length
		}
	})
	return t.units
}

// unitStart is the offset of the unit around an offset of .debug_info.
func (t *debugTables) unitStart(off uint64) (uint64, bool) {
	starts := t.starts()
	i := sort.Search(len(starts), func(i int) bool { return starts[i] > off })
	if i == 0 {
		return 0, false
	}
	return starts[i-1], true
}
