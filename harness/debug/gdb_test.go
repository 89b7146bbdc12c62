package debug

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

func TestScript(t *testing.T) {
	r := &verdict.Result{}
	r.Artifacts.Result = "/out/result.json"
	h := harness.Held{Result: r, Socket: "/run/kc-1/g", Vmlinux: `/a b/"c"/vmlinux`, Slide: 0x1c00000, Placed: true, Dir: "/out"}
	want := `exec-file "/a b/\"c\"/vmlinux"
set auto-load python-scripts off
symbol-file -o 0x1c00000 "/a b/\"c\"/vmlinux"
set auto-load python-scripts on
source /a b/vmlinux-gdb.py
set substitute-path "/s/a \"b\".h" "/e/a.h"
set substitute-path "/s" "/r"
target remote /run/kc-1/g
source /out/kcatch.py
kcatch-load /out/result.json
`
	if got := script(h, "/a b/vmlinux-gdb.py", []harness.SourcePath{{From: `/s/a "b".h`, To: "/e/a.h"}, {From: "/s/a\nshell b\n.h", To: "/e/b"}, {From: "/s", To: "/r"}}); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	h.Vmlinux = ""
	if got := script(h, "", nil); got != want[strings.Index(want, "target"):] {
		t.Errorf("without a vmlinux: %s", got)
	}
}

// TestSourceAsBuilt: gdb shows the header as the patch made it, and others as they were, whatever was built in that tree since.
func TestSourceAsBuilt(t *testing.T) {
	vmlinux := fixtures.Find(t, fixtures.Seed61).Vmlinux
	_, err := exec.LookPath("gdb")
	fixtures.Need(t, err == nil, "gdb", "apt-get install gdb")
	paths := harness.SourcePaths(vmlinux)
	if len(paths) != 2 || !strings.HasSuffix(paths[0].From, "/src/include/linux/page-flags.h") || filepath.Dir(paths[0].From) != filepath.Join(paths[1].From, "include/linux") {
		t.Fatalf("%+v", paths)
	}
	commands, _, _ := strings.Cut(script(harness.Held{Result: &verdict.Result{}, Vmlinux: vmlinux}, "", paths), "target remote")
	file := filepath.Join(t.TempDir(), "x.gdb")
	if err := os.WriteFile(file, []byte(commands+"list page-flags.h:503\ninfo source\nlist start_kernel\ninfo source\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gdb", "-q", "-nx", "-batch", "-x", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Located in " + paths[0].To + "\n", "Located in " + paths[1].To + "/init/main.c\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestPrograms(t *testing.T) {
	h := harness.Held{Dir: "/out", Core: "/out/vmcore", Vmlinux: "/vmlinux"}
	for p, want := range map[Program]string{
		Gdb: "gdb -q -x /out/debug.gdb -batch", Drgn: "drgn -c /out/vmcore -s /vmlinux -batch", Crash: "crash /vmlinux /out/vmcore -batch",
	} {
		if got := strings.Join(p.argv(h, []string{"-batch"}), " "); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
	if err := Nobody.Check(); err != nil {
		t.Error(err)
	}
}

// TestRun: a program ends with the context, and that is well; one that will not is killed; its own bad end is told.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	s := Streams{In: strings.NewReader("in"), Out: &out, Err: &out}
	if err := run(context.Background(), []string{"cat"}, s); err != nil || out.String() != "in" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := run(context.Background(), []string{"sh", "-c", "exit 3"}, s); !IsProgram(err) || err.Error() != "debug: sh: exit status 3" {
		t.Errorf("%v", err)
	}
	if err := run(context.Background(), []string{"/no/such/program"}, s); blame.Of(err) != blame.Infrastructure || IsProgram(err) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := run(ctx, []string{"sleep", "1000"}, s); err != nil || time.Since(begin) > endGrace {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestNew(t *testing.T) {
	if _, err := New(harness.Plan{Kernel: "bzImage"}, Options{Program: Drgn}); blame.Of(err) != blame.Usage {
		t.Errorf("drgn without a vmlinux: %v", err)
	}
	for _, plan := range []harness.Plan{{Vmlinux: "v\nshell b"}, {Out: "o\nshell b"}} {
		if _, err := New(plan, Options{}); blame.Of(err) != blame.Usage || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", plan, err)
		}
	}
	s, err := New(harness.Plan{Vmlinux: "vmlinux", Accel: "auto"}, Options{})
	if err != nil || s.Plan().Accel != "auto" || s.Plan().Hold == nil || s.Plan().Hold.Core {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestBacktraceIsClean: what kcatch-bt prints of a hostile guest has no escapes and no line breaks. gdb's own Python runs it.
func TestBacktraceIsClean(t *testing.T) {
	gdb, err := exec.LookPath("gdb")
	fixtures.Need(t, err == nil, "gdb", "make test-deps")
	dir := t.TempDir()
	script := filepath.Join(dir, pythonName)
	result := filepath.Join(dir, "result.json")
	for name, data := range map[string][]byte{script: python, result: []byte(`{"summary":"oops: \u001b]0;x\u0007\n::error::no","cpus":[
		{"cpu":0,"state":"a\u001b[2J","stopped":"the chain ends here\n::warning::no","frames":[
		{"function":"f\n::error::no","pc":"0xffffffff81000010","file":"a\u009bb.c","line":3,"inline":true,"cause":true,"exception":{"name":"#PF\u001b"},
		 "args":[{"name":"p\u202e","value":"\"\u001b[31m` + strings.Repeat("x", 5000) + `\""},{"name":"q","value":"<cannot read: lost>"},{"name":"local","value":"1","local":true}],
		 "repeat":{"times":9,"left_out":6}},
		{"pc":0,"function":""}]},{"cpu":1,"frames":[]}]}`)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(gdb, "-nx", "-q", "-batch", "-x", script, "-ex", "kcatch-bt", "-ex", "kcatch-load "+dir+"/none", "-ex", "kcatch-load "+result, "-ex", "kcatch-bt")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "::") || strings.ContainsAny(l, "\x1b\x07\u009b\u202e") || len(l) > 600 {
			t.Errorf("%q", l)
		}
	}
	for _, want := range []string{
		"kcatch-bt: no result is loaded: kcatch-load FILE", "vCPU 0: a?[2J", "    <#PF? exception>", "    ... 6 frames of a recursion are left out",
		"#7  0x0000000000000000 in 0x0 ()", "(the machine has gone on since: these are the chains of the stop)",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in:\n%s", want, out)
		}
	}
	if !strings.Contains(string(out), `#0  0xffffffff81000010 in f?::error::no (p?="?[31mxxx`) || !strings.Contains(string(out), "q=?) at a?b.c:3 (inlined)  <== here") {
		t.Errorf("%s", out)
	}
}
