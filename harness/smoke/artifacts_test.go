package smoke

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// TestRequestRefused: what is wrong with a request is said in one line, before anything is made.
func TestRequestRefused(t *testing.T) {
	with := func(change func(r *Request)) Request {
		r := Request{Cells: []Cell{cellOf("a", ""), cellOf("b/c", "")}, Out: filepath.Join(t.TempDir(), "out")}
		change(&r)
		return r
	}
	name := func(s string) Request { return with(func(r *Request) { r.Cells[1].Name = s }) }
	for _, tt := range []struct {
		req  Request
		want string
	}{
		{name(""), "no name of a directory"}, {name("a//b"), "no name"}, {name("/a"), "no name"}, {name("../a"), "no name"}, {name("a/."), "no name"},
		{name("a b"), "want at most 200 letters"}, {name("ä"), "want at most"}, {name(strings.Repeat("x", 201)), "want at most"},
		{name("b/try-2"), "kcatch gives itself"}, {name("smoke.json/x"), "kcatch gives itself"}, {name("a"), "is there twice"},
		{with(func(r *Request) { r.Cells = nil }), "no cells"}, {with(func(r *Request) { r.Jobs = -1 }), "-1 jobs"},
		{with(func(r *Request) { r.Cells[0].Retries = 11 }), "want 0 to 10"}, {with(func(r *Request) { r.Cells[0].Expect = "splat" }), "not a class of death"},
		{with(func(r *Request) { r.Allow = []verdict.Allow{{Signature: "a", Expires: "31.1.2027"}} }), "want a day as 2027-01-31"},
		{with(func(r *Request) { r.Allow = []verdict.Allow{{Expires: "2027-01-31"}} }), "without a signature"},
		{with(func(r *Request) { r.Baseline = "no such file" }), "--baseline: no such file"},
	} {
		_, err := lab{now: time.Now}.run(context.Background(), tt.req, Listener{})
		if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q in it", err, tt.want)
		}
		if err := Check(context.Background(), tt.req); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check: %v, want %q in it", err, tt.want)
		}
		if _, err := os.Stat(tt.req.Out); err == nil {
			t.Errorf("%s was made for a request that is refused", tt.req.Out)
		}
	}
	// A file that a cell names is looked at before anything is booted, and the error says whose it is.
	c := cellOf("a", "")
	c.Plan.Kernel, c.Plan.Until = "no such kernel", "init"
	if err := Check(context.Background(), Request{Cells: []Cell{c}}); blame.Of(err) != blame.Usage || !strings.HasPrefix(err.Error(), "cell a: ") {
		t.Errorf("%v", err)
	}
}

// TestCheckKey: plans that are not checked alike have two keys, and the command line and where results go make no difference.
func TestCheckKey(t *testing.T) {
	checked := func(c harness.GuestCheck) harness.Plan { return harness.Plan{Checks: []harness.GuestCheck{c}} }
	keys := map[string]int{}
	for i, p := range []harness.Plan{
		{}, {Kernel: "a"}, {Vmlinux: "a"}, {BootVmlinux: "a"}, {Initrd: "a"}, {Machine: "a"}, {CPU: "a"}, {Until: "a"}, {QEMU: "a"}, {Memory: 1}, {CPUs: 1},
		{QEMUArg: []string{"a"}}, {Workload: "a"}, {Modules: "a"}, {Build: &kernels.Request{}}, {Build: &kernels.Request{Tree: "a"}},
		checked(harness.GuestCheck{Name: "a"}), checked(harness.GuestCheck{Command: "a"}), checked(harness.GuestCheck{Script: []byte("a")}), checked(harness.GuestCheck{Limit: 1}),
	} {
		if other, ok := keys[checkKey(&p)]; ok {
			t.Errorf("plan %d has the key of plan %d: %s", i, other, checkKey(&p))
		}
		keys[checkKey(&p)] = i
	}
	if checkKey(&harness.Plan{}) != checkKey(&harness.Plan{Append: "quiet", Out: "a", Timeout: 1}) {
		t.Error("each command line is checked anew")
	}
}

