package harness

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// asks boots a plan and asks who wrote something.
func asks(t *testing.T, p Plan, question string) verdict.Result {
	t.Helper()
	p.Accel = "tcg"
	r, err := WhoWrote(context.Background(), p, question, Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWhoWroteTheRefcount is the question of kcatch's own story: page 0 of the seed has a reference count of 1 when the assertion
// wants 0, and it is __init_single_page that wrote it, one line above. The two writers are those that gdb 13.1's "watch" stops at
// on the same machine (QEMU 7.2.22, -icount, nokaslr): page_init_poison's memset, and __init_single_page.
func TestWhoWroteTheRefcount(t *testing.T) {
	for name, file := range map[string]string{fixtures.Seed61: "mm/page_alloc.c", fixtures.Seed612: "mm/mm_init.c"} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			p := plan(t, k)
			p.Append = "nokaslr"
			r := asks(t, p, "*(int *)0xffffea0000000034")
			if r.Class != verdict.EarlyException || len(r.WhoWrote) != 1 {
				t.Fatalf("class %s, who wrote %+v, notes %q", r.Class, r.WhoWrote, r.Notes)
			}
			w := r.WhoWrote[0]
			if w.Function != "__init_single_page" || w.File != file || w.Old != 0xffffffff || w.New != 1 || w.Writers != 2 || w.Size != 4 {
				t.Errorf("%s %s:%d wrote 0x%x -> 0x%x, %d writers", w.Function, w.File, w.Line, uint64(w.Old), uint64(w.New), w.Writers)
			}
			if len(w.Earlier) != 1 || w.Earlier[0].Via != "the direct map" {
				t.Errorf("before that: %+v; page_init_poison writes by the direct map", w.Earlier)
			}
			writerOracle(t, k.Vmlinux, r, w)
		})
	}
}

// writerOracle asks addr2line (GNU binutils) which function the byte before the writer's pc is in, inlined ones in order: the pc is
// after the instruction that wrote.
func writerOracle(t *testing.T, vmlinux string, r verdict.Result, w verdict.Write) {
	t.Helper()
	tool, err := exec.LookPath("addr2line")
	fixtures.Need(t, err == nil, "addr2line", "make test-deps")
	out, err := exec.Command(tool, "-fi", "-e", vmlinux, fmt.Sprintf("0x%x", uint64(w.Frames[0].PC)-uint64(r.Kernel.KASLRSlide)-1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i := 0; 2*i < len(lines); i++ {
		place, _, _ := strings.Cut(lines[2*i+1], " (discriminator")
		if f := w.Frames[i]; lines[2*i] != f.Function || !strings.HasSuffix(place, fmt.Sprintf("/%s:%d", f.File, f.Line)) {
			t.Errorf("frame %d is %s %s:%d, addr2line says %s %s", i, f.Function, f.File, f.Line, lines[2*i], place)
		}
	}
}
