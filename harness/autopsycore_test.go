package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/gdb/core"
	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// TestAutopsyOfOurs: a core gives what the boot that left it gave: at an early death, of an oops on two vCPUs, of a panic, and of a
// reset, which shows in no memory.
func TestAutopsyOfOurs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fixture, append string
		cpus            int
	}{
		{fixtures.Seed61, "", 1}, {fixtures.Faults61, "kcatch_fault=late-null-write", 2}, {fixtures.Faults61, "kcatch_fault=late-panic", 1},
		{fixtures.Faults61, "kcatch_fault=late-triple", 1},
	} {
		t.Run(tc.fixture+" "+tc.append, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, tc.fixture))
			p.Append, p.CPUs, p.Values = tc.append, tc.cpus, autopsy.ValueOptions{Args: true, Locals: true}
			live := boots(t, p)
			got := examineCore(t, live.Artifacts.VMCore, p.Vmlinux)
			sameDeath(t, got, &live)
			if got.Summary != live.Summary {
				t.Errorf("summary %q, want %q", got.Summary, live.Summary)
			}
			sameJSON(t, got.Log, live.Log)
			sameJSON(t, got.CPUs, live.CPUs)
			sameJSON(t, got.Cause, live.Cause)
			if live.Class == verdict.Panic {
				heldAtPanic(t, live.Artifacts.VMCore, p.Vmlinux, got)
			}
			if tc.append == "" {
				badVmlinux(t, live.Artifacts.VMCore, fixtures.Find(t, fixtures.Good61).Vmlinux)
			}
		})
	}
}

// TestAlive: what runs, or ends by request, is no death in somebody else's core.
func TestAlive(t *testing.T) {
	for _, tc := range []struct {
		class         verdict.Class
		summary, want string
	}{
		{verdict.Hang, "idle: task 1 (init) waits in do_nanosleep", "no death in the core: vCPU 1 halted"},
		{verdict.Shutdown, "the guest was shutting down, asked by __do_sys_reboot()", "no death in the core: the guest was shutting down, asked by __do_sys_reboot()"},
		{verdict.Reset, "the guest reset, asked by f()", "no death in the core: the guest reset, asked by f()"},
		{verdict.Oops, "#PF in f()", ""},
	} {
		r := verdict.Result{Verdict: verdict.Bad, Class: tc.class, Summary: tc.summary, Blame: "kernel", Cause: &verdict.Cause{}, CPUs: []verdict.CPU{{CPU: 1, State: "halted"}}}
		before := r
		alive(&r)
		if tc.want == "" {
			if r.Verdict != verdict.Bad || r.Summary != before.Summary || r.Cause == nil {
				t.Errorf("%s became %q, %q", tc.class, r.Verdict, r.Summary)
			}
			continue
		}
		if r.Verdict != verdict.Skip || r.Class != "" || r.Summary != tc.want || len(r.Notes) != 1 || r.Cause != nil {
			t.Errorf("%s: %q, class %q, %q, notes %q; want %q", tc.class, r.Verdict, r.Class, r.Summary, r.Notes, tc.want)
		}
	}
}

// heldAtPanic: a core of the entry of panic() without the log that came after it has the text by panic()'s arguments, and says so.
func heldAtPanic(t *testing.T, path, vmlinux string, whole *verdict.Result) {
	t.Helper()
	c, err := core.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	state := readState(c.State)
	c.Close()
	if state == nil || len(state.Later) == 0 {
		t.Fatalf("no later log in the core: %+v", state)
	}
	state.Later = nil
	if err := core.SetState(path, state.note()); err != nil {
		t.Fatal(err)
	}
	got := examineCore(t, path, vmlinux)
	if got.Summary != whole.Summary || !strings.Contains(strings.Join(got.Notes, "\n"), "from panic()'s arguments") || strings.Contains(strings.Join(whole.Notes, "\n"), "from panic()'s arguments") {
		t.Errorf("summary %q, want %q; notes %q", got.Summary, whole.Summary, got.Notes)
	}
}

// badVmlinux: a vmlinux of another build is refused by name, in one line.
func badVmlinux(t *testing.T, path, other string) {
	t.Helper()
	_, err := Autopsy(context.Background(), CoreRequest{Core: path, Vmlinux: other})
	if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "not the vmlinux of "+path+": build-id ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("vmlinux of another build: %v", err)
	}
}

