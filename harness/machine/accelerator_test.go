package machine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// The probe must be able to succeed: TCG always can. It is the very run that KVM must pass, breakpoints included.
func TestTestGuestRuns(t *testing.T) {
	needQEMU(t)
	begin := time.Now()
	for _, name := range []Accel{TCG, KVM} { // TCG too must bear that breakpoints are lifted for a step
		p := probe{"qemu-system-x86_64", string(TCG), DefaultCPU(TCG), time.Minute}
		if name == KVM {
			p.qemu, p.accel, p.cpu = fakeKVM(t), string(KVM), "host"
		}
		round, trouble, err := p.run(t.Context())
		if trouble != "" || err != nil || round <= 0 {
			t.Errorf("%s: round %s, trouble %q, %v", name, round, trouble, err)
		}
		t.Logf("%s: a round took %s, all %s", name, round, time.Since(begin))
	}
}

// fakeKVM is a program that runs the real QEMU under TCG when it is asked for KVM.
func fakeKVM(t *testing.T) string {
	return script(t, `for a; do shift; case $a in kvm) a=tcg;; host) a=max;; esac; set -- "$@" "$a"; done
exec qemu-system-x86_64 "$@"
`)
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
	names, err := exec.Command("nm", object).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range testGuestMarks {
		if line := fmt.Sprintf("%016x t mark%d\n", at-0x10000, i+1); !strings.Contains(string(names), line) {
			t.Errorf("nm has no line %q:\n%s", line, names)
		}
	}
}

