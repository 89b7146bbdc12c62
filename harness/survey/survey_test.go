package survey

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// plan is a boot of a fixture with the defaults of the command line.
func plan(t *testing.T, k fixtures.Kernel) harness.Plan {
	t.Helper()
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "make test-deps")
	return harness.Plan{Kernel: k.BzImage, Vmlinux: k.Vmlinux, Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "auto", Until: "init",
		Timeout: 2 * time.Minute, FailOn: []verdict.Class{verdict.Oops, verdict.Bug}, Out: t.TempDir()}
}

// parse makes the options of a survey. Their limit is above the most hits in a row that a test counts, and low for the test's time.
func parse(t *testing.T, breaks ...string) (o Options) {
	t.Helper()
	o.Limit = 300
	for _, text := range breaks {
		b, err := ParseBreak(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Breaks = append(o.Breaks, b)
	}
	return o
}

// surveyed makes a survey with breaks.
func surveyed(t *testing.T, p harness.Plan, breaks ...string) verdict.Survey {
	t.Helper()
	s, err := New(p, parse(t, breaks...))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(context.Background(), harness.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// at are the sites of a point, and the sum of their counts; exact is false where one counts "at least".
func at(s *verdict.Survey, point string) (sites []verdict.Site, count int, exact bool) {
	exact = true
	for _, site := range s.Sites {
		if site.Point == point {
			sites, count, exact = append(sites, site), count+site.Count, exact && !site.AtLeast
		}
	}
	return sites, count, exact
}

// initcalls asks nm how many initcalls a kernel has: the entries of its table are 4 bytes each (include/linux/init.h,
// CONFIG_HAVE_ARCH_PREL32_RELOCATIONS), and each is run once, by do_one_initcall().
func initcalls(t *testing.T, vmlinux string) int {
	t.Helper()
	nm, err := exec.LookPath("nm")
	fixtures.Need(t, err == nil, "nm", "make test-deps")
	out, err := exec.Command(nm, vmlinux).Output()
	if err != nil {
		t.Fatal(err)
	}
	symbol := func(name string) uint64 {
		m := regexp.MustCompile(`(?m)^([0-9a-f]+) . ` + name + `$`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("nm has no %s", name)
		}
		v, err := strconv.ParseUint(string(m[1]), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return int(symbol("__initcall_end")-symbol("__initcall_start")) / 4
}

// unavailable adds up what the kernel itself logs of the pages that init_unavailable_range() initializes, and so reserves
// (mm/page_alloc.c, mm/mm_init.c).
func unavailable(t *testing.T, log []verdict.LogLine) (pages int) {
	t.Helper()
	line := regexp.MustCompile(`zone \w+: (\d+) pages in unavailable ranges`)
	for _, l := range log {
		if m := line.FindStringSubmatch(l.Text); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			pages += n
		}
	}
	return pages
}

// TestEarlySites: on one boot, a WARN before the kernel has logged anything, and breaks whose counts others know: a function with
// code of its own (nm's count of initcalls), one that is inlined everywhere and its call (the kernel's log), and that call by
// its line.
func TestEarlySites(t *testing.T) {
	k := fixtures.Find(t, fixtures.Faults61)
	p := plan(t, k)
	p.Append = "kcatch_fault=idt-warn"
	p.Values = autopsy.ValueOptions{Args: true}
	s := surveyed(t, p, "x86_64_start_kernel", "do_one_initcall", "__SetPageReserved", "mm/page_alloc.c:6958")
	if s.Boot.Verdict != verdict.Good || len(s.Boot.Warnings) != 1 || !strings.Contains(s.Boot.Warnings[0].Summary, "kcatch_warn") {
		t.Errorf("the boot: %s, warnings %+v", s.Boot.Summary, s.Boot.Warnings)
	}

	warns, n, exact := at(&s, "WARN")
	if len(warns) != 1 || n != 1 || !exact {
		t.Fatalf("%d sites of WARNs, %d hits", len(warns), n)
	}
	w := warns[0]
	if w.Function != "kcatch_warn" || w.File != "init/kcatch_fault.c" || w.Stage != verdict.EarlyIDT || w.Frames[0].Function != w.Function || w.Inlined != nil {
		t.Errorf("%+v", w)
	}
	if e := w.Frames[0].Exception; e == nil || e.Vector != 6 {
		t.Errorf("the WARN's exception %+v", e)
	}
	if i := slices.IndexFunc(w.Frames, func(f verdict.Frame) bool { return f.Function == "x86_64_start_kernel" }); i < 0 {
		t.Errorf("chain %+v", w.Frames)
	}

	if sites, n, _ := at(&s, "x86_64_start_kernel"); len(sites) != 1 || n != 1 || sites[0].Stage != verdict.EarlyC {
		t.Errorf("x86_64_start_kernel: %d hits, %+v", n, sites)
	}
	sites, n, exact := at(&s, "do_one_initcall")
	if want := initcalls(t, k.Vmlinux); n != want || !exact {
		t.Errorf("do_one_initcall: %d hits, exact %v; nm has %d initcalls", n, exact, want)
	}
	for _, site := range sites {
		if site.Stage != verdict.Initcall || site.File != "init/main.c" || site.Frames[0].Function != "do_one_initcall" {
			t.Errorf("%+v", site)
		}
	}
	want := unavailable(t, s.Boot.Log)
	for _, point := range []string{"__SetPageReserved", "mm/page_alloc.c:6958"} {
		sites, _, _ := at(&s, point)
		i := slices.IndexFunc(sites, func(s verdict.Site) bool { return s.Function == "init_unavailable_range" })
		if i < 0 || sites[i].Line != 6958 || sites[i].Count != want || want == 0 || sites[i].AtLeast || sites[i].Stage != verdict.StartKernel {
			t.Errorf("%s: %+v; the log has %d pages", point, sites, want)
		}
	}
	// The first is page 0, which nothing has touched but __init_single_page() (mm/page_alloc.c:1661).
	sites, _, _ = at(&s, "__SetPageReserved")
	for _, site := range sites {
		if v := site.Values; site.Function == "init_unavailable_range" && (v["page_to_pfn(page)"] != "0x0" || v["page->_refcount"] != "1" || v["page->flags"] != "0x0" ||
			!strings.Contains(v["*page"], "pfn 0x0, refcount 1") || !strings.HasPrefix(v["page"], "0xffff")) {
			t.Errorf("values %v", v)
		}
	}
	// reserve_bootmem_region() has thousands of pages.
	all, _, exact := at(&s, "__SetPageReserved")
	if len(all) < 2 || exact || !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.HasPrefix(n, "__SetPageReserved: taken out") }) {
		t.Errorf("a hot point: exact %v, %d sites, notes %q", exact, len(all), s.Notes)
	}
}

// TestDeathKeepsTheSites: what was passed before a kernel died is there, with the death as the boot's result.
func TestDeathKeepsTheSites(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append = "kcatch_fault=late-warn panic_on_warn=1"
	p.CPUs = 2
	s := surveyed(t, p, "do_one_initcall")
	if s.Boot.Verdict != verdict.Bad || s.Boot.Class != verdict.Panic || s.Boot.ExitCode() != 1 {
		t.Errorf("the boot: %s", s.Boot.Summary)
	}
	warns, n, _ := at(&s, "WARN")
	if len(warns) != 1 || n != 1 || warns[0].Function != "kcatch_warn" || warns[0].Stage != verdict.Initcall {
		t.Fatalf("%d WARNs: %+v", n, warns)
	}
	var chain []string
	for _, f := range warns[0].Frames[1:] {
		if !f.Inline {
			chain = append(chain, f.Function)
		}
	}
	if want := said(s.Boot.Log); !slices.Equal(chain, want) || len(want) < 4 {
		t.Errorf("chain %q, the kernel's own call trace %q", chain, want)
	}
	if _, n, _ := at(&s, "do_one_initcall"); n < 20 {
		t.Errorf("%d initcalls", n)
	}
}

// said is the call trace of the first WARN as the kernel printed it, by its own unwinder: the functions outward from the one that
// warned, without the guesses ("? ").
func said(log []verdict.LogLine) (functions []string) {
	frame := regexp.MustCompile(`^ (\w+)[.+]\S*0x[0-9a-f]+/0x[0-9a-f]+$`)
	within := false
	for _, l := range log {
		for _, text := range strings.Split(l.Text, "\n") {
			switch {
			case strings.HasPrefix(text, "WARNING: "):
				within = true
			case strings.HasPrefix(text, "Kernel panic"), strings.HasPrefix(text, " </TASK>"):
				return functions
			case within && frame.MatchString(text):
				functions = append(functions, frame.FindStringSubmatch(text)[1])
			}
		}
	}
	return functions
}

// TestEveryHitOfEveryCPU: two vCPUs that come to a breakpoint as they like; neither is missed and none is counted twice. Who knows
// better is the kernel: copy_process() calls user_disable_single_step() for each process that it then counts (kernel/fork.c,
// total_forks), and /proc/stat shows that.
func TestEveryHitOfEveryCPU(t *testing.T) {
	k := fixtures.Find(t, fixtures.Good612)
	p := plan(t, k)
	p.CPUs = 2
	p.Run = "i=0; while [ $i -lt 8 ]; do true | true & i=$((i+1)); done; wait; " +
		"while read a b; do [ $a = processes ] && echo forks $b; done </proc/stat"
	s := surveyed(t, p, "user_disable_single_step", "do_one_initcall", "x86_64_start_kernel", "copy_bootdata")
	forks := 0
	for _, l := range s.Boot.Console {
		if n, ok := strings.CutPrefix(strings.TrimSpace(l), "forks "); ok {
			forks, _ = strconv.Atoi(n)
		}
	}
	const shutdown = 3 // init may fork so often after that
	_, n, exact := at(&s, "user_disable_single_step")
	if !exact || forks < 40 || n < forks || n > forks+shutdown {
		t.Errorf("%d hits, the kernel counts %d", n, forks)
	}
	if _, n, exact := at(&s, "do_one_initcall"); n != initcalls(t, k.Vmlinux) || !exact {
		t.Errorf("%d initcalls, nm has %d", n, initcalls(t, k.Vmlinux))
	}
	// x86_64_start_kernel() begins with idt_table in a .bss that has not been cleared; copy_bootdata() is called behind the early IDT.
	for point, want := range map[string]verdict.Stage{"x86_64_start_kernel": verdict.EarlyC, "copy_bootdata": verdict.EarlyIDT} {
		if sites, _, _ := at(&s, point); len(sites) != 1 || sites[0].Stage != want {
			t.Errorf("%s: want stage %s: %+v", point, want, sites)
		}
	}
}

// TestModuleSites: a WARN in a module of Debian's kernel, which is gone from the guest when the names are asked for.
func TestModuleSites(t *testing.T) {
	k := fixtures.Find(t, fixtures.Cloud61)
	fixtures.Need(t, k.FaultyModules != "", "the faulty module of "+k.Name, "make fixtures")
	p := plan(t, k)
	p.Modules = k.FaultyModules
	p.Run = "modprobe kcatch_mod; echo warn >/sys/module/kcatch_mod/parameters/trigger; rmmod kcatch_mod"
	s := surveyed(t, p, "param_attr_store")
	warns, n, _ := at(&s, "WARN")
	if len(warns) != 1 || n != 1 || warns[0].Function != "kcatch_mod_warn" || warns[0].Module != "kcatch_mod" || warns[0].Stage != verdict.Userspace || warns[0].Line == 0 {
		t.Errorf("%d WARNs: %+v", n, warns)
	}
	if sites, n, _ := at(&s, "param_attr_store"); n != 1 || len(sites) != 1 || sites[0].File == "" {
		t.Errorf("%d hits: %+v", n, sites)
	}
}

// TestRefusals: what cannot be looked at is said in one line, before anything is booted.
func TestRefusals(t *testing.T) {
	k := fixtures.Find(t, fixtures.Good61)
	for _, tc := range []struct{ text, says, hint string }{
		{"no_such_function", "no such function", "nm"},
		{"strat_kernel", "no such function", "did you mean start_kernel?"},
		{"jiffies_64", "is no code", ""},
		{"mm/no_such_file.c:12", "no code", "mm/page_alloc.c"},
		{"mm/page_alloc.c:6944", "the line has no code", "mm/page_alloc.c:"},
		{"spin_lock_irqsave+1", "no function", "vfs_read"},
		{"mm/page_alloc.c:", "no line", ""},
		{"mm/page_alloc.c:0", "no line", ""},
		{":12", "no line", ""},
	} {
		t.Run(tc.text, func(t *testing.T) {
			b, err := ParseBreak(tc.text)
			if err == nil {
				var s *Survey
				if s, err = New(plan(t, k), Options{Breaks: []Break{b}}); err == nil {
					err = harness.Check(context.Background(), s.Plan())
				}
			}
			if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), tc.says) || !strings.Contains(blame.Hint(err), tc.hint) ||
				strings.Contains(fmt.Sprint(err, blame.Hint(err)), "\n") || !strings.Contains(err.Error(), "--break") {
				t.Errorf("%v, hint %q", err, blame.Hint(err))
			}
		})
	}
	p := plan(t, k)
	p.Vmlinux = ""
	if _, err := New(p, Options{}); blame.Of(err) != blame.Usage {
		t.Errorf("without a vmlinux: %v", err)
	}
	p = plan(t, k)
	p.Accel = "kvm"
	if _, err := New(p, Options{}); blame.Of(err) != blame.Usage {
		t.Errorf("by KVM: %v", err)
	}
}
