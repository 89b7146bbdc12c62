package harness

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kcatch/gdb/linux"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata; read the diff before a commit")

// plan is a boot of a fixture with the defaults of the command line, but under TCG: what a test finds must not depend on
// whether its host has a KVM.
func plan(t *testing.T, k fixtures.Kernel) Plan {
	t.Helper()
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "make test-deps")
	return Plan{Kernel: k.BzImage, Vmlinux: k.Vmlinux, Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "init",
		Timeout: 2 * time.Minute, FailOn: []verdict.Class{verdict.Oops, verdict.Bug}, Out: t.TempDir()}
}

func boots(t *testing.T, p Plan) verdict.Result {
	t.Helper()
	r, err := Boot(context.Background(), p, Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSeedChain is the main job: the whole chain of the seed's death, on both kernels, with KASLR (the default), without,
// and by PVH. The golden is read by a person; every pc of it is also asked of addr2line.
func TestSeedChain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		for how, change := range map[string]func(*Plan){
			"kaslr":   func(*Plan) {},
			"nokaslr": func(p *Plan) { p.Append = "nokaslr" },
			"pvh":     func(p *Plan) { p.Kernel = "" },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				k := fixtures.Find(t, name)
				p := plan(t, k)
				p.Values = autopsy.ValueOptions{Args: true, Locals: true}
				change(&p)
				r := boots(t, p)
				if r.Verdict != verdict.Bad || r.Class != verdict.EarlyException || r.Stage != verdict.StartKernel || r.StageCall != "setup_arch" {
					t.Errorf("verdict %s, class %s, stage %s (%s)", r.Verdict, r.Class, r.Stage, r.StageCall)
				}
				if c := r.Cause; c == nil || c.Function != "__SetPageReserved" || c.Exception == nil || c.Exception.Vector != 6 || c.Instruction != "ud2" || c.Exception.Guessed {
					t.Errorf("cause %+v", r.Cause)
				}
				if how == "nokaslr" && r.Kernel.KASLRSlide != 0 {
					t.Errorf("slide %s with nokaslr", r.Kernel.KASLRSlide)
				}
				golden(t, filepath.Join("testdata", name+".chain"), chainText(r.CPUs[0].Frames))
				oracle(t, k.Vmlinux, r)
				seedAssertion(t, r, how)
				if how != "pvh" { // which has other memory
					goldenValues(t, filepath.Join("testdata", name+".values"), k.Vmlinux, r)
				}
			})
		}
	}
}

// seedAssertion: the assertion demands a reference count of 0, and the first page has 1 from __init_single_page. Its place in the array is
// that of pfn 0, and without KASLR the array begins at VMEMMAP_START.
func seedAssertion(t *testing.T, r verdict.Result, how string) {
	t.Helper()
	a, page := r.Cause.Assertion, r.Cause.Page
	if a == nil || a.Macro != "VM_BUG_ON_PGFLAGS" || a.Condition != "atomic_read(&policy(page, 1)->_refcount)" || a.Result != "1" || len(a.Values) != 2 {
		t.Fatalf("assertion %+v", a)
	}
	if page == nil {
		t.Fatal("no page")
	}
	if page.PFN != 0 || page.RefCount != 1 || page.MapCount != -1 || page.Flags != 0 || page.Variable != "page" || page.Function != "__SetPageReserved" {
		t.Errorf("page %+v", page)
	}
	if how == "nokaslr" && page.Address != linux.VmemmapBase {
		t.Errorf("page at %s", page.Address)
	}
	through, read := a.Values[0], a.Values[1]
	if through.Expression != "page" || !through.Through || through.Value != page.Address.String() {
		t.Errorf("%+v", through)
	}
	// gdb 13.1, ptype /o struct page: _refcount is at offset 52 of both kernels.
	if read.Expression != "page->_refcount" || read.Value != "1" || read.Size != 4 || read.Address != page.Address+52 || !read.Derived || read.Through {
		t.Errorf("%+v", read)
	}
	if want := "page " + page.Address.String() + ": pfn 0x0, refcount 1, mapcount 0 (-1), flags 0, zone DMA"; !strings.HasPrefix(page.Text, want) {
		t.Error(page.Text)
	}
}

