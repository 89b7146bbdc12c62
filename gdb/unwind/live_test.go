package unwind

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/guest"
	"kcatch/gdb/guest/guesttest"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

var update = flag.Bool("update", false, "rewrite testdata from the stops of TestLive")

// TestLive boots the seed's kernels as an ordinary run does, with KASLR and no stub, and walks the dead vCPU's stack
// through the early exception. The functions are those that gdb 13.1's bt gives on the near side of the exception and
// addr2line 2.40 for each pc; do_early_exception, and in 6.1 x86_64_start_kernel, leave by a tail call and have no frame.
func TestLive(t *testing.T) {
	after := []string{"init_unavailable_range", "free_area_init", "zone_sizes_init", "setup_arch", "start_kernel"}
	tests := []struct {
		fixture string
		want    []string
	}{
		{fixtures.Seed61, append(append([]string{"early_fixup_exception", "early_idt_handler_common"}, after...), "secondary_startup_64_no_verify")},
		{fixtures.Seed612, append(append([]string{"native_halt", "early_fixup_exception", "early_idt_handler_common"}, after...),
			"x86_64_start_reservations", "x86_64_start_kernel", "common_startup_64")},
	}
	for _, tc := range tests {
		t.Run(tc.fixture, func(t *testing.T) {
			t.Parallel()
			k := fixtures.Find(t, tc.fixture)
			f, err := vmlinux.Open(k.Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			probe, err := guest.File{File: f}.Probe()
			if err != nil {
				t.Fatal(err)
			}
			code := openELF(t, k.Vmlinux)
			code.name = func(link uint64) (string, uint64, bool) {
				s, ok := f.SymbolAt(vmlinux.Addr(link))
				return s.Name, uint64(s.Addr), ok
			}
			m := guesttest.Boot(t, guesttest.Options{Kernel: k.BzImage, Append: "console=ttyS0"})
			place := m.Find(probe)
			regs := m.WaitDead()
			space := guest.NewSpace(m.RAM, regs)
			kernel := Kernel{Code: code, Slide: place.Slide, Phys: place.Phys, Text: probe.Text, End: probe.Text + probe.Size}
			trace := Walk(NewState(regs), space, &kernel)
			got := describe(trace, place.Slide, code)
			t.Logf("\n%s", strings.Join(got, "\n"))
			var names []string
			for _, line := range got[:len(got)-1] {
				names = append(names, strings.Fields(line)[0])
			}
			if !slices.Equal(names, tc.want) || trace.Stop.Reason != EndOfStack {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if *update {
				record(t, filepath.Join("testdata", tc.fixture), golden{
					Made:      fmt.Sprintf("%s, %q", tc.fixture, strings.Join(m.Argv[1:3], " ")),
					Registers: regs, Slide: place.Slide, Text: probe.Text, End: kernel.End, Want: got,
				}, trace, code, space)
			}
		})
	}
}

// record writes a golden: the registers, the ORC entry of each frame, and the stack from rsp on, 16 KiB or to the end
// of the outermost frame's page.
func record(t *testing.T, dir string, g golden, trace Trace, code *elfCode, mem Memory) {
	t.Helper()
	for _, f := range trace.Frames {
		link := f.PC.Lookup() - g.Slide
		entry, _ := code.ORC(link)
		name, _, _ := code.Function(link)
		g.Code = append(g.Code, goldenCode{Link: link, Function: name, ORC: entry})
	}
	g.Stack = g.Registers.RSP &^ 0xff
	last := trace.Frames[len(trace.Frames)-1].State.sp()
	stack := make([]byte, min(last+0x100-g.Stack, 64<<10))
	n, _ := mem.ReadMemory(stack, g.Stack)
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	_, err1 := w.Write(stack[:n])
	err2 := w.Close()
	b, err3 := json.MarshalIndent(g, "", " ")
	err4 := os.MkdirAll(dir, 0o755)
	for _, err := range []error{err1, err2, err3, err4,
		os.WriteFile(filepath.Join(dir, "stack.gz"), z.Bytes(), 0o644), os.WriteFile(filepath.Join(dir, "stop.json"), append(b, '\n'), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}
