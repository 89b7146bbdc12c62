package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// These are faults of our own world, each on the whole journey: a real kernel under a real QEMU, to which something is done.
// Whatever it is, the boot ends in time, with an infrastructure error of one line or with the right verdict, QEMU is gone,
// and the artifacts stay.

// patience is how long a boot may take to end after its world broke: 20 s for a QEMU that does not start, 10 s for a QMP
// command, 5 s for a packet of the stub, the second that ending QEMU may take; the rest is for a loaded host.
const patience = 25 * time.Second

// ending is how a boot ended.
type ending struct {
	result verdict.Result
	err    error
	took   time.Duration // since it was asked to begin
}

// bootIn starts a boot. The result comes when it has ended.
func bootIn(p Plan) <-chan ending {
	done := make(chan ending, 1)
	begin := time.Now()
	go func() {
		r, err := Boot(context.Background(), p, Progress{})
		done <- ending{r, err, time.Since(begin)}
	}()
	return done
}

// await takes the end of a boot, which must come.
func await(t *testing.T, p Plan, done <-chan ending) ending {
	t.Helper()
	select {
	case e := <-done:
		if pids := emulators(p.Out); len(pids) > 0 {
			t.Errorf("QEMU is left behind: %v", pids)
		}
		if _, err := os.Stat(filepath.Join(p.Out, "initrd.cpio")); err != nil {
			t.Errorf("the artifacts are gone: %v", err)
		}
		t.Logf("%s: verdict %q, class %q, error %v", e.took.Round(time.Millisecond), e.result.Verdict, e.result.Class, e.err)
		return e
	case <-time.After(patience + time.Minute):
		t.Fatal("the boot hangs")
		return ending{}
	}
}

// infrastructure wants the fault to be said: of our world, in one line.
func (e ending) infrastructure(t *testing.T) {
	t.Helper()
	if e.err == nil || blame.Of(e.err) != blame.Infrastructure || verdict.ExitFor(e.err) != verdict.ExitInfrastructure {
		t.Errorf("verdict %q, class %q, error %v; want an infrastructure error", e.result.Verdict, e.result.Class, e.err)
		return
	}
	if strings.ContainsAny(e.err.Error(), "\n\x1b") {
		t.Errorf("the error has more than one line: %q", e.err)
	}
	if e.took > patience {
		t.Errorf("it took %s", e.took)
	}
}

// right wants the seed's death, or an infrastructure error: what is not allowed is another verdict.
func (e ending) right(t *testing.T) {
	t.Helper()
	if e.err != nil {
		e.infrastructure(t)
		return
	}
	if c := e.result.Cause; e.result.Class != verdict.EarlyException || c == nil || c.Function != "__SetPageReserved" {
		t.Errorf("class %s: %s", e.result.Class, e.result.Summary)
	}
}

// endless is a boot that does not end by itself: init runs a command that sleeps.
func endless(t *testing.T) Plan {
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Run, p.Timeout = "sleep 1000", time.Minute
	return p
}

// seed is a boot that ends in an early exception after about 0.3 s.
func seed(t *testing.T) Plan {
	p := plan(t, fixtures.Find(t, fixtures.Seed61))
	p.Timeout = time.Minute
	return p
}

// moments are n moments within the first d of a QEMU's life, the same in each run of the test.
func moments(n int, d time.Duration) []time.Duration {
	random := rand.New(rand.NewPCG(61, 612))
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(random.Int64N(int64(d))).Round(time.Millisecond)
	}
	return all
}

// sideBySide runs tests that mostly wait, many at once.
func sideBySide(t *testing.T, tests map[string]func(t *testing.T)) {
	var all sync.WaitGroup
	turn := make(chan struct{}, 8)
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		all.Go(func() {
			turn <- struct{}{}
			t.Run(name, tests[name])
			<-turn
		})
	}
	all.Wait()
}

// TestQEMUIsKilled at any moment of a boot: while it starts, while the guest runs.
func TestQEMUIsKilled(t *testing.T) {
	t.Parallel()
	for _, after := range moments(8, 1500*time.Millisecond) {
		t.Run(after.String(), func(t *testing.T) {
			p := endless(t)
			done := bootIn(p)
			pid := emulator(t, p.Out)
			time.Sleep(after)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			e := await(t, p, done)
			e.infrastructure(t)
			if e.err != nil && !strings.Contains(e.err.Error(), "killed") {
				t.Errorf("error %v does not say that QEMU was killed", e.err)
			}
		})
	}
}

// TestQEMUIsKilledAroundADeath: the same where a verdict is near. It is the right one or none.
func TestQEMUIsKilledAroundADeath(t *testing.T) {
	t.Parallel()
	for _, after := range moments(12, 450*time.Millisecond) {
		t.Run(after.String(), func(t *testing.T) {
			p := seed(t)
			done := bootIn(p)
			pid := emulator(t, p.Out)
			time.Sleep(after)
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			await(t, p, done).right(t)
		})
	}
}