// chainText is a chain without what differs from boot to boot.
func chainText(frames []verdict.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		if e := f.Exception; e != nil {
			fmt.Fprintf(&b, "-- %s\n", e.Name)
		}
		tail := f.FoundBy
		if f.Inline {
			tail += " inlined"
		}
		fmt.Fprintf(&b, "%s %s:%d %s\n", f.Function, f.File, f.Line, tail)
	}
	return b.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}

// oracle asks addr2line -fi (GNU binutils) for every physical frame: function names, file and line, inlined ones in
// order. A return address is asked for one byte before.
func oracle(t *testing.T, vmlinux string, r verdict.Result) {
	t.Helper()
	tool, err := exec.LookPath("addr2line")
	fixtures.Need(t, err == nil, "addr2line", "make test-deps")
	var args []string
	var want []string
	frames := r.CPUs[0].Frames
	for i := 0; i < len(frames); i++ {
		pc := uint64(frames[i].PC) - uint64(r.Kernel.KASLRSlide)
		if frames[i].Return {
			pc--
		}
		if f := frames[i].FoundBy; frames[i].Return != (f != "registers" && f != "regs") {
			t.Errorf("frame %d, found by %s, says that its pc is a return address: %v", i, f, frames[i].Return)
		}
		args = append(args, fmt.Sprintf("0x%x", pc))
		for ; ; i++ {
			want = append(want, fmt.Sprintf("%s %s:%d", frames[i].Function, frames[i].File, frames[i].Line))
			if !frames[i].Inline {
				break
			}
		}
	}
	out, err := exec.Command(tool, append([]string{"-fi", "-e", vmlinux}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2*len(want) {
		t.Fatalf("addr2line says %d functions, the chain has %d:\n%s", len(lines)/2, len(want), out)
	}
	for i, w := range want {
		place, _, _ := strings.Cut(lines[2*i+1], " (discriminator")
		function, tail, _ := strings.Cut(w, " ")
		if lines[2*i] != function || !strings.HasSuffix(place, "/"+tail) {
			t.Errorf("frame %d is %s, addr2line says %s %s", i, w, lines[2*i], place)
		}
	}
}

// TestGoodKernelIsGood: the same kernels without the assertion reach init, on every machine type.
func TestGoodKernelIsGood(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fixture, machine string
		cpus             int
	}{
		{fixtures.Good61, "q35", 1}, {fixtures.Good61, "microvm", 1}, {fixtures.Good612, "pc", 1}, {fixtures.Good612, "q35", 2},
	} {
		t.Run(fmt.Sprintf("%s/%s/%d", tc.fixture, tc.machine, tc.cpus), func(t *testing.T) {
			p := plan(t, fixtures.Find(t, tc.fixture))
			p.Machine, p.CPUs = tc.machine, tc.cpus
			r := boots(t, p)
			if r.Verdict != verdict.Good || r.Class != verdict.OK || r.ExitCode() != 0 {
				t.Errorf("verdict %s, class %s: %s", r.Verdict, r.Class, r.Summary)
			}
		})
	}
}

// TestDeathsByCommandLine are ends that need no kernel of their own.
func TestDeathsByCommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Plan)
		class  verdict.Class
		text   string // in the summary
	}{
		{"no init", func(p *Plan) { p.Initrd = "none" }, verdict.Panic, "Unable to mount root fs"},
		{"no init, reboot at once", func(p *Plan) { p.Initrd, p.Append = "none", "panic=-1" }, verdict.Panic, "Unable to mount root fs"},
		{"no console at all", func(p *Plan) { p.Initrd, p.Append = "none", "console=null quiet" }, verdict.Panic, "Unable to mount root fs"},
		{"init runs something else", func(p *Plan) { p.Append = "rdinit=/bin/busybox" }, verdict.Panic, "Attempted to kill init"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, fixtures.Good61))
			tc.change(&p)
			r := boots(t, p)
			if r.Class != tc.class || !strings.Contains(r.Summary, tc.text) {
				t.Errorf("class %s, summary %q; want %s, %q\n%s", r.Class, r.Summary, tc.class, tc.text, chainText(r.CPUs[0].Frames))
			}
		})
	}
}

