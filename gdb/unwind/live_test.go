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
			m := guesttest.Boot(t, guesttest.Options{Kernel: k.BzImage, Append: "console=ttyS0"})
			place := m.Find(probe)
			regs := m.WaitDead()
			space := guest.NewSpace(m.RAM, regs)
			kernel, err := NewKernel(f, place.Slide, place.Phys)
			if err != nil {
				t.Fatal(err)
			}
			code := kernel.Code
			trace := Walk(NewState(regs), space, kernel)
			got := describe(trace, place.Slide, code)
			t.Logf("\n%s", strings.Join(got, "\n"))
			var names []string
			for _, line := range got[:len(got)-1] {
				names = append(names, strings.Fields(line)[0])
			}
			if !slices.Equal(names, tc.want) || trace.Stop.Reason != EndOfStack {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			checkCFI(t, trace, *kernel, space)
			if *update {
				record(t, filepath.Join("testdata", tc.fixture), golden{
					Made:      fmt.Sprintf("%s, %q", tc.fixture, strings.Join(m.Argv[1:3], " ")),
					Registers: regs, Slide: place.Slide, Text: probe.Text, End: kernel.End, Want: got,
				}, trace, code, space)
			}
		})
	}
}

// withoutORC is a vmlinux whose ORC is hidden.
type withoutORC struct{ Code }

func (withoutORC) HasORC() bool { return false }

// withoutCFI has no unwind data at all.
type withoutCFI struct{ withoutORC }

func (withoutCFI) CFI(uint64) (Row, error) { return Row{}, ErrNoRow }

// checkCFI walks the same stack with .debug_frame beside ORC, with .debug_frame alone, and by scanning.
func checkCFI(t *testing.T, orc Trace, kernel Kernel, mem Memory) {
	t.Helper()
	start := orc.Frames[0].State
	pcs := func(trace Trace) (all []PC) {
		for _, f := range trace.Frames {
			all = append(all, f.PC)
		}
		return all
	}
	saved := func(trace Trace) (known int) {
		for _, f := range trace.Frames {
			for _, r := range calleeSaved {
				if _, ok := f.State.Get(r); ok {
					known++
				}
			}
		}
		return known
	}
	kernel.WithCFI = true
	both := Walk(start, mem, &kernel)
	if !slices.Equal(pcs(both), pcs(orc)) || both.Stop != orc.Stop {
		t.Errorf("with .debug_frame: %s", chain(both))
	}
	if saved(both) < saved(orc)+10 {
		t.Errorf("with .debug_frame %d callee-saved registers are known, with ORC alone %d", saved(both), saved(orc))
	}
	code := kernel.Code
	kernel.Code = withoutORC{code}
	cfi := Walk(start, mem, &kernel)
	if !slices.Equal(pcs(cfi), pcs(orc)) || cfi.Stop != orc.Stop {
		t.Errorf(".debug_frame alone: %s", chain(cfi))
	}
	for i, f := range both.Frames {
		if i < len(cfi.Frames) {
			for _, r := range calleeSaved {
				a, ok1 := f.State.Get(r)
				b, ok2 := cfi.Frames[i].State.Get(r)
				if ok1 && ok2 && a != b {
					t.Errorf("frame %d: %s is 0x%x and 0x%x", i, r, a, b)
				}
			}
		}
	}
	kernel.Code = withoutCFI{withoutORC{code}}
	scan := Walk(start, mem, &kernel)
	found := pcs(scan)
	// The startup code of 6.1 enters C by lretq: no call stands before that return address.
	for _, pc := range pcs(orc)[:len(orc.Frames)-1] {
		if !slices.Contains(found, pc) {
			t.Errorf("a scan misses %s: %s", pc, chain(scan))
		}
	}
}

// TestORCAgrees compares every entry with what debug/elf and a second decoder read, version 1 and 3.
func TestORCAgrees(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		k := fixtures.Find(t, name)
		f, err := vmlinux.Open(k.Vmlinux)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		file, err := NewFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code := openELF(t, k.Vmlinux)
		for i, ip := range code.ip {
			if i+1 < len(code.ip) && code.ip[i+1] == ip {
				continue
			}
			want, ok1 := code.ORC(ip)
			got, ok2 := file.ORC(ip)
			switch {
			case want.Type == ORCTypeUndefined || want.Type == ORCTypeCall && want.SPReg == ORCUndefined:
				if _, err := got.Row(); ok2 && err == nil {
					t.Fatalf("%s: 0x%x: %+v, want no rule", name, ip, got)
				}
				continue
			case want.Type == ORCTypeEnd:
				want, got = ORC{Type: want.Type}, ORC{Type: got.Type}
			}
			if ok1 && (!ok2 || want != got) {
				t.Fatalf("%s: 0x%x: %+v %v, want %+v", name, ip, got, ok2, want)
			}
		}
		t.Logf("%s: %d entries", name, len(code.ip))
	}
}

// record writes a golden: the registers, the ORC entry of each frame, and the stack from rsp on, 16 KiB or to the end
// of the outermost frame's page.
func record(t *testing.T, dir string, g golden, trace Trace, code Code, mem Memory) {
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