func examineCore(t *testing.T, path, vmlinux string) *verdict.Result {
	t.Helper()
	r, err := Autopsy(context.Background(), CoreRequest{Core: path, Vmlinux: vmlinux, Values: autopsy.ValueOptions{Args: true, Locals: true}})
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

// sameDeath: class, stage, signature, the cause, and the functions and lines of the chain that shows it.
func sameDeath(t *testing.T, got, want *verdict.Result) {
	t.Helper()
	if got.Verdict != want.Verdict || got.Class != want.Class || got.Stage != want.Stage || got.StageCall != want.StageCall || got.Signature != want.Signature {
		t.Errorf("%s %s in %s (%s), signature %q; want %s %s in %s (%s), %q", got.Verdict, got.Class, got.Stage, got.StageCall, got.Signature,
			want.Verdict, want.Class, want.Stage, want.StageCall, want.Signature)
	}
	if (got.Cause == nil) != (want.Cause == nil) {
		t.Fatalf("cause %v, want %v: %s", got.Cause, want.Cause, got.Summary)
	}
	if want.Cause != nil && (got.Cause.Function != want.Cause.Function || got.Cause.Line != want.Cause.Line || got.Cause.Address != want.Cause.Address) {
		t.Errorf("cause %s:%d at %s, want %s:%d at %s", got.Cause.Function, got.Cause.Line, got.Cause.Address, want.Cause.Function, want.Cause.Line, want.Cause.Address)
	}
	if g, w := outward(got), outward(want); g != w {
		t.Errorf("chain:\n%swant:\n%s", g, w)
	}
}

// outward is the chain from the cause outward.
func outward(r *verdict.Result) string {
	if len(r.CPUs) == 0 {
		return ""
	}
	frames := r.CPUs[dead(*r)].Frames
	for i := range frames {
		if frames[i].Cause {
			frames = frames[i:]
			break
		}
	}
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "%s %s:%d %t\n", f.Function, f.File, f.Line, f.Inline)
	}
	return b.String()
}

// sameJSON compares two values as the result shows them, and tells the first line that differs.
func sameJSON(t *testing.T, got, want any) {
	t.Helper()
	lines := func(v any) []string {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(b), "\n")
	}
	g, w := lines(got), lines(want)
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("line %d: %s\nwant %s\nafter %s", i, g[i], w[i], strings.Join(w[max(0, i-8):i], "\n"))
			return
		}
	}
	if len(g) != len(w) {
		t.Errorf("%d lines, want %d", len(g), len(w))
	}
}

// TestAutopsyOfQEMUs: dump-guest-memory of a machine that stands at its end, with paging and without, is the same death as the boot's,
// on two vCPUs too. Of an early exception the vector is a guess there; of an oops the stack is gone, and the kernel's own log has it; and
// what runs is not taken for a death.
func TestAutopsyOfQEMUs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fixture, append string
		cpus            int
	}{
		{fixtures.Seed61, "", 1}, {fixtures.Faults61, "kcatch_fault=late-null-write", 2}, {fixtures.Faults61, "kcatch_fault=late-panic", 2}, {fixtures.Good61, "", 1},
	} {
		t.Run(tc.fixture+" "+tc.append, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, tc.fixture))
			p.Append, p.CPUs = tc.append, tc.cpus
			ctx := context.Background()
			b := &boot{plan: p}
			defer b.close()
			for _, step := range []func() error{b.openArtifacts, func() error { return b.initramfs(ctx) }, func() error { return b.start(ctx) }} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			stop, err := b.watch(ctx)
			if err != nil {
				t.Fatal(err)
			}
			paths := map[bool]string{}
			for _, paging := range []bool{false, true} {
				paths[paging] = filepath.Join(t.TempDir(), "qemu.core")
				if err := b.machine.Execute(ctx, "dump-guest-memory", map[string]any{"paging": paging, "protocol": "file:" + paths[paging]}, nil); err != nil {
					t.Fatal(err)
				}
			}
			live, err := b.examine(ctx, stop)
			if err != nil {
				t.Fatal(err)
			}
			for paging, path := range paths {
				got := examineCore(t, path, p.Vmlinux)
				if tc.fixture == fixtures.Good61 {
					if got.Verdict != verdict.Skip || !strings.HasPrefix(got.Summary, "no death in the core: vCPU 0 ") || len(got.Log) == 0 || got.Class != "" {
						t.Errorf("paging %t: %s %s: %s, %d records", paging, got.Verdict, got.Class, got.Summary, len(got.Log))
					}
					continue
				}
				sameDeath(t, got, &live)
				if len(got.CPUs) != tc.cpus || got.Kernel.KASLRSlide != live.Kernel.KASLRSlide || live.Kernel.KASLRSlide == 0 {
					t.Errorf("paging %t: %d vCPUs, slide %s, want %s", paging, len(got.CPUs), got.Kernel.KASLRSlide, live.Kernel.KASLRSlide)
				}
				if tc.append == "" && (got.Cause.Exception == nil || got.Cause.Exception.Vector != 6 || !got.Cause.Exception.Guessed) {
					t.Errorf("paging %t: exception %+v", paging, got.Cause.Exception)
				}
			}
		})
	}
}