// TestQuietKernelReachesInit: a kernel that prints nothing anywhere but in its ring is alive.
func TestQuietKernelReachesInit(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Append = "console=null quiet"
	if r := boots(t, p); r.Verdict != verdict.Good {
		t.Errorf("verdict %s: %s", r.Verdict, r.Summary)
	}
}

// TestTripleFaultIsFrozen: too little memory for the kernel resets the machine; QEMU keeps the registers.
func TestTripleFaultIsFrozen(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Cloud61))
	p.Memory = 64 << 20
	p.Initrd = "none"
	r := boots(t, p)
	if r.Verdict != verdict.Bad || r.Class != verdict.TripleFault {
		t.Errorf("verdict %s, class %s: %s", r.Verdict, r.Class, r.Summary)
	}
}

// TestNothingIsLeft: a cancelled boot ends QEMU and keeps the artifacts.
func TestNothingIsLeft(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan struct{})
	go func() {
		<-started
		time.Sleep(50 * time.Millisecond)
		cancel()
	}()
	_, err := Boot(ctx, p, Progress{Stage: func(s, _ string) {
		if s == "boot" {
			close(started)
		}
	}})
	if err == nil || verdict.ExitFor(err) != verdict.ExitInterrupted {
		t.Fatalf("a cancelled boot gives %v", err)
	}
	if s := Skipped(err); s.Summary != "interrupted" || s.Error.Message != "interrupted" {
		t.Errorf("the JSON of a cancelled boot says %q, %q", s.Summary, s.Error.Message)
	}
	if out, _ := exec.Command("pgrep", "-f", p.Out).Output(); len(out) > 0 {
		t.Errorf("QEMU is still there: %s", out)
	}
	if _, err := os.Stat(filepath.Join(p.Out, "initrd.cpio")); err != nil {
		t.Errorf("the artifacts are gone: %v", err)
	}
}

// TestUntilAnEarlySymbol: a function that is passed before the kernel can be found in RAM is seen all the same, wherever
// KASLR has put it.
func TestUntilAnEarlySymbol(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Good61)
	for _, symbol := range []string{"x86_64_start_kernel", "start_kernel", "kernel_init"} {
		p := plan(t, k)
		p.Until = symbol
		if r := boots(t, p); r.Verdict != verdict.Good || !strings.Contains(r.Summary, "reached "+symbol) {
			t.Errorf("verdict %s: %s", r.Verdict, r.Summary)
		}
	}
}

// TestPlanOfLittle: a plan that names a kernel and no more boots it as "kcatch boot" does.
func TestPlanOfLittle(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Good61)
	p := Plan{Kernel: k.BzImage, Vmlinux: k.Vmlinux, Accel: "tcg", Out: t.TempDir()} // not what the host's KVM makes of it
	if err := Check(t.Context(), p); err != nil {
		t.Error(err)
	}
	r, err := Boot(t.Context(), p, Progress{})
	if err != nil || r.Verdict != verdict.Good || r.Machine.Name != "q35" || r.Machine.Memory != 256<<20 || r.Machine.CPUs != 1 {
		t.Errorf("%s, %s, %+v, %v", r.Verdict, r.Summary, r.Machine, err)
	}
	// What is said stays said.
	said := Plan{Machine: "microvm", Memory: 1, CPUs: 2, Accel: "tcg", Until: "console", Timeout: 3}
	if got := said.whole(); !reflect.DeepEqual(got, said) {
		t.Errorf("%+v", got)
	}
}
