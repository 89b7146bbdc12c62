package autopsy

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// TestLoggedFunctionsOfOneName: a frame of the log that is in a static function of which the file has several, as good-6.1 has five
// type_show, gets the line of the one with that size; one that cannot be told apart, as five cmask_show of one size, gets none.
// addr2line knows the lines.
func TestLoggedFunctionsOfOneName(t *testing.T) {
	path := fixtures.Find(t, fixtures.Good61).Vmlinux
	file, err := kernel.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	placement := guest.Placement{Slide: 0x1a000000}
	s := &Scene{Kernel: file, Placement: &placement}
	lines := map[string]bool{}
	for _, f := range file.Functions("type_show") {
		at := logPlace{Symbol: "type_show", Offset: 8, Size: f.Span}
		var c Chain
		c.add(s, at, unwind.Return)
		if len(vmlinux.OfSize(file.Functions("type_show"), f.Span)) > 1 {
			if len(c.Frames) != 1 || c.Frames[0].Reason == "" || c.Frames[0].Line != 0 {
				t.Errorf("not told apart: %+v", c.Frames)
			}
			continue
		}
		out, err := exec.Command("addr2line", "-e", path, fmt.Sprintf("0x%x", uint64(f.Addr)+7)).Output()
		if err != nil {
			t.Fatal(err)
		}
		last := c.Frames[len(c.Frames)-1]
		place := fmt.Sprintf("/%s:%d", last.File, last.Line)
		if last.Reason != "" || !last.Return || uint64(last.PC) != uint64(f.Addr)+8+placement.Slide || !strings.Contains(string(out), fmt.Sprintf("/%s:%d", c.Frames[0].File, c.Frames[0].Line)) {
			t.Errorf("%+v: %+v, addr2line has %s", f, c.Frames, out)
		}
		lines[place] = true
	}
	if len(lines) < 3 {
		t.Errorf("only %d places: %v", len(lines), lines)
	}
	mask := file.Functions("cmask_show")
	if len(mask) < 2 {
		t.Fatalf("cmask_show: %v", mask)
	}
	for _, at := range []struct {
		logPlace
		reason string
	}{
		{logPlace{Symbol: "cmask_show", Offset: 8, Size: mask[0].Span}, "several functions have this name and size"},
		{logPlace{Symbol: "cmask_show", Offset: 8, Size: 0x7777}, "not in the vmlinux"},
		{logPlace{Symbol: "no_such_function", Offset: 8, Size: 16}, "not in the vmlinux"},
	} {
		var c Chain
		if c.add(s, at.logPlace, unwind.Exact); len(c.Frames) != 1 || c.Frames[0].Reason != at.reason || c.Frames[0].PC != 0 {
			t.Errorf("%+v: %+v", at, c.Frames)
		}
	}
	hash := file.Functions("jhash") // inline in a header, and twice not inlined
	if len(hash) < 2 || len(vmlinux.OfSize(hash, hash[0].Span)) < 2 {
		t.Fatalf("jhash: %v", hash)
	}
	var copies Chain
	if copies.add(s, logPlace{Symbol: "jhash", Offset: 8, Size: hash[0].Span}, unwind.Return); copies.Frames[len(copies.Frames)-1].File != "include/linux/jhash.h" {
		t.Errorf("copies of one function: %+v", copies.Frames)
	}
	// A label has no size, and whatever the kernel counts it is the only one.
	var c Chain
	if c.add(s, logPlace{Symbol: "entry_SYSCALL_64_after_hwframe", Offset: 8, Size: 0x1111}, unwind.Return); c.Frames[0].Reason != "" || c.Frames[0].File == "" {
		t.Errorf("a label: %+v", c.Frames)
	}
}
