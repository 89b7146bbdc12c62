package vmlinux

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// The outside oracle was readelf -n: "Xen 0x00000008 Unknown note type: (0x00000012) description data: 00 05 00 01 00 00 00 00".
func TestPVHEntry(t *testing.T) {
	for name, want := range map[string]string{fixtures.Good61: "pvh_start_xen", fixtures.Good612: "pvh_start_xen"} {
		f, err := Open(fixtures.Find(t, name).Vmlinux)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		addr, ok := f.PVHEntry()
		sym, found := f.Symbol(want)
		// The kernel's text is linked at 0xffffffff80000000 and more for physical address 0.
		if !ok || !found || uint64(sym.Addr)-0xffffffff80000000 != addr {
			t.Errorf("%s: entry 0x%x, %v; %s is at 0x%x", name, addr, ok, want, uint64(sym.Addr))
		}
		if _, ok := f.EmbeddedConfig(); ok {
			t.Errorf("%s: a configuration that is not there", name)
		}
	}
	self, err := Open(fixtures.Find(t, fixtures.Good61).BootVmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if addr, ok := self.PVHEntry(); ok {
		t.Errorf("the decompressor has a PVH entry: 0x%x", addr)
	}
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEmbeddedConfig(t *testing.T) {
	whole := gzipped(t, "CONFIG_X=y\n")
	for _, c := range []struct {
		name, data, want string
	}{
		{"there", "xxIKCFG_ST" + whole + "IKCFG_EDyy", "CONFIG_X=y\n"},
		{"a word of it before", "IKCFG_ST is a word; IKCFG_ST" + whole + "IKCFG_ED", "CONFIG_X=y\n"},
		{"without an end", "IKCFG_ST" + whole, ""},
		{"cut off", "IKCFG_ST" + whole[:len(whole)-9] + "IKCFG_ED", ""},
		{"not there", "xx", ""},
		{"too large", "IKCFG_ST" + gzipped(t, strings.Repeat("\n", maxConfig+1)) + "IKCFG_ED", ""},
	} {
		got, ok := embeddedConfig([]byte(c.data))
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%s: %.40q, %v", c.name, got, ok)
		}
	}
}

func FuzzEmbeddedConfig(f *testing.F) {
	f.Add([]byte("IKCFG_ST" + gzipped(f, "CONFIG_X=y\n") + "IKCFG_ED"))
	f.Add([]byte("IKCFG_ST\x1f\x8bIKCFG_ED"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if text, ok := embeddedConfig(data); len(text) > maxConfig || !ok && text != nil {
			t.Errorf("%d bytes, %v", len(text), ok)
		}
	})
}
