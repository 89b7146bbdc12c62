package vmlinux

import (
	"reflect"
	"testing"

	"kcatch/internal/fixtures"
)

// TestLocateAll: a batch says of each address what it is told alone, in the order in which it was asked.
func TestLocateAll(t *testing.T) {
	for _, f := range []*File{
		openTiny(t, "tiny"), openTiny(t, "tiny-clang"), openTiny(t, "tiny-stripped"), openTiny(t, "tiny-zstd"), openFixture(t, fixtures.Seed61),
	} {
		addrs := sampleCode(f, 400)
		for i, a := range addrs { // not sorted, and some more than once
			addrs[i], addrs[len(addrs)-1-i] = addrs[len(addrs)-1-i], a
			if i%7 == 0 {
				addrs = append(addrs, a, a+1)
			}
		}
		addrs = append(addrs, 0, ^Addr(0))
		answers := f.LocateAll(addrs)
		alone, err := Open(f.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer alone.Close()
		located := 0
		for i, a := range addrs {
			locs, err := alone.Locate(a)
			symbol, _ := alone.SymbolAt(a)
			got := answers[i]
			if symbol != got.Symbol || !reflect.DeepEqual(locs, got.Locations) || (err == nil) != (got.Err == nil) || err != nil && err.Error() != got.Err.Error() {
				t.Errorf("%s 0x%x: %+v; alone %+v %+v %v", f.Path(), uint64(a), got, symbol, locs, err)
			}
			located += len(locs)
		}
		if located == 0 && f.HasDWARF() {
			t.Errorf("%s: nothing located", f.Path())
		}
		if n := len(f.units.cache); n > 4 {
			t.Errorf("%s: a batch keeps %d units", f.Path(), n)
		}
		if len(f.LocateAll(nil)) != 0 {
			t.Error("answers to nothing")
		}
	}
}
