package smoke

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// world is a lab without QEMU: each boot takes a second of a clock that does not run, each build three.
type world struct {
	mu    sync.Mutex
	begin time.Time
	boots map[string][]string // what each boot of a cell comes to, in its order: see [world.result]; good where it says nothing
	build map[string][]string // what each build of a tree comes to: "build" or "disk"
	story []string
	live  int
	most  int // boots at a time
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Since(w.begin).Round(time.Millisecond)
	w.story = append(w.story, fmt.Sprintf("%s %s", at, fmt.Sprintf(format, args...)))
}

// next takes the next word for a name from a list.
func (w *world) next(list map[string][]string, name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	words := list[name]
	if len(words) == 0 {
		return ""
	}
	list[name] = words[1:]
	return words[0]
}

func (w *world) lab() lab {
	return lab{now: time.Now,
		build: func(ctx context.Context, p harness.Plan, _ harness.Progress) (harness.Plan, error) {
			tree := p.Build.Tree
			w.tell("build %s", tree)
			if err := pause(ctx, 3*time.Second); err != nil {
				w.tell("build %s is broken off", tree)
				return p, err
			}
			switch w.next(w.build, tree) {
			case "build":
				return p, blame.New(blame.Build, "make: "+tree+": does not compile", "")
			case "disk":
				return p, blame.New(blame.Infrastructure, "cache: disk full", "")
			}
			w.tell("built %s", tree)
			return p.On(harness.Plan{Kernel: tree + "/bzImage", Vmlinux: tree + "/vmlinux"}), nil
		},
		boot: func(ctx context.Context, p harness.Plan, _ harness.Progress) (verdict.Result, error) {
			name := p.Append // a cell says so who it is
			w.tell("boot %s", name)
			if p.Build != nil || p.Kernel == "" {
				return verdict.Result{}, errors.New("its kernel is not built")
			}
			w.mu.Lock()
			w.live++
			w.most = max(w.most, w.live)
			w.mu.Unlock()
			err := pause(ctx, time.Second)
			w.mu.Lock()
			w.live--
			w.mu.Unlock()
			if err != nil {
				return verdict.Result{}, err
			}
			r, err := result(w.next(w.boots, name))
			r.Artifacts.Dir = p.Out
			return r, err
		},
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broken off: %w", ctx.Err())
	}
}

// result is what a boot comes to: "" is good, "usage" and "qemu" are errors, else it is a signature, CLASS/STAGE/FUNCTION.
func result(word string) (verdict.Result, error) {
	status := 1
	switch word {
	case "":
		return verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: "6.1 reached init"}, nil
	case "check":
		return verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Checks: []verdict.Check{{Name: "net", Status: &status}}}, nil
	case "usage":
		return verdict.Result{}, blame.New(blame.Usage, "--until nowhere: vmlinux has no such symbol", "")
	case "qemu":
		return verdict.Result{}, blame.New(blame.Infrastructure, "qemu ended: signal 9", "")
	}
	f := strings.Split(word, "/")
	return verdict.Result{Verdict: verdict.Bad, Class: verdict.Class(f[0]), Signature: word, Summary: f[0] + " in " + f[2],
		Cause: &verdict.Cause{Function: f[2]}}, nil
}

// cellOf is a cell with a kernel that is there, or with one that is built from a tree.
func cellOf(name, tree string) Cell {
	c := Cell{Name: name, Kernel: name, Plan: harness.Plan{Append: name, CPUs: 1, Memory: 256 << 20}}
	if tree == "" {
		c.Plan.Kernel = "bzImage"
	} else {
		c.Plan.Build = &kernels.Request{Tree: tree}
	}
	return c
}

// runs runs a request in a world, and checks what holds for any run.
func runs(t *testing.T, w *world, req Request, interruptAfter time.Duration) (out verdict.Smoke, err error) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if req.Out == "" {
		req.Out = t.TempDir()
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if interruptAfter > 0 {
			time.AfterFunc(interruptAfter, cancel)
		}
		w.begin = time.Now()
		out, err = w.lab().run(ctx, req, Listener{
			Begin: func(c *Cell, n int) {
				if n > 1 {
					w.tell("again %s", c.Name)
				}
			},
			End: func(c *verdict.Cell) { w.tell("%s %s", c.Name, c.Status) },
		})
	})
	if len(out.Cells) != len(req.Cells) {
		t.Fatalf("%d cells of %d", len(out.Cells), len(req.Cells))
	}
	for i, c := range out.Cells {
		if c.Name != req.Cells[i].Name {
			t.Errorf("cell %d is %s, want %s", i, c.Name, req.Cells[i].Name)
		}
		if c.Repeat == "" || strings.Contains(c.Reason, "\n") {
			t.Errorf("cell %s: repeat %q, reason %q", c.Name, c.Repeat, c.Reason)
		}
		if len(c.Tries) != c.Attempts {
			t.Errorf("cell %s: %d attempts, %d tries", c.Name, c.Attempts, len(c.Tries))
		}
	}
	if _, serr := os.Stat(filepath.Join(req.Out, ResultName)); serr != nil {
		t.Error(serr)
	}
	return out, err
}

