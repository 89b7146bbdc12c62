package machine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"kcatch/internal/blame"
)

// Accel is how vCPUs run. The zero value of a [Spec]'s field is TCG.
type Accel string

const (
	Auto Accel = "auto" // let [Chooser] decide
	TCG  Accel = "tcg"  // QEMU's own translator: everywhere, and exact about breakpoints and triple faults
	KVM  Accel = "kvm"
)

func (a Accel) String() string { return string(a) }

// Choice is an accelerator and why it was taken: one line for a person.
type Choice struct {
	Accel  Accel
	Reason string
}

// Chooser decides on an accelerator. Its answers about KVM hold until the host boots again or QEMU changes, and are
// remembered. That KVM works means that a test guest ran, that breakpoints and steps in it did, and that it was no slower than
// under TCG: on hosts that are guests themselves each exit may cost half a millisecond, and a kernel that TCG boots in 0.5 s
// took 17. A probe that a busy host disturbs errs to TCG's side, where verdicts are the same.
type Chooser struct {
	// QEMU is the emulator's name or path; default qemu-system-x86_64.
	QEMU string
	// CPUModel is what the machine is going to use under KVM; default host. A host may run one and not another.
	CPUModel string
	// Cache is a directory to remember answers in, made if need be; empty: none.
	Cache string
	// Device is the KVM device; default /dev/kvm.
	Device string
	// Deadline is how long the test guest may take; default 2 s. It needs about 0.3 s.
	Deadline time.Duration

	run func(ctx context.Context, p probe) (round time.Duration, trouble string, err error) // default probe.run
}

const (
	probeDeadline = 2 * time.Second
	// probeVersion changes with what the probe asks of KVM, so that an older kcatch's answers are not taken.
	probeVersion = "2"
	// bootIDFile changes with each boot of the host (random(4)).
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// Choose resolves want to TCG or KVM. TCG is given without a look. For Auto KVM is taken if it works. KVM that was asked for is
// given also when it is slow; when it does not work that is an infrastructure error. What a boot found out ([Chooser.Distrust])
// does not count against it then: it is tried again.
func (c Chooser) Choose(ctx context.Context, want Accel) (Choice, error) {
	switch want {
	case TCG:
		return Choice{TCG, "as asked"}, nil
	case Auto, KVM, "":
	default:
		return Choice{}, blame.New(blame.Usage, fmt.Sprintf("accelerator %q: want auto, tcg or kvm", string(want)), "")
	}
	c = c.withDefaults()
	path, err := findQEMU(c.QEMU)
	if err != nil {
		return Choice{}, err
	}
	a, err := c.ask(ctx, path, want)
	switch {
	case err != nil:
		return Choice{}, err
	case a.Trouble == "":
		return Choice{KVM, "KVM: a test guest ran"}, nil
	case want == KVM && a.Slow:
		return Choice{KVM, "KVM, as asked: " + a.Trouble}, nil
	case want == KVM:
		return Choice{}, blame.New(blame.Infrastructure, "accelerator: KVM: "+a.Trouble, "--accel tcg, or auto")
	}
	return Choice{TCG, "KVM: " + a.Trouble + "; using TCG"}, nil
}

// Distrust remembers that KVM failed at a boot, whatever the test guest did: for Auto it is not taken any more. trouble says
// how, in words of one line.
func (c Chooser) Distrust(trouble string) {
	c = c.withDefaults()
	if path, err := findQEMU(c.QEMU); err == nil {
		remember(c.memory(path), answer{Trouble: clean(trouble), Boot: true})
	}
}

func (c Chooser) withDefaults() Chooser {
	if c.QEMU == "" {
		c.QEMU = "qemu-system-x86_64"
	}
	if c.CPUModel == "" {
		c.CPUModel = DefaultCPU(KVM)
	}
	if c.Device == "" {
		c.Device = "/dev/kvm"
	}
	if c.Deadline == 0 {
		c.Deadline = probeDeadline
	}
	if c.run == nil {
		c.run = func(ctx context.Context, p probe) (time.Duration, string, error) { return p.run(ctx) }
	}
	return c
}

// answer is what is known of KVM, and what a memory file holds.
type answer struct {
	Trouble string `json:"trouble"`        // why it is not taken; empty: it is
	Slow    bool   `json:"slow,omitempty"` // it works
	Boot    bool   `json:"boot,omitempty"` // a boot found the trouble, not the test guest
}

// ask says whether KVM can be used.
func (c Chooser) ask(ctx context.Context, qemu string, want Accel) (answer, error) {
	f, err := os.OpenFile(c.Device, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return answer{Trouble: c.Device + " does not exist"}, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return answer{Trouble: "no permission for " + c.Device + " (is the user in the group kvm?)"}, nil
		}
		return answer{Trouble: clean(err.Error())}, nil
	}
	f.Close()
	memory := c.memory(qemu)
	a, known := recall(memory)
	again := known && a.Boot && want == KVM
	if known && !again {
		return a, nil
	}
	if a, err = c.tryOut(ctx, qemu); err != nil {
		return answer{}, err
	}
	if !again {
		remember(memory, a)
	}
	return a, nil
}

