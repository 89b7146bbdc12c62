package report

import "kcatch/harness/verdict"

// exampleSmoke is a smoke test of six cells, one of each status, for the goldens and tests of every sink.
func exampleSmoke() *verdict.Smoke {
	ud := &verdict.Exception{Vector: 6, Name: "#UD"}
	three, zero := 3, 0
	good := func() *verdict.Result {
		return &verdict.Result{Schema: verdict.Schema, Verdict: verdict.Good, Class: verdict.OK, Stage: verdict.Userspace, Summary: "ok: init ran",
			CPUs: []verdict.CPU{}, Warnings: []verdict.Warning{}, Log: []verdict.LogLine{},
			Kernel:   verdict.Kernel{Release: "6.1.192-kcatch", BuildID: "00ff"},
			Machine:  &verdict.Machine{Name: "q35", Accel: "tcg", Memory: 256 << 20, CPUs: 1},
			Timeline: []verdict.Mark{{Stage: "start_kernel", Seconds: 0.21}, {Stage: "init", Seconds: 0.44}},
			Timing:   verdict.Timing{Boot: 0.44, Examine: 0.001}}
	}
	checked := good()
	checked.Checks = []verdict.Check{
		{Name: "uname", Command: "uname -r", Status: &zero, Seconds: 0.02, Output: []string{"6.1.192-kcatch"}},
		{Name: "disk", Command: "mount -t ext4 /dev/vda /mnt", Status: &three, Output: []string{"mount: /dev/vda: no such device"}},
	}
	checked.Subtests = []verdict.Subtest{
		{Name: "kunit/list-kunit-test/list_test_list_init", Status: "pass", Seconds: 0.001},
		{Name: "kunit/list-kunit-test/list_test_list_add", Status: "fail", Reason: "expected 3", Lines: []string{"lib/list-test.c:41: expected 3, got 2"}},
		{Name: "kunit/rtc/rtc_time64", Status: "skip", Reason: "no rtc"},
		{Name: "kunit/rtc/rtc_year", Status: "lost"},
	}
	checked.Initcalls = []verdict.InitcallTime{{Function: "inet_init", Level: "fs", Start: 0.3, Seconds: 0.012, Returned: &zero}}
	dead := &verdict.Result{
		Schema: verdict.Schema, Verdict: verdict.Bad, Class: verdict.EarlyException, Stage: verdict.StartKernel, StageCall: "setup_arch",
		Summary:   "early-exception: #UD in __SetPageReserved()  include/linux/page-flags.h:503",
		Signature: "early-exception/start_kernel/__SetPageReserved/init_unavailable_range", Blame: "kernel",
		Details: []string{"setup_arch (start_kernel), 57ms after power-on"},
		Cause: &verdict.Cause{Function: "__SetPageReserved", File: "include/linux/page-flags.h", Line: 503, Address: 0xffffffff81000010,
			InlinedInto: []string{"init_unavailable_range"}, Exception: ud, Instruction: "ud2",
			Bug: &verdict.BugSite{File: "include/linux/page-flags.h", Line: 503, Text: "kernel BUG at include/linux/page-flags.h:503!"},
			Assertion: &verdict.Assertion{Text: "VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page)", Patch: "pgflags-refcount",
				Macro: "VM_BUG_ON_PGFLAGS", Condition: "atomic_read(&policy(page, 1)->_refcount)", Result: "1",
				Values: []verdict.ConditionValue{{Expression: "page->_refcount", Type: "atomic_t", Value: "{.counter = 1}"}}}},
		CPUs: []verdict.CPU{{CPU: 0, State: "halted with interrupts off", Frames: []verdict.Frame{
			{Function: "early_fixup_exception", PC: 0xffffffff82000000, FoundBy: "registers", File: "arch/x86/mm/extable.c", Line: 390},
			{Function: "__SetPageReserved", PC: 0xffffffff81000010, FoundBy: "regs", File: "include/linux/page-flags.h", Line: 503, Inline: true, Exception: ud, Cause: true},
			{Function: "init_unavailable_range", PC: 0xffffffff81000010, FoundBy: "regs", File: "mm/page_alloc.c", Line: 6958},
			{Function: "start_kernel", PC: 0xffffffff81000900, FoundBy: "orc", File: "init/main.c", Line: 959},
		}}},
		Warnings:  []verdict.Warning{},
		Log:       []verdict.LogLine{{Seq: 1, Time: 0.05, Level: 6, Text: "Zone ranges:"}, {Seq: 2, Time: 0.06, Level: 2, Text: "page dumped because: x", Open: true}},
		Kernel:    verdict.Kernel{Release: "6.1.192-kcatch", BuildID: "00aa", KASLRSlide: 0x1000000},
		Machine:   &verdict.Machine{Name: "q35", Accel: "tcg", Memory: 256 << 20, CPUs: 2},
		Timing:    verdict.Timing{Build: 21.5, Boot: 0.31, Examine: 0.004},
		Artifacts: verdict.Artifacts{Dir: "/state/run/patched", QEMUCommand: "/state/run/patched/qemu.sh", Console: "/state/run/patched/console.log"},
	}
	hang := &verdict.Result{
		Schema: verdict.Schema, Verdict: verdict.Bad, Class: verdict.Hang, Hang: verdict.Spin, Stage: verdict.Initcall, StageCall: "i8042_init",
		Summary: "hang: spinning in i8042_flush()  drivers/input/serio/i8042.c:212", Signature: "hang/initcall/i8042_flush/i8042_init", Blame: "kernel",
		Cause: &verdict.Cause{Function: "i8042_flush", File: "drivers/input/serio/i8042.c", Line: 212, InlinedInto: []string{}},
		CPUs: []verdict.CPU{{CPU: 0, State: "running", Frames: []verdict.Frame{
			{Function: "i8042_flush", PC: 0xffffffff81200000, FoundBy: "registers", File: "drivers/input/serio/i8042.c", Line: 212, Cause: true},
			{Function: "i8042_init", PC: 0xffffffff81200100, FoundBy: "orc", File: "drivers/input/serio/i8042.c", Line: 1640}}}},
		Warnings: []verdict.Warning{}, Log: []verdict.LogLine{}, Kernel: verdict.Kernel{Release: "6.12.117"}, Timing: verdict.Timing{Boot: 60.2},
	}
	unbuilt := &verdict.Result{Schema: verdict.Schema, Verdict: verdict.Skip, Blame: "build", Summary: "the patch does not fit: mm/slub.c: hunk 1",
		CPUs: []verdict.CPU{}, Warnings: []verdict.Warning{}, Log: []verdict.LogLine{},
		Error: &verdict.Error{Message: "the patch does not fit: mm/slub.c: hunk 1", Hint: "give a form for this tree with --patch FILE"}}

	s := &verdict.Smoke{Profile: "smoke.yaml", Shard: "1/2", Jobs: 2, Started: "2026-11-25T20:57:34+01:00", Seconds: 83.4, Baseline: "last.json",
		Fixed:   []verdict.Known{{Cell: "stable/q35", Signature: "oops/initcall/foo_init"}},
		Expired: []verdict.Allow{{Signature: "warn/initcall/bar_*", Owner: "mm team", Reason: "waits for v6.13", Expires: "2026-10-31"}},
		Notes:   []string{"the baseline has cells that this profile does not have"}}
	s.Add(verdict.Cell{Name: "stable/q35", Status: verdict.CellPass, Attempts: 1, Result: good(), Kernel: "stable", Machine: "q35", Seconds: 0.46,
		Tries: []verdict.Try{{Verdict: verdict.Good, Class: verdict.OK, Summary: "ok: init ran", Seconds: 0.46, Passed: true}}})
	s.Add(verdict.Cell{Name: "stable/q35-2/quiet", Status: verdict.CellFail, Attempts: 1, Result: checked, Kernel: "stable", Machine: "q35-2", Append: "quiet",
		Reason: "check disk: exit status 3", Seconds: 1.2, Artifacts: "/state/run/stable_q35-2_quiet", Repeat: "kcatch smoke --only stable/q35-2/quiet"})
	s.Add(verdict.Cell{Name: "debian-6.1/q35", Status: verdict.CellFail, Attempts: 2, Result: dead, Kernel: "debian-6.1", Machine: "q35", Seconds: 0.7, Novelty: "new",
		Reason: "died, and no baseline knows it", Artifacts: "/state/run/patched", Repeat: "kcatch smoke --only debian-6.1/q35",
		Tries: []verdict.Try{{Verdict: verdict.Bad, Class: verdict.EarlyException, Summary: dead.Summary, Signature: dead.Signature, Seconds: 0.35},
			{Verdict: verdict.Bad, Class: verdict.EarlyException, Summary: dead.Summary, Signature: dead.Signature, Seconds: 0.35}}})
	s.Add(verdict.Cell{Name: "debian-6.12/q35", Status: verdict.CellFlaky, Attempts: 2, Result: hang, Kernel: "debian-6.12", Machine: "q35", Seconds: 61,
		Reason: "failed in 1 of 2 boots",
		Tries: []verdict.Try{{Verdict: verdict.Bad, Class: verdict.Hang, Summary: hang.Summary, Signature: hang.Signature, Seconds: 60.5},
			{Verdict: verdict.Good, Class: verdict.OK, Summary: "ok: init ran", Seconds: 0.5, Passed: true}}})
	s.Add(verdict.Cell{Name: "patched/q35", Status: verdict.CellSkip, Attempts: 1, Result: unbuilt, Kernel: "patched", Machine: "q35", Reason: "the patch does not fit: mm/slub.c: hunk 1"})
	s.Add(verdict.Cell{Name: "stable/microvm", Status: verdict.CellError, Attempts: 2, Kernel: "stable", Machine: "microvm", Reason: "qemu: exit status 1: no space left on device"})
	return s
}
