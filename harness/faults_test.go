package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestFaults boots one kernel many times; kcatch_fault= on its command line says how it is to die
// (kernels/faults/selectable.diff). The first three live, and must not be called dead.
func TestFaults(t *testing.T) {
	const main = "kcatch_fault"
	for _, tc := range []struct {
		fault    string
		class    verdict.Class
		function string // of the cause; "-" none
		chain    string // functions that the chain has, outward from the cause
		vector   int    // -1: no exception
		code     uint64
		stage    verdict.Stage
		warnings int
	}{
		{"early-warn", verdict.OK, "-", "", -1, 0, verdict.Userspace, 1},
		{"late-warn", verdict.OK, "-", "", -1, 0, verdict.Userspace, 1},
		{"none", verdict.OK, "-", "", -1, 0, verdict.Userspace, 0},
		{"early-bug", verdict.EarlyException, "kcatch_bug", main + " setup_arch start_kernel", 6, 0, verdict.StartKernel, 0},
		{"early-gp", verdict.EarlyException, "kcatch_gp", main + " setup_arch start_kernel", 13, 0, verdict.StartKernel, 0},
		{"early-divide", verdict.EarlyException, "kcatch_divide", main + " setup_arch start_kernel", 0, 0, verdict.StartKernel, 0},
		// #PF has its real handler since init_mem_mapping(): an oops, and the kernel then kills the idle task and panics.
		{"early-null-write", verdict.Oops, "kcatch_store_inner", "kcatch_store_outer kcatch_null_write " + main + " setup_arch", 14, 2, verdict.StartKernel, 0},
		{"early-null-call", verdict.Oops, "kcatch_call", main + " setup_arch start_kernel", 14, 0x10, verdict.StartKernel, 0},
		{"early-panic", verdict.Panic, main, "setup_arch start_kernel", -1, 0, verdict.StartKernel, 0},
		{"early-triple", verdict.TripleFault, "kcatch_triple", main + " setup_arch start_kernel", 3, 0, verdict.StartKernel, 0},
		{"start-null-write", verdict.Oops, "kcatch_store_inner", "kcatch_store_outer kcatch_null_write", 14, 2, verdict.StartKernel, 0},
		{"late-panic", verdict.Panic, main, "kcatch_fault_init do_one_initcall", -1, 0, verdict.Initcall, 0},
		{"late-bug", verdict.Bug, "kcatch_bug", main + " kcatch_fault_init do_one_initcall", 6, 0, verdict.Initcall, 0},
		// The kernel survives these and reaches init.
		{"thread-null-write", verdict.Oops, "kcatch_store_inner", "kcatch_null_write kcatch_thread kthread", 14, 2, verdict.Initcall, 0},
		{"thread-bug", verdict.Bug, "kcatch_bug", "kcatch_thread kthread", 6, 0, verdict.Initcall, 0},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, fixtures.Faults61))
			p.Append = "kcatch_fault=" + tc.fault
			r := boots(t, p)
			if r.Class != tc.class || r.Stage != tc.stage || len(r.Warnings) != tc.warnings {
				t.Errorf("class %s, stage %s, %d warnings: %s; want %s, %s, %d", r.Class, r.Stage, len(r.Warnings), r.Summary, tc.class, tc.stage, tc.warnings)
			}
			if tc.warnings > 0 && len(r.Warnings) > 0 && (!strings.Contains(r.Warnings[0].Summary, "kcatch_warn") || r.Warnings[0].Frames[0].Function != "kcatch_warn") {
				t.Errorf("warning %+v", r.Warnings[0])
			}
			if tc.function == "-" {
				if r.Verdict != verdict.Good || r.Cause != nil {
					t.Errorf("verdict %s, cause %+v", r.Verdict, r.Cause)
				}
				return
			}
			if r.Cause == nil {
				t.Fatalf("no cause: %s", r.Summary)
			}
			if r.Verdict != verdict.Bad || r.Cause.Function != tc.function {
				t.Errorf("verdict %s, cause %s; want bad, %s", r.Verdict, r.Cause.Function, tc.function)
			}
			switch e := r.Cause.Exception; {
			case tc.vector < 0 && e != nil:
				t.Errorf("an exception: %+v", e)
			case tc.vector >= 0 && (e == nil || e.Vector != tc.vector || e.ErrorCode != tc.code || e.Guessed):
				t.Errorf("exception %+v, want vector %d with error code 0x%x", e, tc.vector, tc.code)
			}
			hasChain(t, r, tc.chain)
		})
	}
}

// hasChain checks that the chain with the cause goes on outward with these functions, in this order, others between.
func hasChain(t *testing.T, r verdict.Result, want string) {
	t.Helper()
	for _, cpu := range r.CPUs {
		at := slices.IndexFunc(cpu.Frames, func(f verdict.Frame) bool { return f.Cause })
		if at < 0 {
			continue
		}
		left := strings.Fields(want)
		for _, f := range cpu.Frames[at+1:] {
			if len(left) > 0 && f.Function == left[0] {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			t.Errorf("the chain lacks %q:\n%s", left, chainText(cpu.Frames))
		}
		return
	}
	t.Error("no chain has the cause")
}

// TestHangs: kernels that make no progress, with the limit lowered from 48 s so that the test is quick.
func TestHangs(t *testing.T) {
	for _, tc := range []struct {
		fault    string
		kind     verdict.HangKind
		function string // "": any
	}{
		{"early-spin", verdict.SpinIRQsOff, "kcatch_spin_irqs_off"},
		{"late-spin-irqs-off", verdict.SpinIRQsOff, "kcatch_spin_irqs_off"},
		{"late-spin", verdict.Spin, "kcatch_spin"},
		{"late-sleep", verdict.Idle, "kcatch_fault"},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			t.Parallel()
			p := plan(t, fixtures.Find(t, fixtures.Faults61))
			p.Append, p.Quiet = "kcatch_fault="+tc.fault, 5*time.Second
			r := boots(t, p)
			if r.Class != verdict.Hang || r.Hang != tc.kind {
				t.Errorf("class %s, hang %s: %s; want a hang, %s", r.Class, r.Hang, r.Summary, tc.kind)
			}
			if tc.kind == verdict.Idle {
				if len(r.Tasks) == 0 || r.Tasks[0].PID != 1 || r.Stage != verdict.Initcall || r.StageCall != "kcatch_fault_init" {
					t.Errorf("tasks %+v, stage %s (%s)", r.Tasks, r.Stage, r.StageCall)
				}
			}
			if tc.function != "" && (r.Cause == nil || r.Cause.Function != tc.function) {
				t.Errorf("cause %+v, want %s", r.Cause, tc.function)
			}
		})
	}
}
