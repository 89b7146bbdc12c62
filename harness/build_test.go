package harness

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// TestBuildApart: a boot of what Build made says what a boot of one piece says: whose patch the assertion is from, the source as it was
// built. The kernel is the fixture's, so that it is in the cache.
func TestBuildApart(t *testing.T) {
	whole := plan(t, fixtures.Find(t, fixtures.Seed61))
	whole.Kernel, whole.Vmlinux = "", ""
	whole.Build = &BuildRequest{Tree: "debian-6.1", Base: "tiny", Patches: []string{"pgflags-refcount"}}
	whole.Append = "nokaslr" // addresses are the same each time
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel() // where the fixture is of another compiler, it fails and builds nothing
	var stages []string
	apart, err := Build(ctx, whole, Progress{Stage: func(stage, _ string) { stages = append(stages, stage) }})
	if err != nil {
		t.Fatal(err)
	}
	if apart.Build != nil || apart.Kernel == "" || apart.Vmlinux == "" || apart.BootVmlinux == "" || whole.Build == nil {
		t.Errorf("plan %+v", apart)
	}
	if len(stages) == 0 || stages[0] != "source" {
		t.Errorf("stages %q", stages)
	}
	one, two, other := boots(t, whole), boots(t, apart), boots(t, func() Plan { p := whole; p.Out = t.TempDir(); return p.On(apart) }())
	a := two.Cause.Assertion
	if a == nil || a.Patch != "pgflags-refcount" || len(two.Cause.Source) == 0 || two.Cause.SourceFile == "" {
		t.Errorf("assertion %+v, source %q", a, two.Cause.SourceFile)
	}
	if one.Timing.Build == 0 || two.Timing.Build != 0 {
		t.Errorf("%v and %v s of building", one.Timing.Build, two.Timing.Build)
	}
	for _, r := range []verdict.Result{two, other} {
		if !reflect.DeepEqual(one.Cause, r.Cause) || chainText(one.CPUs[0].Frames) != chainText(r.CPUs[0].Frames) || !reflect.DeepEqual(one.Kernel, r.Kernel) {
			t.Errorf("of one piece: %+v\napart: %+v", one.Cause, r.Cause)
		}
	}
	// A symbol could not be asked for before there was a kernel: the boot refuses it, in one piece and apart.
	for _, p := range []Plan{whole, apart} {
		p.Until = "no_such_function"
		if _, err := Boot(ctx, p, Progress{}); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "no_such_function") {
			t.Errorf("until: %v", err)
		}
	}
	// What is known of one kernel is not said of another.
	foreign := apart
	foreign.Vmlinux = fixtures.Find(t, fixtures.Good61).Vmlinux
	if k := foreign.known(); len(k.Patches) > 0 || k.Vmlinux != foreign.Vmlinux {
		t.Errorf("the patches of %s are said to be %+v", foreign.Vmlinux, k.Patches)
	}
	// One that there is nothing to build for is left as it is.
	if p, err := Build(ctx, apart, Progress{}); err != nil || !reflect.DeepEqual(p, apart) {
		t.Errorf("%+v, %v", p, err)
	}
}