// TestDirectoryUsedBefore: of an earlier run nothing is left that this one might be thought to have written, and nothing that is not
// kcatch's is touched.
func TestDirectoryUsedBefore(t *testing.T) {
	out := t.TempDir()
	for _, f := range []string{"smoke.json", "a/try-2/result.json", "a/try-x/notes", "notes"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(out, f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, f), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := forget(out, []Cell{{Name: "a"}, {Name: "b"}}); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, f := range []string{"smoke.json", "a/try-2", "a/try-x/notes", "notes"} {
		if _, err := os.Stat(filepath.Join(out, f)); err == nil {
			left = append(left, f)
		}
	}
	if got := strings.Join(left, " "); got != "a/try-x/notes notes" {
		t.Errorf("left: %s", got)
	}
}

// TestKeep: runs without a directory of their own are kept, the newest ones, and what was learnt stays.
func TestKeep(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	w := (&world{}).lab()
	for i := range 5 {
		at := time.Date(2027, 1, 1, 0, 0, i, 0, time.UTC)
		w.now = func() time.Time { return at }
		w.boot = func(context.Context, harness.Plan, harness.Progress) (verdict.Result, error) { return result("") }
		out, err := w.run(context.Background(), Request{Jobs: 1, Keep: 3, Cells: []Cell{cellOf("a", "")}}, Listener{})
		if err != nil || len(out.Notes) > 0 {
			t.Fatal(out.Notes, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(state, "kcatch", "smoke"))
	if err != nil || len(entries) != 4 || !strings.HasPrefix(entries[0].Name(), "20270101-000002.000-") || entries[3].Name() != durationsName {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestBootCommand: a command that boots a cell alone, fit for a shell.
func TestBootCommand(t *testing.T) {
	c := Cell{Expect: "oops:foo", Plan: harness.Plan{
		Build:  &kernels.Request{Tree: "my tree", Patches: []string{"a", "b.diff"}, Base: "tiny", Fragments: []string{"kasan"}, Make: []string{"LLVM=1"}},
		Append: "quiet x='1'", Machine: "q35", Memory: 512 << 20, CPUs: 2, Accel: "tcg", QEMUArg: []string{"-cpu", "max"}, Until: "init",
		Timeout: 90 * time.Second, FailOn: []verdict.Class{verdict.Oops, verdict.Warn},
		CPU: "Nehalem", Values: autopsy.ValueOptions{Args: true, Locals: true, Depth: 2}, Timeline: true,
		Checks: []harness.GuestCheck{{Name: "a", Command: "ls /x"}, {Name: "b", Script: []byte("ls")}, {Name: "c", Command: "ls", Limit: time.Second},
			{Name: "d", Command: "ls\nls"}},
	}}
	want := `kcatch boot 'my tree' --patch a --patch b.diff --base tiny --config kasan --make LLVM=1 --check 'ls /x' --append 'quiet x='\''1'\''' --machine q35 ` +
		`--memory 512M --smp 2 --cpu Nehalem --accel tcg --qemu-arg=-cpu --qemu-arg=max --until init --timeout 1m30s --fail-on oops,warn ` +
		`--values all --values-depth 2 --timeline --expect oops:foo`
	if got := bootCommand(&c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c = Cell{Plan: harness.Plan{Kernel: "bzImage", Vmlinux: "vmlinux", BootVmlinux: "boot", Initrd: "none", Run: "ls /", Modules: "m", QEMU: "q"}}
	if got := bootCommand(&c); got != "kcatch boot --kernel bzImage --vmlinux vmlinux --boot-vmlinux boot --initrd none --modules m --run 'ls /' --qemu q --fail-on none --values none" {
		t.Error(got)
	}
}
