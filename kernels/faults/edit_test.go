package faults

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"kcatch/internal/fixtures"
)

// TestEditApply: each edit changes the bytes of its place and no others, and leaves the image it was given.
func TestEditApply(t *testing.T) {
	k := fixtures.Find(t, fixtures.Good61)
	image, err := os.ReadFile(k.BzImage)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(image)
	for _, text := range []string{"setup-entry fa f4 eb fd", "setup-signature 00000000", "payload-start 00 x16", "payload-middle ff x4096"} {
		e, err := ParseEdit(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Apply(image)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(image, before) || len(out) != len(image) {
			t.Fatalf("%s: the image it was given has changed, or its length", text)
		}
		at := bytes.Index(out, e.Bytes)
		for i := range out {
			if out[i] != image[i] {
				at = i
				break
			}
		}
		for i := range out {
			if out[i] != image[i] && (i < at || i >= at+len(e.Bytes)) {
				t.Errorf("%s: byte 0x%x has changed", text, i)
			}
		}
		// Oracles: the boot protocol's magic stays, and the signature lies in the setup.
		if binary.LittleEndian.Uint32(out[0x202:]) != 0x53726448 {
			t.Errorf("%s: HdrS is gone", text)
		}
		if setup := (int(image[0x1f1]) + 1) * 512; (at < setup) != (e.Place == "setup-entry" || e.Place == "setup-signature") {
			t.Errorf("%s: writes at 0x%x, the setup ends at 0x%x", text, at, setup)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	e := Edit{Place: "setup-entry", Bytes: []byte{0xf4}}
	if _, err := e.Apply([]byte("not a boot image")); err == nil {
		t.Error("an edit of what is no bzImage is not refused")
	}
}
