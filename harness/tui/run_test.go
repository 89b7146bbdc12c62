package tui

import (
	"testing"

	"github.com/gdamore/tcell/v3"
)

// TestNarrowIsOneColumn: the library that counts columns on the terminal agrees with us about each character that is not escaped.
func TestNarrowIsOneColumn(t *testing.T) {
	var cells tcell.CellBuffer
	cells.Resize(3, 1)
	n := 0
	for r := rune(' '); r < 0x11000; r++ {
		if !narrow(r) || shown(string(r)) != string(r) {
			continue
		}
		n++
		if rest, width := cells.Put(0, 0, string(r), tcell.StyleDefault); rest != "" || width != 1 {
			t.Errorf("%U %q is %d columns wide (%q is left)", r, r, width, rest)
		}
	}
	if n < 1500 {
		t.Errorf("only %d characters were looked at", n)
	}
	for _, r := range "日\u0301\u200d\u25fd\u231a\U0001f600\u0f00" {
		if narrow(r) {
			t.Errorf("%U is shown as it is", r)
		}
	}
}

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		key  tcell.Key
		text string
		mod  tcell.ModMask
		want Key
	}{
		{tcell.KeyRune, "u", tcell.ModNone, "u"}, {tcell.KeyRune, "G", tcell.ModNone, "G"}, {tcell.KeyRune, " ", tcell.ModNone, " "},
		{tcell.KeyRune, "\x18", tcell.ModNone, "ctrl-x"}, {tcell.KeyRune, "x", tcell.ModCtrl, "ctrl-x"}, {tcell.KeyRune, "x", tcell.ModAlt, "alt-x"},
		{tcell.KeyRune, "\t", tcell.ModNone, "tab"}, {tcell.KeyTab, "", tcell.ModShift, "backtab"}, {tcell.KeyRune, "\r", tcell.ModNone, "enter"},
		{tcell.KeyRune, "\x7f", tcell.ModNone, "backspace"}, {tcell.KeyRune, "\x1b", tcell.ModNone, "esc"}, {tcell.KeyPgDn, "", tcell.ModNone, "pgdn"},
		{tcell.KeyF12, "", tcell.ModNone, ""},
	} {
		if got := named(tcell.NewEventKey(c.key, c.text, c.mod)); got != c.want {
			t.Errorf("%v %q %v is %q, want %q", c.key, c.text, c.mod, got, c.want)
		}
	}
}

// TestEveryLookHasAStyle, with colours and without; what is selected differs from its surroundings in both.
func TestEveryLookHasAStyle(t *testing.T) {
	for _, colours := range []bool{true, false} {
		s := styles(colours)
		for l := Plain; l <= Found; l++ {
			if _, ok := s[l]; !ok {
				t.Errorf("look %d has no style (colours %t)", l, colours)
			}
		}
		if s[Selected] == s[Plain] || s[Focused] == s[Title] {
			t.Errorf("colours %t: what is selected does not stand out", colours)
		}
	}
}