// told compares a story.
func (w *world) told(t *testing.T, want string) {
	t.Helper()
	got := strings.Join(w.story, "\n")
	if want := strings.TrimSpace(want); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestBuildsAndBootsSideBySide: a kernel is built once for all its cells, one kernel at a time in the order of the cells, while the cells
// whose kernel is there boot.
func TestBuildsAndBootsSideBySide(t *testing.T) {
	w := &world{}
	out, err := runs(t, w, Request{Jobs: 2, Cells: []Cell{
		cellOf("one", "x"), cellOf("two", ""), cellOf("three", "y"), cellOf("four", "x"), cellOf("five", ""), cellOf("six", ""),
	}}, 0)
	if err != nil || out.Passed != 6 || out.ExitCode() != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if w.most != 2 || out.Jobs != 2 {
		t.Errorf("%d boots at a time, %d jobs said", w.most, out.Jobs)
	}
	for _, line := range []string{"0s build x", "0s boot two", "0s boot five", "1s boot six", "3s built x", "3s build y", "3s boot one", "3s boot four", "6s built y", "6s boot three"} {
		if !strings.Contains(strings.Join(w.story, "\n")+"\n", line+"\n") {
			t.Errorf("no %q in:\n%s", line, strings.Join(w.story, "\n"))
		}
	}
	if n := strings.Count(strings.Join(w.story, " "), "build "); n != 2 {
		t.Errorf("%d builds, want 2", n)
	}
}

// TestOutcomes: how a cell comes out by what its boots come to.
func TestOutcomes(t *testing.T) {
	const death, other = "oops/initcall/foo", "bug/init/bar"
	for _, tt := range []struct {
		name    string
		boots   []string
		expect  string
		retries int
		want    string // status, attempts, which boot's signature, reason
	}{
		{"lives", nil, "", 2, "pass 1 | "},
		{"dies", []string{death, death, other}, "", 2, "fail 3 oops/initcall/foo | oops in foo"},
		{"dies, once", []string{death, death}, "", 0, "fail 1 oops/initcall/foo | oops in foo"},
		{"flaky", []string{death}, "", 2, "flaky 2 oops/initcall/foo | passed when it was tried again (boot 2); it had failed: oops in foo"},
		{"flaky, late", []string{death, other}, "", 2, "flaky 3 oops/initcall/foo | passed when it was tried again (boot 3); it had failed: oops in foo"},
		{"expected", []string{death}, "oops:foo", 2, "pass 1 oops/initcall/foo | expected: oops in foo"},
		{"another one expected", []string{other}, "oops:foo", 0, "fail 1 bug/init/bar | not the expected oops:foo: bug in bar"},
		{"expected, and lives", nil, "oops", 0, "fail 1 | not the expected oops: 6.1 reached init"},
		{"expected to live", nil, "ok", 0, "pass 1 | expected: 6.1 reached init"},
		{"expected to live, and dies", []string{death}, "ok", 0, "fail 1 oops/initcall/foo | oops in foo"},
		{"check", []string{"check", "check"}, "", 1, "fail 2 | check net: exit status 1"},
		{"check is flaky", []string{"check"}, "", 1, "flaky 2 | passed when it was tried again (boot 2); it had failed: check net: exit status 1"},
		{"QEMU, once", []string{"qemu"}, "", 0, "pass 2 | "},
		{"QEMU, twice", []string{"qemu", "qemu"}, "", 5, "error 2 | qemu ended: signal 9"},
		{"QEMU, then dies", []string{"qemu", death}, "", 0, "fail 2 oops/initcall/foo | oops in foo"},
		{"dies, then QEMU", []string{death, "qemu", "qemu"}, "", 3, "fail 3 oops/initcall/foo | oops in foo"},
		{"usage", []string{"usage"}, "", 3, "skip 1 | --until nowhere: vmlinux has no such symbol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cellOf("cell", "")
			c.Expect, c.Retries = tt.expect, tt.retries
			out, err := runs(t, &world{boots: map[string][]string{"cell": tt.boots}}, Request{Jobs: 1, Cells: []Cell{c}}, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := out.Cells[0]
			signature := ""
			if got.Result != nil && got.Result.Signature != "" {
				signature = " " + got.Result.Signature
			}
			if text := fmt.Sprintf("%s %d%s | %s", got.Status, got.Attempts, signature, got.Reason); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			if got.Seconds != float64(got.Attempts) {
				t.Errorf("%v s for %d boots of a second", got.Seconds, got.Attempts)
			}
		})
	}
}

// TestUnbuildable: what does not build is skipped with the reason, what this machine does not build is an error, and neither
// stops the rest.
func TestUnbuildable(t *testing.T) {
	w := &world{build: map[string][]string{"x": {"build"}, "y": {"disk", "disk"}, "z": {"disk"}}}
	out, err := runs(t, w, Request{Jobs: 1, Cells: []Cell{cellOf("a", "x"), cellOf("b", "y"), cellOf("c", "x"), cellOf("d", ""), cellOf("e", "z")}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range out.Cells {
		got = append(got, fmt.Sprintf("%s %s %q", c.Name, c.Status, c.Reason))
	}
	want := `a skip "make: x: does not compile", b error "cache: disk full", c skip "make: x: does not compile", d pass "", e pass ""`
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if out.ExitCode() != verdict.ExitInfrastructure {
		t.Errorf("exit code %d", out.ExitCode())
	}
}

// TestFailFast: nothing is begun after a failure; what runs comes to its end, its retries included, and a build that nobody waits for
// is broken off.
func TestFailFast(t *testing.T) {
	const death = "oops/init/foo"
	w := &world{boots: map[string][]string{"a": {death}, "b": {death}}}
	b := cellOf("b", "")
	b.Retries = 1
	out, err := runs(t, w, Request{Jobs: 2, FailFast: true, Cells: []Cell{cellOf("a", ""), b, cellOf("c", ""), cellOf("d", "x")}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range out.Cells {
		got = append(got, fmt.Sprintf("%s %s %q", c.Name, c.Status, c.Reason))
	}
	want := `a fail "oops in foo", b flaky "passed when it was tried again (boot 2); it had failed: oops in foo", ` +
		`c not-run "a cell before it failed (--fail-fast)", d not-run "a cell before it failed (--fail-fast)"`
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if story := strings.Join(w.story, "\n"); !strings.Contains(story, "1s build x is broken off") || strings.Contains(story, "boot c") {
		t.Errorf("story:\n%s", story)
	}
	if out.Error != nil || out.ExitCode() != verdict.ExitBad {
		t.Errorf("error %+v, exit code %d", out.Error, out.ExitCode())
	}
}

// TestInterrupted: what is done is kept; what runs and what was not begun is not run.
func TestInterrupted(t *testing.T) {
	const death = "oops/init/foo"
	w := &world{boots: map[string][]string{"b": {death}}}
	b := cellOf("b", "")
	b.Retries = 1
	out, err := runs(t, w, Request{Jobs: 2, Cells: []Cell{cellOf("a", ""), b, cellOf("c", ""), cellOf("d", "x")}}, 1500*time.Millisecond)
	if blame.Of(err) != blame.Interrupted || verdict.ExitFor(err) != verdict.ExitInterrupted || !strings.Contains(err.Error(), "1 of 4 cells were done") {
		t.Errorf("error %v", err)
	}
	var got []string
	for _, c := range out.Cells {
		got = append(got, fmt.Sprintf("%s %s %q", c.Name, c.Status, c.Reason))
	}
	want := `a pass "", b not-run "interrupted when it was tried again; it had failed: oops in foo", c not-run "interrupted", d not-run "interrupted"`
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if out.Error == nil || out.Error.Message != "interrupted" || out.Seconds != 1.5 {
		t.Errorf("error %+v after %v s", out.Error, out.Seconds)
	}
}

// TestOrder: which boots begin when is the same each time with one job.
func TestOrder(t *testing.T) {
	w := &world{boots: map[string][]string{"b": {"oops/init/foo"}}}
	b := cellOf("b", "")
	b.Retries = 1
	if _, err := runs(t, w, Request{Jobs: 1, Cells: []Cell{cellOf("a", ""), b, cellOf("c", "")}}, 0); err != nil {
		t.Fatal(err)
	}
	w.told(t, `
0s boot a
1s a pass
1s boot b
2s again b
2s boot b
3s b flaky
3s boot c
4s c pass`)
}

// TestTriesSayWhy: a boot that did not pass says of what, where its summary does not.
func TestTriesSayWhy(t *testing.T) {
	c := cellOf("a", "")
	c.Retries = 2
	out, err := runs(t, &world{boots: map[string][]string{"a": {"check", "oops/init/foo"}}}, Request{Jobs: 1, Cells: []Cell{c}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, try := range out.Cells[0].Tries {
		got = append(got, fmt.Sprintf("%q %q", try.Reason, try.Said()))
	}
	if text, want := strings.Join(got, ", "), `"check net: exit status 1" "check net: exit status 1", "" "oops in foo", "" "6.1 reached init"`; text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

// Two runs in one directory would mix their consoles.
func TestDirectoryInUse(t *testing.T) {
	out := t.TempDir()
	old := filepath.Join(out, ResultName)
	if err := os.WriteFile(old, []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	release, err := harness.Claim(out)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	w := &world{begin: time.Now()}
	_, err = w.lab().run(t.Context(), Request{Out: out, Cells: []Cell{cellOf("a", "")}}, Listener{})
	if blame.Of(err) != blame.Infrastructure || len(w.story) > 0 {
		t.Errorf("got %v after %q, want it refused before any boot", err, w.story)
	}
	if _, err := os.Stat(old); err != nil {
		t.Error("the result of the run that is there: ", err)
	}
}
