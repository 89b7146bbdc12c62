package symbolize

import (
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestParseWord(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Word
	}{
		{"0xffffffff81000100", Word{Address: 0xffffffff81000100}},
		{"0XFFFFFFFF81000100", Word{Address: 0xffffffff81000100}},
		{"ffffffff81000100", Word{Address: 0xffffffff81000100}},
		{"0x0", Word{}},
		{"81000100", Word{Address: 0x81000100}},
		{"dead", Word{Function: "dead"}}, // too short for an address without 0x
		{"ffff_ffff_8100", Word{Function: "ffff_ffff_8100"}},
		{"vfs_read", Word{Function: "vfs_read"}},
		{"vfs_read+0x60", Word{Function: "vfs_read", Offset: 0x60}},
		{"vfs_read+0x60/0x310", Word{Function: "vfs_read", Offset: 0x60, Size: 0x310}},
		{"f.constprop.0+16/0x10", Word{Function: "f.constprop.0", Offset: 16, Size: 16}},
	} {
		if got, err := ParseWord(tt.text); err != nil || got != tt.want {
			t.Errorf("ParseWord(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"":                       "neither an address nor a function",
		"0x":                     "no address of 64 bits",
		"0x1ffffffff81000100":    "no address of 64 bits",
		"1ffffffff81000100":      "neither an address nor a function",
		"0xffff_ffff":            "no address of 64 bits",
		"f+":                     "no offset",
		"f+-1":                   "no offset",
		"f+0x10/":                "no size",
		"f+0x10/0x0":             "no size",
		"f+0x30/0x20":            "past the function's end",
		"+0x10":                  "neither",
		"a b":                    "neither",
		"\x1b[31m":               "neither",
		"-1":                     "neither",
		strings.Repeat("a", 999): "too long",
	} {
		w, err := ParseWord(text)
		if err == nil || !strings.Contains(err.Error(), want) || blame.Of(err) != blame.Usage || strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
			t.Errorf("ParseWord(%q) = %+v, %v, want %q", text, w, err, want)
		}
	}
}

func FuzzParseWord(f *testing.F) {
	for _, s := range []string{"0xffffffff81000100", "vfs_read+0x60/0x310", "f+0x/", "+", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWord(s)
		if err != nil && (w != Word{} || strings.Contains(err.Error(), "\n")) {
			t.Fatalf("%+v, %v", w, err)
		}
		if err == nil && w.Function != "" && w.Address != 0 {
			t.Fatalf("%+v is both", w)
		}
	})
}
