package vmlinux

import (
	"bytes"
	"encoding/hex"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// The oracle is readelf -n.
func TestIdentity(t *testing.T) {
	for name, release := range map[string]string{
		fixtures.Seed61: "6.1.192-kcatch", fixtures.Seed612: "6.12.117-kcatch",
		fixtures.Cloud61: "6.1.0-56-cloud-amd64", fixtures.Cloud612: "6.12.117+deb12-cloud-amd64",
	} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t, name)
			out, err := exec.Command(tool(t, "readelf"), "-n", f.Path()).Output()
			if err != nil {
				t.Fatal(err)
			}
			m := regexp.MustCompile(`Build ID: ([0-9a-f]+)`).FindSubmatch(out)
			if m == nil || f.BuildID() != string(m[1]) {
				t.Errorf("build id %s, readelf has %s", f.BuildID(), m)
			}
			addr, raw, ok := f.BuildIDNote()
			id, _ := hex.DecodeString(f.BuildID())
			if !ok || !bytes.HasSuffix(raw, id) || len(raw) != 16+len(id) {
				t.Errorf("note % x, %v", raw, ok)
			}
			if b, err := f.Bytes(addr, len(raw)); err != nil || !bytes.Equal(b, raw) {
				t.Errorf("at 0x%x: % x, %v", uint64(addr), b, err)
			}
			_, banner, ok := f.Banner()
			if !ok || !strings.HasPrefix(string(banner), "Linux version "+release+" ") || !bytes.HasSuffix(banner, []byte("\n")) {
				t.Errorf("banner %q", banner)
			}
			if f.Release() != release {
				t.Errorf("release %q", f.Release())
			}
		})
	}
}

// FuzzNotes: whatever the bytes, the notes lie inside of them, in order.
func FuzzNotes(f *testing.F) {
	f.Add([]byte("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x02\x03\x04"))
	f.Add([]byte("\x05\x00\x00\x00\xff\xff\xff\xff\x03\x00\x00\x00Linux\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		end := 0
		for _, n := range parseNotes(data) {
			if n.offset < end || n.offset+n.size > len(data) || len(n.desc) > n.size {
				t.Fatalf("note %+v in %d bytes", n, len(data))
			}
			end = n.offset + n.size
		}
	})
}