// TestProbeFindsTheFault: what KVM must be able to do, one fault at a time.
func TestProbeFindsTheFault(t *testing.T) {
	for fault, want := range map[string]string{
		"":          "",
		"refuses 1": `a test guest failed: insert: hardware break point 0x1030f: stub: packet "Z1,1030f,1": error reply E22`,
		"refuses 4": `a test guest failed: insert: hardware break point 0x10315: stub: packet "Z1,10315,1": error reply E22`,
		"refuses 5": `a test guest failed: insert again: hardware break point 0x1030f: stub: packet "Z1,1030f,1": error reply E22`, // after a step
		"deaf 1":    "a test guest failed: it stopped at 0x10311, not at 0x1030f",
		"deaf 4":    "a test guest failed: it stopped at 0x1030f, not at 0x10315",
		"astray":    "a test guest failed: it stopped at 0x10310, not at 0x1030f",
		"stuck":     "a test guest failed: it stopped at 0x1030f, not at 0x100000",
		"keeps":     "a test guest failed: it stopped where a breakpoint was taken out (break point or step)",
		"gives up":  "a test guest failed: it stopped for another reason than its breakpoint (internal error)",
		"aborts":    "a test guest did not start: error: failed to set MSR 0x10a to 0x69",
		"early":     "a test guest did not run: qemu ended with exit status 0",
	} {
		t.Run(fault, func(t *testing.T) {
			_, trouble, err := probe{fakeStub(t, fault), "kvm", "host", time.Minute}.run(t.Context())
			if trouble != want || err != nil {
				t.Errorf("trouble %q, %v; want %q", trouble, err, want)
			}
		})
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
		{"runs through", qemu("exit 85"), "/dev/null", Auto, TCG, "KVM: /dev/null opens, but a test guest ran through its breakpoints; using TCG", 1},
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
			if c.name != "hangs" {
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

// TestChooseByAnswers: what is made of the answers of the test guest, and what is remembered.
func TestChooseByAnswers(t *testing.T) {
	const broken = "a test guest failed"
	for _, c := range []struct {
		name     string
		kvm, tcg time.Duration // of a round
		trouble  [2]string     // under KVM, under TCG
		distrust bool          // a boot went wrong between the first question and the second
		asks     []Accel
		want     []string // the reasons; errors too
		runs     string   // of the test guest
	}{
		{"works", 5, 20, [2]string{}, false, []Accel{Auto, Auto, KVM}, []string{"kvm KVM: a test guest ran", "kvm KVM: a test guest ran", "kvm KVM: a test guest ran"}, "kvm tcg "},
		{"as quick", 20, 20, [2]string{}, false, []Accel{Auto}, []string{"kvm KVM: a test guest ran"}, "kvm tcg "},
		{"slow", 400, 20, [2]string{}, false, []Accel{Auto, KVM, Auto}, []string{
			"tcg KVM: it is slower than TCG here: a test guest's work took 400ms, under TCG 20ms; using TCG",
			"kvm KVM, as asked: it is slower than TCG here: a test guest's work took 400ms, under TCG 20ms",
			"tcg KVM: it is slower than TCG here: a test guest's work took 400ms, under TCG 20ms; using TCG",
		}, "kvm tcg "},
		{"no TCG to compare with", 5, 0, [2]string{"", "invalid accelerator tcg"}, false, []Accel{Auto}, []string{"kvm KVM: a test guest ran"}, "kvm tcg "},
		{"broken", 0, 20, [2]string{broken, ""}, false, []Accel{Auto, KVM, Auto}, []string{
			"tcg KVM: /dev/null opens, but a test guest failed; using TCG", "accelerator: KVM: /dev/null opens, but a test guest failed",
			"tcg KVM: /dev/null opens, but a test guest failed; using TCG",
		}, "kvm "},
		{"broken at a boot", 5, 20, [2]string{}, true, []Accel{Auto, Auto, KVM, Auto}, []string{
			"kvm KVM: a test guest ran", "tcg KVM: it failed at a boot; using TCG", "kvm KVM: a test guest ran", "tcg KVM: it failed at a boot; using TCG",
		}, "kvm tcg kvm tcg "},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := ""
			chooser := Chooser{QEMU: "true", Cache: t.TempDir(), Device: "/dev/null"}
			chooser.run = func(_ context.Context, p probe) (time.Duration, string, error) {
				runs += p.accel + " "
				if p.accel == "kvm" {
					return c.kvm * time.Millisecond, c.trouble[0], nil
				}
				return c.tcg * time.Millisecond, c.trouble[1], nil
			}
			for i, ask := range c.asks {
				if c.distrust && i == 1 {
					chooser.Distrust("it failed at a boot")
				}
				choice, err := chooser.Choose(t.Context(), ask)
				got := fmt.Sprintf("%s %s", choice.Accel, choice.Reason)
				if err != nil {
					got = err.Error()
				}
				if got != c.want[i] {
					t.Errorf("%d: got %q, want %q", i, got, c.want[i])
				}
			}
			if runs != c.runs {
				t.Errorf("the test guest ran under %q, want %q", runs, c.runs)
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
	remember(path, answer{Trouble: "it hangs"})
	if a, known := recall(path); !known || a != (answer{Trouble: "it hangs"}) {
		t.Errorf("recalled %+v, %v", a, known)
	}
}

// TestOfKVM: the lines are QEMU's, of 7.2 to 9.2; the second half speaks of what is only called so.
func TestOfKVM(t *testing.T) {
	for line, want := range map[string]bool{
		"KVM: entry failed, hardware error 0x80000021":                                                                     true,
		"KVM internal error. Suberror: 1":                                                                                  true,
		"error: kvm run failed Bad address":                                                                                true,
		"qemu: ../target/i386/kvm/kvm.c:2892: kvm_buf_set_msrs: Assertion `ret == 1' failed.":                              true,
		"Could not access KVM kernel module: Permission denied":                                                            true,
		"qemu-system-x86_64: failed to initialize kvm: Permission denied":                                                  true,
		"qemu-system-x86_64: -accel kvm: failed to initialize kvm: Device or resource busy":                                true,
		"qemu-system-x86_64: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy":                                      true,
		"qemu-system-x86_64: kvm_init_vcpu: kvm_arch_init_vcpu failed (0): Invalid argument":                               true,
		"qemu-system-x86_64: -drive file=/srv/kvm/disk.img: Could not open '/srv/kvm/disk.img': No such file or directory": false,
		"qemu-system-x86_64: unable to find CPU model 'kvm65'":                                                             false,
		"qemu-system-x86_64: -device e1000,id=kvm_0: Device 'e1000' not found":                                             false,
		"qemu-system-x86_64: -chardev socket,path=/run/kvm_x: Failed to bind socket to /run/kvm_x: Permission denied":      false,
		"qemu-system-x86_64: warning: KVM: no such feature":                                                                false,
	} {
		err := &blame.Error{Kind: blame.Infrastructure, Msg: "qemu ended", Detail: line + "\nbye\n"}
		if got := OfKVM(err); got != want {
			t.Errorf("%s: of KVM %v, want %v", line, got, want)
		}
	}
}
