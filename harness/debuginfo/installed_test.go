package debuginfo

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/gdb/trace"
	"kcatch/internal/fixtures"
)

// TestInstalledModules: with Debian's -dbg package installed, a text that names its kernel needs no flag. In each function of a
// module that lies in /usr/lib/debug, whatever its section, each place has the line that addr2line gives for that section, exact and
// as a return address. scripts/decode_stacktrace.sh of 6.1 takes all offsets for ones into .text.
func TestInstalledModules(t *testing.T) {
	fixture := fixtures.Find(t, fixtures.Cloud61)
	release := open(t, fixture.Vmlinux).Release()
	root := t.TempDir()
	link(t, fixture.Vmlinux, filepath.Join(root, "usr/lib/debug/boot/vmlinux-"+release))
	data, err := os.ReadFile(filepath.Join(fixture.FaultyModules, "kcatch_mod.ko"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "usr/lib/debug/lib/modules", release, "kernel/drivers/misc/kcatch_mod.ko")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	search := Search{Root: root}
	vmlinux, err := search.Vmlinux(trace.Identity{Release: release})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vmlinux.Close() })
	kernel := search.Kernel(vmlinux)
	module, err := kernel.module("kcatch_mod", "")
	if err != nil || module.Path() != file {
		t.Fatalf("%v", err)
	}
	ef, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := ef.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	text := "CPU: 0 PID: 1 Comm: sh Not tainted " + release + " #1\n"
	var want []string // the line of the function itself at each place
	ends := map[string]bool{}
	for n, section := range ef.Sections {
		var at []uint64
		for _, s := range symbols {
			if elf.ST_TYPE(s.Info) != elf.STT_FUNC || int(s.Section) != n {
				continue
			}
			f := module.Functions(s.Name)
			if len(f) != 1 {
				t.Fatalf("%s: %v", s.Name, f)
			}
			ends[section.Name] = ends[section.Name] || (uint64(f[0].Addr)+f[0].Span)%4096 == 0
			for offset := uint64(1); offset < s.Size; offset++ {
				text += fmt.Sprintf("RIP: 0010:%s+0x%x/0x%x [kcatch_mod]\n %[1]s+0x%[2]x/0x%[3]x [kcatch_mod]\n", s.Name, offset, f[0].Span)
				at = append(at, s.Value+offset, s.Value+offset-1)
			}
		}
		if len(at) == 0 {
			continue
		}
		for _, lines := range addr2line(t, file, at, "-j", section.Name) {
			want = append(want, filepath.Base(strings.Fields(lines[len(lines)-1])[0]))
		}
	}
	// The kernel counts the last function's size up to the end of the page (find_kallsyms_symbol(), kernel/module/kallsyms.c): there is
	// one in what stays, and one in what is freed.
	last := 0
	for _, end := range ends {
		if end {
			last++
		}
	}
	if last != 2 || !ends[".init.text"] || len(ends) < 4 {
		t.Errorf("sections with a function that ends with its page: %v", ends)
	}
	var out bytes.Buffer
	filter := trace.Filter{Open: func(id trace.Identity) (trace.Symbols, error) {
		if id.Release != release {
			t.Errorf("asked for %+v", id)
		}
		return kernel, nil
	}}
	stats, err := filter.Copy(&out, strings.NewReader(text))
	if err != nil || stats.Places != len(want) || stats.Located != len(want) || len(want) < 200 {
		t.Errorf("%d places for %d: %+v, %v", stats.Places, len(want), stats, err)
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		if strings.HasSuffix(line, "(inlined)\n") || strings.HasPrefix(line, "CPU: ") {
			continue
		}
		m := place.FindStringSubmatch(line)
		if n >= len(want) || m == nil || filepath.Base(m[1]) != want[n] {
			t.Fatalf("place %d: %q, addr2line has %q", n, line, want[min(n, len(want)-1)])
		}
		n++
	}
}