// TestQEMUIsStopped: QMP and the stub are silent, and the guest stands still.
func TestQEMUIsStopped(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T){}
	for _, after := range moments(2, time.Second) {
		tests["for good, after "+after.String()] = func(t *testing.T) {
			p := endless(t)
			done := bootIn(p)
			pid := emulator(t, p.Out)
			time.Sleep(after)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			await(t, p, done).infrastructure(t)
		}
	}
	for _, after := range moments(4, 450*time.Millisecond) {
		tests["around a death, after "+after.String()] = func(t *testing.T) {
			p := seed(t)
			done := bootIn(p)
			pid := emulator(t, p.Out)
			time.Sleep(after)
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			await(t, p, done).right(t)
		}
	}
	tests["for 3 s"] = func(t *testing.T) {
		p := seed(t)
		done := bootIn(p)
		pid := emulator(t, p.Out)
		time.Sleep(100 * time.Millisecond)
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		e := await(t, p, done)
		if e.err != nil {
			t.Errorf("a pause of QEMU is taken for its end: %v", e.err)
		}
		e.right(t)
	}
	sideBySide(t, tests)
}

// TestQEMUIsStoppedInTheAutopsy: the machine stands at a death, and its stub falls silent as it is asked for registers.
func TestQEMUIsStoppedInTheAutopsy(t *testing.T) {
	t.Parallel()
	p := seed(t)
	var once sync.Once
	begin := time.Now()
	r, err := Boot(context.Background(), p, Progress{Stage: func(stage, _ string) {
		if stage == "caught" {
			once.Do(func() { _ = syscall.Kill(emulators(p.Out)[0], syscall.SIGSTOP) })
		}
	}})
	ending{r, err, time.Since(begin)}.infrastructure(t)
	if left := emulators(p.Out); len(left) > 0 {
		t.Errorf("QEMU is left behind: %v", left)
	}
}

// TestConnectionsBreak: QMP and the stub close, fall silent or speak nonsense, while the guest runs and around a death.
func TestConnectionsBreak(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T){}
	for _, line := range []string{"q", "g"} {
		for _, fault := range []string{"close", "silent", "noise", "ACKT99thread:zz;", "ACKE99", "ACK", "ACKT05thread:p01.01;", "ACKW00"} {
			if line == "q" && strings.HasPrefix(fault, "ACK") {
				continue
			}
			// 0: with the first word; 150 ms: amid the seed's boot; 700 ms: the guest runs.
			for _, after := range []string{"0s", "150ms", "700ms"} {
				tests[line+" "+fault+" "+after] = func(t *testing.T) {
					if after != "700ms" {
						p := seed(t)
						p.QEMU = strained(t, line+" "+fault+" "+after)
						await(t, p, bootIn(p)).right(t)
						return
					}
					p := endless(t)
					p.QEMU = strained(t, line+" "+fault+" "+after)
					p.Timeout = 3 * time.Second // while the guest runs the stub is asked nothing, and it shows then
					await(t, p, bootIn(p)).infrastructure(t)
				}
			}
		}
	}
	sideBySide(t, tests)
}

// TestRAMIsTruncated: the file under our mapping is cut short. Reading it is a SIGBUS, for QEMU too.
func TestRAMIsTruncated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		size  int64
		after time.Duration
	}{{0, 150 * time.Millisecond}, {0, time.Second}, {16 << 20, 100 * time.Millisecond}, {16 << 20, time.Second}} {
		t.Run(fmt.Sprintf("to %d after %s", tc.size, tc.after), func(t *testing.T) {
			p := endless(t)
			done := bootIn(p)
			pid := emulator(t, p.Out)
			time.Sleep(tc.after)
			if err := os.Truncate(fmt.Sprintf("/proc/%d/fd/3", pid), tc.size); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			await(t, p, done).infrastructure(t)
		})
	}
}

// TestSerialFlood: 100 MB on the serial line, while init runs a command and while the seed dies. The console's log has its
// first 64 MiB, and memory stays bounded.
func TestSerialFlood(t *testing.T) {
	t.Parallel()
	t.Run("amid a death", func(t *testing.T) {
		p := seed(t)
		p.QEMU = strained(t, "s flood 0s")
		e := await(t, p, bootIn(p))
		if e.err != nil {
			t.Error(e.err)
		}
		e.right(t)
	})
	t.Run("with init", func(t *testing.T) {
		p := endless(t)
		p.Run, p.QEMU = "sleep 3", strained(t, "s flood 500ms")
		e := await(t, p, bootIn(p))
		if e.err != nil || e.result.Verdict != verdict.Good {
			t.Errorf("verdict %s, %s, %v", e.result.Verdict, e.result.Summary, e.err)
		}
		if st, err := os.Stat(filepath.Join(p.Out, "console.log")); err != nil || st.Size() != 64<<20 {
			t.Errorf("console.log %v, %v", st, err)
		}
		if text, _ := os.ReadFile(filepath.Join(p.Out, "report.txt")); !strings.Contains(string(text), "console.log has the first 64 MiB") {
			t.Errorf("the report does not say that the console's log is cut:\n%s", text)
		}
	})
}
