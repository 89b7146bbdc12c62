package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
	"kcatch/kernels"
)

// TestDamagedPayload: a bzImage whose compressed kernel is broken dies in error(), which says so to a console that is not
// there. The text comes from the code that called it, with a boot vmlinux; from the console, when there is one; and
// without both the death is still named.
func TestDamagedPayload(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Good61)
	image, err := kernels.ReadBzImage(k.BzImage)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(k.BzImage)
	if err != nil {
		t.Fatal(err)
	}
	middle := image.PayloadOffset + image.PayloadLength/2
	for i := range int64(4096) {
		data[middle+i] = 0xff
	}
	broken := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(broken, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		change  func(*Plan)
		summary string
		cause   string
	}{
		{"with its ELF, no console", func(p *Plan) { p.BootVmlinux, p.Append = k.BootVmlinux, "console=null" }, "the decompressor gave up: ", "decompress_kernel"},
		{"by the console", func(p *Plan) { p.Append = "earlyprintk=serial,ttyS0" }, "the decompressor gave up: ", ""},
		{"with nothing", func(p *Plan) { p.Append = "console=null" }, "the decompressor gave up", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(t, k)
			p.Kernel = broken
			tc.change(&p)
			r := boots(t, p)
			if r.Class != verdict.DecompressorError || r.Stage != verdict.Decompressor || !strings.Contains(r.Summary, tc.summary) {
				t.Errorf("class %s, stage %s: %s\n%s", r.Class, r.Stage, r.Summary, chainText(r.CPUs[0].Frames))
			}
			if tc.cause != "" && (r.Cause == nil || r.Cause.Function != tc.cause) {
				t.Errorf("cause %+v, want %s\n%s", r.Cause, tc.cause, chainText(r.CPUs[0].Frames))
			}
			t.Log(r.Summary)
		})
	}
}