// atOopsEnd writes a core as kdump would, when the kernel is where it would go to kdump: oops_end(flags, regs, signr), whose
// crash_kexec(regs) saves regs. Low memory has the holes of an e820 map.
type atOopsEnd struct {
	t        *testing.T
	ram      string
	path     string
	segments []core.Range
	kernel   *kernel.Kernel
}

func (o *atOopsEnd) Places(k *kernel.Kernel) ([]Place, error) {
	s, ok := k.Symbol("oops_end")
	if !ok {
		o.t.Fatal("no oops_end")
	}
	o.kernel = k
	return []Place{{Links: []vmlinux.Addr{s.Addr}, Passed: o.passed}}, nil
}

func (o *atOopsEnd) Over(*autopsy.Scene) []autopsy.Chain { return nil }

func (o *atOopsEnd) passed(s *autopsy.Scene, h watch.Hit) (watch.Enough, error) {
	regs, err := linux.ReadPtRegs(guest.NewSpace(s.RAM, h.Regs), h.Regs.RSI)
	if err != nil {
		return watch.EnoughOfIt, err
	}
	f, err := os.Create(o.ram)
	if err != nil {
		return watch.EnoughOfIt, err
	}
	defer f.Close()
	size := s.RAM.Layout().Size()
	if err := f.Truncate(int64(size)); err != nil {
		return watch.EnoughOfIt, err
	}
	for _, r := range o.segments {
		if _, err := io.Copy(io.NewOffsetWriter(f, int64(r.Start)), io.NewSectionReader(physicalReader{s.RAM}, int64(r.Start), int64(r.Size))); err != nil {
			return watch.EnoughOfIt, err
		}
	}
	return watch.EnoughOfIt, core.Write(o.path, core.Machine{RAM: f, Ranges: o.segments, CPUs: []amd64.Registers{regs.Registers}, Info: core.Info(o.kernel, *s.Placement, false)})
}

type physicalReader struct{ ram guest.Physical }

func (p physicalReader) ReadAt(b []byte, at int64) (int, error) {
	return p.ram.ReadPhysical(b, uint64(at))
}

// TestAutopsyOfKdumps: registers of the exception itself, no control registers, memory in pieces.
func TestAutopsyOfKdumps(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Faults61))
	p.Append = "kcatch_fault=thread-null-write"
	dir := t.TempDir()
	o := &atOopsEnd{t: t, ram: filepath.Join(dir, "ram"), path: filepath.Join(dir, "vmcore"),
		segments: []core.Range{{Start: 0x1000, Size: 0x9e000, Offset: 0x1000}, {Start: 0x100000, Size: 256<<20 - 0x100000 - 0x20000, Offset: 0x100000}}}
	p.Observer = o
	live := boots(t, p)
	got := examineCore(t, o.path, p.Vmlinux)
	sameDeath(t, got, &live)
	if g, w := got.Cause.Exception, live.Cause.Exception; g == nil || g.Vector != w.Vector || g.CR2 != w.CR2 || g.ErrorCode != w.ErrorCode {
		t.Errorf("exception %+v, want %+v", g, w)
	}
	badVmlinux(t, o.path, fixtures.Find(t, fixtures.Good61).Vmlinux)
}
