package autopsy

import (
	"strings"
	"testing"
)

// TestUnmappedHint: what does not come of KASLR is not blamed on it.
func TestUnmappedHint(t *testing.T) {
	for at, want := range map[uint64]string{0: "NULL", 0x34: "NULL", 0xdead000000000122: "not canonical", 0x0180000000000000: "not canonical",
		1<<64 - 12: "error number", 0xffffea0000000034: "KASLR", 0xff11000000000000: "KASLR", 0x7fff00000000: "KASLR"} {
		if got := unmappedHint(at); !strings.Contains(got, want) {
			t.Errorf("0x%x: %q, want %s", at, got, want)
		}
	}
}

func TestShortened(t *testing.T) {
	if got := Shortened(strings.Repeat("é", 5000)); got != strings.Repeat("é", maxShown)+"…" {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := Shortened("page->_refcount"); got != "page->_refcount" {
		t.Errorf("%q", got)
	}
}
