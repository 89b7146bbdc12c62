package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kcatch/internal/blame"
)

// TestMain lets a test run this binary as a harness of its own, to be killed: with KCATCH_TEST_OWNER it starts a machine,
// prints QEMU's process id, and waits. With KCATCH_TEST_STUB it is QEMU, see [fakeStub].
func TestMain(m *testing.M) {
	if base := os.Getenv("KCATCH_TEST_OWNER"); base != "" {
		machine, err := Start(context.Background(), Spec{Memory: 16 * mib}, Options{Base: base})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(machine.PID())
		select {}
	}
	if fault, ok := strings.CutPrefix(os.Getenv("KCATCH_TEST_STUB"), "x"); ok {
		os.Exit(playStub(fault, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A harness that is killed takes QEMU with it; what it leaves on the disk goes with the next start.
func TestKilledOwner(t *testing.T) {
	needQEMU(t)
	base := shortDir(t)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), "KCATCH_TEST_OWNER="+base)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 200)
	n, _ := out.Read(buf)
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		t.Fatalf("owner says %q", buf[:n])
	}
	_ = owner.Process.Kill()
	_ = owner.Wait()
	waitGone(t, pid)
	if left, _ := os.ReadDir(base); len(left) != 1 {
		t.Fatalf("run directories of the killed: %v", left)
	}
	m, err := Start(t.Context(), Spec{Memory: 16 * mib}, Options{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(base); len(left) != 1 || left[0].Name() != filepath.Base(m.dir.path) {
		t.Errorf("not swept: %v", left)
	}
	closeAll(t, m, base)
}

// waitGone waits until a process has ended; one that nobody waits for (a zombie) has.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for range 1000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Fatalf("QEMU (process %d) outlives its owner", pid)
}

func TestCloseEndsWhatDoesNotListen(t *testing.T) {
	base := shortDir(t)
	needQEMU(t)
	m, err := Start(t.Context(), Spec{Memory: 16 * mib}, Options{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(m.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	closeAll(t, m, base)
	t.Logf("closed in %s", time.Since(begin))
	if _, ok := <-m.Events(); ok {
		for range m.Events() {
		}
	}
	if err := m.Execute(t.Context(), "query-status", nil, nil); err == nil {
		t.Error("a command after Close")
	}
}

func TestQEMUDiesUnderUs(t *testing.T) {
	m := start(t, Spec{Memory: 16 * mib})
	if m.ExitError() != nil {
		t.Error("exit error while it runs")
	}
	if err := syscall.Kill(m.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-m.Exited()
	err := m.ExitError()
	if blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("exit error %v", err)
	}
	if err := m.Console().Wait(t.Context(), "x"); err == nil {
		t.Error("console goes on")
	}
}

func TestQuit(t *testing.T) {
	m := start(t, Spec{Memory: 16 * mib})
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.Quit(t.Context()); err != nil {
		t.Error(err)
	}
	<-m.Exited()
}

// script is a QEMU that does as told. It gets QEMU's arguments.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-fake")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartIsCancelled(t *testing.T) {
	silent := script(t, "exec sleep 60\n")
	for _, c := range []struct {
		name   string
		cancel func(context.Context) (context.Context, context.CancelFunc)
		opts   Options
		kind   blame.Kind
		want   error
	}{
		{"by the caller", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}, Options{}, blame.Interrupted, context.Canceled},
		{"before it begins", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, Options{}, blame.Interrupted, context.Canceled},
		{"by time", context.WithCancel, Options{Timeout: 50 * time.Millisecond}, blame.Infrastructure, context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.Base = shortDir(t)
			ctx, cancel := c.cancel(t.Context())
			defer cancel()
			_, err := Start(ctx, Spec{QEMU: silent}, c.opts)
			if !errors.Is(err, c.want) || blame.Of(err) != c.kind {
				t.Errorf("error %v of kind %v", err, blame.Of(err))
			}
			nothingLeft(t, c.opts.Base)
		})
	}
}

func TestOldQEMU(t *testing.T) {
	old := script(t, `echo "qemu-system-x86_64: -action: invalid option" >&2; exit 1`)
	_, err := Start(t.Context(), Spec{QEMU: old}, Options{Base: shortDir(t)})
	if blame.Of(err) != blame.Infrastructure || blame.Hint(err) != installHint {
		t.Errorf("%v, hint %q", err, blame.Hint(err))
	}
}

func TestSweep(t *testing.T) {
	base := shortDir(t)
	alive, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := makeRunDir(base)
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as the kernel does at the owner's end
	old := time.Now().Add(-time.Hour)
	for _, d := range []string{"kc-halfmade", "kc-begun", "kc-other", "other"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "kc-other", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("other", filepath.Join(base, "kc-link")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"kc-halfmade", "kc-other", "other"} {
		if err := os.Chtimes(filepath.Join(base, d), old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweep(base, time.Now())
	for name, want := range map[string]bool{filepath.Base(alive.path): true, filepath.Base(dead.path): false,
		"kc-halfmade": false, "kc-begun": true, "kc-other": true, "other": true, "kc-link": true} {
		if _, err := os.Lstat(filepath.Join(base, name)); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", name, err == nil, want)
		}
	}
	if err := alive.remove(); err != nil {
		t.Error(err)
	}
	if _, err := makeRunDir("/" + strings.Repeat("d", maxBase)); blame.Of(err) != blame.Usage {
		t.Errorf("long base: %v", err)
	}
}

func TestCPUTime(t *testing.T) {
	for _, c := range []struct {
		stat string
		want time.Duration
	}{
		{"42 (qemu-system-x86) S 1 42 42 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 4 0 1 2 3", 1750 * time.Millisecond},
		{"42 (a) b) (c) R 1 42 42 0 -1 4194304 100 0 0 0 1 0 0 0 20 0 4 0 1 2 3", 10 * time.Millisecond},
		{"42 (a) R 1", 0},
		{"", 0},
		{"42 (a) R 1 42 42 0 -1 4194304 100 0 0 0 x 0 0 0", 0},
	} {
		if got := cpuTime(c.stat); got != c.want {
			t.Errorf("cpuTime(%q) = %s, want %s", c.stat, got, c.want)
		}
	}
}