// tryOut lets the test guest run under KVM and, if it does, under TCG.
func (c Chooser) tryOut(ctx context.Context, qemu string) (answer, error) {
	kvm, trouble, err := c.run(ctx, probe{qemu, KVM.String(), c.CPUModel, c.Deadline})
	if err != nil {
		return answer{}, err
	}
	if trouble != "" {
		return answer{Trouble: c.Device + " opens, but " + trouble}, nil
	}
	tcg, trouble, err := c.run(ctx, probe{qemu, TCG.String(), DefaultCPU(TCG), c.Deadline})
	if err != nil {
		return answer{}, err
	}
	if trouble == "" && kvm > tcg { // a QEMU without TCG has nothing better
		return answer{Slow: true, Trouble: fmt.Sprintf("it is slower than TCG here: a test guest's work took %s, under TCG %s",
			kvm.Round(100*time.Microsecond), tcg.Round(100*time.Microsecond))}, nil
	}
	return answer{}, nil
}

// OfKVM reports whether an error of [Start] or [Machine.ExitError] is QEMU's complaint of KVM: it says so in a line that is no
// warning, such as "KVM: entry failed, hardware error 0x80000021" or "kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs'
// failed.", or it cannot be used at all ("-accel kvm: ..."). A file, a device or a CPU model of that name is none.
func OfKVM(err error) bool {
	if blame.Of(err) != blame.Infrastructure {
		return false
	}
	for line := range strings.Lines(blame.Detail(err)) {
		if !strings.Contains(line, ": warning: ") && complaint.MatchString(line) {
			return true
		}
	}
	return false
}

// complaint is how QEMU speaks of KVM (accel/kvm/kvm-all.c, target/i386/kvm/kvm.c, softmmu/vl.c): at the begin of a line or of what
// follows the program, the place or "error".
var complaint = regexp.MustCompile(`(?:^|: )(?:KVM: |KVM internal error|KVM_[A-Z]|kvm_[a-z]\w*: |kvm run failed|ioctl\(KVM_|-accel kvm\b|` +
	`-machine \S*accel=kvm\b|invalid accelerator kvm|(?i:failed to initialize kvm)|Could not access KVM|kvm_[a-z]\w* failed)`)

// memory is the file that remembers an answer; empty: none. Its name holds all that the answer depends on: the boot of the
// host, the emulator's file, the CPU model.
func (c Chooser) memory(qemu string) string {
	if c.Cache == "" {
		return ""
	}
	boot, err := os.ReadFile(bootIDFile)
	if err != nil {
		return ""
	}
	info, err := os.Stat(qemu)
	if err != nil {
		return ""
	}
	key := fmt.Sprintf(probeVersion+"\n%s\n%s\n%d\n%d\n%s\n%s\n%s", strings.TrimSpace(string(boot)), qemu, info.Size(),
		info.ModTime().UnixNano(), c.CPUModel, c.Device, c.Deadline)
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.Cache, fmt.Sprintf("kvm-%x.json", sum[:8]))
}

func recall(path string) (a answer, known bool) {
	if path == "" {
		return answer{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) > 4096 {
		return answer{}, false
	}
	var p *answer
	if json.Unmarshal(data, &p) != nil || p == nil {
		return answer{}, false
	}
	p.Trouble = clean(p.Trouble)
	return *p, true
}

// remember writes the answer. That it may fail costs a probe next time, no more.
func remember(path string, a answer) {
	if path == "" {
		return
	}
	dir := filepath.Dir(path)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	data, err := json.Marshal(a)
	if err != nil {
		return
	}
	f, err := os.CreateTemp(dir, "kvm-*.new")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err != nil || cerr != nil || os.Rename(f.Name(), path) != nil {
		_ = os.Remove(f.Name())
	}
}
