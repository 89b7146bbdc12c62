package vmlinux

import (
	"debug/dwarf"
	"errors"
	"io"
	"path"
	"testing"

	"kcatch/internal/fixtures"
)

// sampleUnits are about n units all over the file.
func sampleUnits(t testing.TB, f *File, n int) []*unit {
	t.Helper()
	starts := f.unitStarts()
	var units []*unit
	for i := 0; i < len(starts); i += max(1, len(starts)/n) {
		u, err := f.loadUnit(starts[i])
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, u)
	}
	return units
}

// TestLineProgramOracle compares rows and file names with debug/dwarf's, a second implementation.
func TestLineProgramOracle(t *testing.T) {
	for _, f := range []*File{
		openTiny(t, "tiny"), openTiny(t, "tiny-dwarf4"), openTiny(t, "tiny-clang"), openTiny(t, "tiny-zlib"), openFixture(t, fixtures.Seed61),
	} {
		rows := 0
		for _, u := range sampleUnits(t, f, 30) {
			rows += compareLines(t, f, u)
		}
		if rows < 10 {
			t.Errorf("%s: %d rows compared", f.Path(), rows)
		}
	}
}

func compareLines(t *testing.T, f *File, u *unit) (compared int) {
	t.Helper()
	data, err := u.dwarf()
	if err != nil {
		t.Fatal(err)
	}
	root, err := u.decode(u.root.off)
	if err != nil {
		t.Fatal(err)
	}
	r, err := data.LineReader(root)
	if err != nil || r == nil {
		return 0
	}
	lines, err := u.lineTable()
	if err != nil {
		t.Fatal(err)
	}
	var e, next dwarf.LineEntry
	for err = r.Next(&e); err == nil; e = next {
		if err = r.Next(&next); errors.Is(err, io.EOF) {
			break
		}
		if e.EndSequence || next.Address <= e.Address || e.Address == 0 { // another row at the address counts
			continue
		}
		row, ok := lines.at(Addr(e.Address))
		name := ""
		if e.File != nil {
			name = path.Clean(e.File.Name)
		}
		var own string
		if n := int(row.file); n < len(lines.files) {
			own = path.Clean(lines.joined(n))
		}
		if !ok || row.addr != e.Address || int(row.line) != e.Line || int(row.column) != e.Column || own != name {
			t.Errorf("%s 0x%x: %+v %q (%v), debug/dwarf has %s:%d:%d", u.name(), e.Address, row, own, ok, name, e.Line, e.Column)
		}
		compared++
	}
	return compared
}

// TestEntryOracle compares ranges, names and calls of every entry with code with debug/dwarf's.
func TestEntryOracle(t *testing.T) {
	for _, f := range []*File{
		openTiny(t, "tiny"), openTiny(t, "tiny-dwarf4"), openTiny(t, "tiny-clang"), openFixture(t, fixtures.Seed61),
	} {
		compared := 0
		for _, u := range sampleUnits(t, f, 30) {
			if want, _ := u.rootValue(dwarf.AttrCompDir).(string); u.compDir() != want {
				t.Errorf("compiled in %q, debug/dwarf has %q", u.compDir(), want)
			}
			err := u.children(u.root, func(d die, _ int) (bool, error) {
				if d.abbrev.hasPC {
					compared++
					compareEntry(t, u, d)
				}
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if compared < 5 {
			t.Errorf("%s: %d entries compared", f.Path(), compared)
		}
	}
}

func compareEntry(t *testing.T, u *unit, d die) {
	t.Helper()
	want, err := u.decode(d.off)
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.read(d)
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := u.rangesOf(nil, &got)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := u.ranges(want)
	if err != nil {
		t.Fatal(err)
	}
	same := len(ranges) == len(wanted)
	for i := range wanted {
		same = same && ranges[i] == wanted[i]
	}
	if !same {
		t.Errorf("%s entry 0x%x: ranges %x, debug/dwarf has %x", u.name(), d.off, ranges, wanted)
	}
	if a, b := u.sourceNameOf(&got), u.sourceName(want); a != b {
		t.Errorf("%s entry 0x%x: name %q, debug/dwarf has %q", u.name(), d.off, a, b)
	}
	for _, n := range []struct {
		attr dwarf.Attr
		got  int
	}{{dwarf.AttrCallFile, got.callFile}, {dwarf.AttrCallLine, got.callLine}, {dwarf.AttrCallColumn, got.callColumn}} {
		if want := intValue(want, n.attr); n.got != want {
			t.Errorf("%s entry 0x%x: %s %d, debug/dwarf has %d", u.name(), d.off, n.attr, n.got, want)
		}
	}
}

// TestSkipTypes: what is skipped, and what is left to a closer look.
func TestSkipTypes(t *testing.T) {
	u := &unit{abbrevs: &abbrevs{dense: make([]abbrev, 300)}}
	for i := range u.abbrevs.dense {
		u.abbrevs.dense[i] = abbrev{tag: dwarf.TagBaseType, fixed: 1, siblingAt: -1}
	}
	u.abbrevs.dense[1] = abbrev{tag: dwarf.TagSubprogram, fixed: 0, siblingAt: -1, hasPC: true}
	u.abbrevs.dense[2] = abbrev{tag: dwarf.TagStructType, fixed: 4, siblingAt: 0, sibling: true, children: true}
	u.abbrevs.dense[3] = abbrev{tag: dwarf.TagStructType, fixed: 1, siblingAt: -1, children: true}
	u.abbrevs.dense[4] = abbrev{tag: dwarf.TagVariable, fixed: -1, siblingAt: -1}
	u.abbrevs.dense[5] = abbrev{tag: dwarf.TagSubprogram, fixed: 1, siblingAt: -1}
	for _, tt := range []struct {
		name string
		info []byte
		want int
	}{
		{"a function", []byte{1, 0, 1, 0, 2}, 4},
		{"the end of the list", []byte{1, 0, 0, 1, 0}, 2},
		{"past children", []byte{3, 8, 0, 0, 0, 1, 0, 0, 2}, 8},
		{"a sibling before", []byte{3, 0, 0, 0, 0, 2}, 0},
		{"a sibling outside", []byte{3, 9, 0, 0, 0, 2}, 0},
		{"children without a sibling", []byte{4, 0, 2}, 0},
		{"no fixed size", []byte{1, 0, 5, 2}, 2},
		{"a declaration", []byte{6, 0, 2}, 2},
		{"two bytes", []byte{0xa0, 2, 0, 2}, 3},
		{"three bytes", []byte{0xa0, 0x82, 0, 0, 2}, 0},
		{"cut off", []byte{0xa0}, 0},
		{"attributes cut off", []byte{1}, 0},
		{"no such abbreviation", []byte{0xff, 3, 2}, 0},
	} {
		u.info = tt.info
		if got := u.skipTypes(0); got != tt.want {
			t.Errorf("%s: at %d, want %d", tt.name, got, tt.want)
		}
	}
}
