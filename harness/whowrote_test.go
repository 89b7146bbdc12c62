package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
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
// wants 0, and it is __init_single_page that wrote it, one line above. The two writers are those that gdb 13.1 stops at with "watch"
// on both addresses, on the same machine (who-wrote/*/qemu.sh nokaslr -S): the memset of page_init_poison by the direct map, and
// __init_single_page.
func TestWhoWroteTheRefcount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fixture, file, question string
		change                  func(*Plan)
	}{
		{fixtures.Seed61, "mm/page_alloc.c", Auto, func(*Plan) {}},
		{fixtures.Seed612, "mm/mm_init.c", "page->_refcount", func(p *Plan) { p.CPUs = 2 }},
	} {
		t.Run(tc.fixture+"/"+tc.question, func(t *testing.T) {
			k := fixtures.Find(t, tc.fixture)
			p := plan(t, k)
			tc.change(&p)
			r := asks(t, p, tc.question)
			if r.Class != verdict.EarlyException || len(r.WhoWrote) != 1 {
				t.Fatalf("class %s, who wrote %+v, notes %q", r.Class, r.WhoWrote, r.Notes)
			}
			w := r.WhoWrote[0]
			if w.Function != "__init_single_page" || w.File != tc.file || w.Old != 0xffffffff || w.New != 1 || w.Writers != 2 || w.Size != 4 {
				t.Errorf("%s %s:%d wrote 0x%x -> 0x%x, %d writers", w.Function, w.File, w.Line, uint64(w.Old), uint64(w.New), w.Writers)
			}
			if want := tc.question; tc.question != Auto && w.Expression != want {
				t.Errorf("expression %s, want %s", w.Expression, want)
			}
			if len(w.Earlier) != 1 || w.Earlier[0].Via != "the direct map" {
				t.Errorf("before that: %+v; page_init_poison writes by the direct map", w.Earlier)
			}
			writerOracle(t, k.Vmlinux, w)
		})
	}
}

// TestWhoWroteManyTimes: each record of the log adds one to the head of the ring, so that no write can be missed unnoticed. The
// question reads six objects, and four are watched in one boot; one of the others is in a register in a caller (gdb 13.1, "info
// address epfn" there: "a variable in $rbp"). With nokaslr an address is the same in each.
func TestWhoWroteManyTimes(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Seed61))
	p.Append = "nokaslr"
	r := asks(t, p, "*(int *)0xffffea0000000034 + printk_rb_static.desc_ring.head_id.counter + epfn + page->_mapcount + page->flags + page->private")
	if len(r.WhoWrote) != 4 {
		t.Fatalf("who wrote %+v, notes %q", r.WhoWrote, r.Notes)
	}
	for _, want := range []string{"epfn is the variable of init_unavailable_range()", "not watched: epfn: it is in no memory", "not watched: page->private: 4 objects at a time are"} {
		if !slices.Contains(r.Notes, "who wrote it: "+want) {
			t.Errorf("no note %q in %q", want, r.Notes)
		}
	}
	if w := r.WhoWrote[2]; w.Old != 0xffffffff || len(w.Earlier) != 1 || w.Earlier[0].Old != 0 {
		t.Errorf("%s: %s -> %s, before that %+v; the memset of the page is of this and of its neighbour", w.Expression, w.Old, w.New, w.Earlier)
	}
	if w := r.WhoWrote[0]; w.Function != "__init_single_page" || w.Writers != 2 || w.Address != 0xffffea0000000034 || w.Size != 4 {
		t.Errorf("%s %s:%d wrote %s, %d writers", w.Function, w.File, w.Line, w.Expression, w.Writers)
	}
	w := r.WhoWrote[1]
	if w.Function != "desc_reserve" || w.Writers < 40 || len(w.Earlier) != 15 || w.Sampled {
		t.Errorf("%s, %d writers, %d of them shown, sampled %v", w.Function, w.Writers, len(w.Earlier)+1, w.Sampled)
	}
	next := w.Old
	for _, e := range slices.Backward(w.Earlier) {
		if e.New != next || e.New != e.Old+1 {
			t.Errorf("a write of %s -> %s before one of %s", e.Old, e.New, next)
		}
		next = e.Old
	}
}

// TestWhoWroteNothing: a good boot has nothing to ask about, and what is no memory is a usage error beside the verdict.
func TestWhoWroteNothing(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Until = "start_kernel"
	if r := asks(t, p, Auto); r.Verdict != verdict.Good || len(r.WhoWrote) > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "nothing to ask") {
		t.Errorf("verdict %s, who wrote %+v, notes %q", r.Verdict, r.WhoWrote, r.Notes)
	}
	p.Out, p.Accel = t.TempDir(), "tcg"
	r, err := WhoWrote(context.Background(), p, "no_such_variable", Progress{})
	if r.Verdict != verdict.Good || blame.Of(err) != blame.Usage || !strings.HasPrefix(fmt.Sprint(err), "--who-wrote no_such_variable: ") {
		t.Errorf("verdict %s, error %v", r.Verdict, err)
	}
}

// TestWhoWroteWithoutAnAnswer: the verdict is there and stays, when QEMU fails in the boots that answer, and when the user has enough
// of them.
func TestWhoWroteWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Until, p.Accel = "start_kernel", "tcg"
	p.QEMU = filepath.Join(t.TempDir(), "qemu")
	script := "#!/bin/sh\ncase \"$*\" in *-icount*) echo 'qemu: out of everything' >&2; exit 1;; esac\nexec qemu-system-x86_64 \"$@\"\n"
	if err := os.WriteFile(p.QEMU, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var shown []verdict.Result
	show := func(r *verdict.Result) { shown = append(shown, *r) }
	r, err := WhoWrote(t.Context(), p, "system_state", Progress{Verdict: show})
	notes := strings.Join(r.Notes, "\n")
	if err != nil || r.Verdict != verdict.Good || len(shown) != 1 || !strings.Contains(notes, "no answer after 3 tries") || !strings.Contains(notes, "failed: ") {
		t.Errorf("QEMU fails: %s, shown %d times, error %v, notes:\n%s", r.Verdict, len(shown), err, notes)
	}

	p.Out, shown = t.TempDir(), nil
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err = WhoWrote(ctx, p, "system_state", Progress{Verdict: show, Stage: func(stage, _ string) {
		if stage == "who wrote" {
			cancel()
		}
	}})
	if blame.Of(err) != blame.Interrupted || r.Verdict != verdict.Good || len(shown) != 1 || shown[0].Verdict != verdict.Good {
		t.Errorf("interrupted: %s, shown %d times, error %v", r.Verdict, len(shown), err)
	}
}

// writerOracle asks addr2line (GNU binutils) which function the byte before the writer's pc is in, inlined ones in order: the pc is
// after the instruction that wrote.
func writerOracle(t *testing.T, vmlinux string, w verdict.Write) {
	t.Helper()
	tool, err := exec.LookPath("addr2line")
	fixtures.Need(t, err == nil, "addr2line", "make test-deps")
	out, err := exec.Command(tool, "-fi", "-e", vmlinux, fmt.Sprintf("0x%x", uint64(w.Frames[0].PC)-uint64(w.Slide)-1)).Output()
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
