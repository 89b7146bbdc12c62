package machine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// The probe must be able to succeed: TCG always can.
func TestTestGuestRuns(t *testing.T) {
	needQEMU(t)
	begin := time.Now()
	trouble, err := runTestGuest(t.Context(), "qemu-system-x86_64", "tcg", DefaultCPU(TCG), time.Minute)
	if trouble != "" || err != nil {
		t.Errorf("trouble %q, %v", trouble, err)
	}
	t.Logf("ran in %s", time.Since(begin))
}

// The outside oracle is binutils.
func TestTestGuestIsAssembled(t *testing.T) {
	_, err := exec.LookPath("as")
	fixtures.Need(t, err == nil, "as", "apt-get install binutils")
	object, image := filepath.Join(t.TempDir(), "probe.o"), filepath.Join(t.TempDir(), "probe.bin")
	for _, c := range [][]string{{"as", "--64", "-o", object, "testdata/probe.S"}, {"objcopy", "-O", "binary", "-j", ".text", object, image}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
	want, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if got := testGuest(); !bytes.Equal(got, want) {
		t.Errorf("guest.go is not testdata/probe.S:\n%x\n%x", got, want)
	}
}

func TestChoose(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	qemu := func(text string) string { return script(t, "echo run >>"+count+"\n"+text) }
	aborts := `echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69" >&2; exit 134`
	for _, c := range []struct {
		name   string
		qemu   string
		device string
		want   Accel
		got    Accel
		reason string
		runs   int // of QEMU, for two questions
	}{
		{"works", qemu("exit 85"), "/dev/null", Auto, KVM, "KVM: a test guest ran", 1},
		{"works, as asked", qemu("exit 85"), "/dev/null", KVM, KVM, "KVM: a test guest ran", 1},
		{"tcg", qemu("exit 85"), "/dev/null", TCG, TCG, "as asked", 0},
		{"no device", qemu("exit 85"), "/nonexistent", Auto, TCG, "KVM: /nonexistent does not exist; using TCG", 0},
		{"hangs", qemu("exec sleep 60"), "/dev/null", Auto, TCG, "KVM: /dev/null opens, but a test guest did not run in 200ms; using TCG", 1},
		{"aborts", qemu(aborts), "/dev/null", Auto, TCG, "KVM: /dev/null opens, but a test guest did not start: qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69; using TCG", 1},
		{"ends", qemu("exit 0"), "/dev/null", Auto, TCG, "KVM: /dev/null opens, but a test guest did not run: qemu ended with exit status 0; using TCG", 1},
		{"aborts, as asked", qemu(aborts), "/dev/null", KVM, "", "accelerator: KVM: /dev/null opens, but a test guest did not start", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			_ = os.Remove(count)
			chooser := Chooser{QEMU: c.qemu, Cache: filepath.Join(t.TempDir(), "cache"), Device: c.device, Deadline: 200 * time.Millisecond}
			if strings.HasPrefix(c.name, "works") || strings.HasPrefix(c.name, "aborts") || c.name == "ends" {
				chooser.Deadline = time.Minute // what ends by itself is not judged by time
			}
			for range 2 {
				got, err := chooser.Choose(t.Context(), c.want)
				if c.got == "" {
					if blame.Of(err) != blame.Infrastructure || blame.Hint(err) == "" || !strings.HasPrefix(err.Error(), c.reason) {
						t.Errorf("error %v, hint %q", err, blame.Hint(err))
					}
					continue
				}
				reason := strings.Replace(c.reason, "start: qemu-system-x86_64: ", "start: ", 1)
				if err != nil || got.Accel != c.got || got.Reason != reason {
					t.Errorf("got %+v, %v; want %s, %q", got, err, c.got, reason)
				}
			}
			runs, _ := os.ReadFile(count)
			n := bytes.Count(runs, []byte("\n"))
			if c.name == "hangs" {
				n = min(1, n+1) // on a busy host it may be killed before it counts
			}
			if n != c.runs {
				t.Errorf("QEMU ran %d times, want %d", n, c.runs)
			}
		})
	}
}

// What this host has, whatever it is, must be a clear answer, soon.
func TestChooseOnThisHost(t *testing.T) {
	needQEMU(t)
	begin := time.Now()
	got, err := Chooser{}.Choose(t.Context(), Auto)
	if err != nil || got.Accel != TCG && got.Accel != KVM || got.Reason == "" || strings.Contains(got.Reason, "\n") {
		t.Errorf("%+v, %v", got, err)
	}
	t.Logf("%s: %s (%s)", got.Accel, got.Reason, time.Since(begin))
	if _, err := (Chooser{}).Choose(t.Context(), "xen"); blame.Of(err) != blame.Usage {
		t.Errorf("xen: %v", err)
	}
}

func TestForgetsWhatIsNoAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kvm.json")
	for _, text := range []string{"", "null", "{", strings.Repeat(" ", 5000) + "{}"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, known := recall(path); known {
			t.Errorf("took %q for an answer", clip(text))
		}
	}
	remember(path, "it hangs")
	if trouble, known := recall(path); !known || trouble != "it hangs" {
		t.Errorf("recalled %q, %v", trouble, known)
	}
}
