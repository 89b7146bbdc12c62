package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// series is one kernel with one fate, many times.
type series struct {
	name, what string
	plan       harness.Plan
	want       end
	boots      int

	got     []end // of each boot
	seconds []float64
	left    []string // what was left behind, and by which boot
}

// end is how a boot ended, as far as it must be the same each time.
type end struct {
	verdict  verdict.Verdict
	class    verdict.Class
	function string // of the cause
	err      string // why there is no verdict
}

func (e end) String() string {
	switch {
	case e.err != "":
		return "no verdict: " + e.err
	case e.function == "":
		return string(e.class)
	}
	return string(e.class) + ":" + e.function
}

// plans are the series: a kernel that lives, and five that die in ways that have little in common.
func plans(o options) ([]*series, error) {
	base := harness.Plan{Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "init", Timeout: 2 * time.Minute,
		FailOn: []verdict.Class{verdict.Oops, verdict.Bug}}
	all := []*series{
		{name: "good", what: "lives: init runs", boots: o.good, want: end{verdict: verdict.Good, class: verdict.OK}},
		{name: "early-exception", what: "an assertion in setup_arch(), before any console"},
		{name: "oops", what: "a kernel thread writes through NULL; the kernel lives on"},
		{name: "panic", what: "panic() in a late initcall"},
		{name: "triple-fault", what: "an exception without an IDT, in setup_arch()"},
		{name: "double-fault", what: "a stack overflow in a late initcall"},
	}
	for i, f := range []struct{ fixture, fault, function string }{
		{fixtures.Good61, "", ""}, {fixtures.Seed61, "", "__SetPageReserved"}, {fixtures.Faults61, "thread-null-write", "kcatch_store_inner"},
		{fixtures.Faults61, "late-panic", "kcatch_fault"}, {fixtures.Faults61, "early-triple", "kcatch_triple"},
		{fixtures.Faults61, "late-recurse", "kcatch_recurse"},
	} {
		s := all[i]
		s.plan = base
		if err := fixture(&s.plan, f.fixture); err != nil {
			return nil, err
		}
		if f.fault != "" {
			s.plan.Append = "kcatch_fault=" + f.fault
		}
		if s.boots == 0 {
			s.boots, s.want = o.fault, end{verdict: verdict.Bad, class: verdict.Class(s.name), function: f.function}
		}
	}
	return all, nil
}

// fixture puts a kernel into a plan.
func fixture(p *harness.Plan, name string) error {
	root, err := fixtures.Dir()
	if err != nil {
		return err
	}
	for base, to := range map[string]*string{"bzImage": &p.Kernel, "vmlinux": &p.Vmlinux} {
		if *to, err = filepath.EvalSymlinks(filepath.Join(root, name, base)); err != nil {
			return fmt.Errorf("the kernel %s is missing: run make fixtures", name)
		}
	}
	return nil
}

// run boots the series. Run directories are made below base; what is not as expected is kept in keep.
func (s *series) run(ctx context.Context, base, keep string) {
	var files, routines int
	for i := 1; i <= s.boots && ctx.Err() == nil; i++ {
		dir := filepath.Join(keep, fmt.Sprintf("%s-%04d", s.name, i))
		s.plan.Out = dir
		begin := time.Now()
		r, err := harness.Boot(ctx, s.plan, harness.Progress{})
		if ctx.Err() != nil {
			_ = os.RemoveAll(dir)
			return
		}
		e := end{verdict: r.Verdict, class: r.Class}
		if r.Cause != nil {
			e.function = r.Cause.Function
		}
		if err != nil {
			e = end{err: err.Error()}
		}
		s.got, s.seconds = append(s.got, e), append(s.seconds, time.Since(begin).Seconds())
		if e == s.want {
			_ = os.RemoveAll(dir)
		}
		s.left = append(s.left, leftBehind(i, base)...)
		if i == 1 {
			files, routines = openFiles(), runtime.NumGoroutine()
		}
		fmt.Fprintf(os.Stderr, "campaign: %s %d/%d  %s\n", s.name, i, s.boots, e)
	}
	if f, r := openFiles(), runtime.NumGoroutine(); f > files || r > routines+2 {
		s.left = append(s.left, fmt.Sprintf("%d open files after the first boot and %d after the last, %d and %d goroutines", files, f, routines, r))
	}
}

// leftBehind lists emulators among our children, and run directories.
func leftBehind(boot int, base string) (left []string) {
	children, _ := filepath.Glob("/proc/self/task/*/children") // by proc(5); a kernel without CONFIG_PROC_CHILDREN has none
	for _, file := range children {
		data, _ := os.ReadFile(file)
		for pid := range strings.FieldsSeq(string(data)) {
			exe, err := os.Readlink("/proc/" + pid + "/exe")
			if err == nil && strings.HasPrefix(filepath.Base(exe), "qemu") {
				left = append(left, fmt.Sprintf("boot %d: process %s %s", boot, pid, exe))
			}
		}
	}
	dirs, _ := filepath.Glob(filepath.Join(base, "kc-*"))
	for _, d := range dirs {
		left = append(left, fmt.Sprintf("boot %d: directory %s", boot, d))
	}
	return left
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
