package harness_test

import (
	"context"
	"fmt"
	"os"

	"kcatch/harness"
	"kcatch/harness/verdict"
)

// A kernel is built, booted, and has to die of the assertion that a patch put into it.
func ExampleBoot() {
	out, err := os.MkdirTemp("", "boot-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(out)

	plan := harness.Defaults()
	plan.Accel = "tcg" // the same on every host
	plan.Build = &harness.BuildRequest{Tree: "debian-6.1", Patches: []string{"pgflags-refcount"}}
	plan.Out = out // in a test: t.TempDir()

	result, err := harness.Boot(context.Background(), plan, harness.Progress{})
	if err != nil { // no verdict on the kernel: it does not build, there is no QEMU
		none := harness.Skipped(err)
		fmt.Println(none.Blame, none.Summary, none.Error.Hint)
		return
	}
	fmt.Println(result.Verdict, result.Class, "in", result.Stage)
	fmt.Printf("%s:%d %s, inlined into %s\n", result.Cause.File, result.Cause.Line, result.Cause.Function, result.Cause.InlinedInto[0])
	fmt.Println(result.Cause.Assertion.Condition, "is", result.Cause.Assertion.Result)
	want, err := verdict.ParseMatch("early-exception:__SetPageReserved")
	fmt.Println("expected:", err == nil && want.Fits(&result))
	// Output:
	// bad early-exception in start_kernel
	// include/linux/page-flags.h:503 __SetPageReserved, inlined into init_unavailable_range
	// atomic_read(&policy(page, 1)->_refcount) is 1
	// expected: true
}

// A kernel that is built once boots on several machines.
func ExampleBuild() {
	out, err := os.MkdirTemp("", "boots-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(out)

	plan := harness.Defaults()
	plan.Accel = "tcg" // the same on every host
	plan.Build = &harness.BuildRequest{Tree: "debian-6.1"}
	plan, err = harness.Build(context.Background(), plan, harness.Progress{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, machine := range []string{"q35", "microvm"} {
		plan.Machine, plan.Out = machine, out+"/"+machine
		result, err := harness.Boot(context.Background(), plan, harness.Progress{})
		fmt.Println(machine, result.Verdict, err)
	}
	// Output:
	// q35 good <nil>
	// microvm good <nil>
}
