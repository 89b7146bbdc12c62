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
	"strings"
	"time"

	"kcatch/internal/blame"
)

// Accel is how vCPUs run. The zero value of a [Spec]'s field is TCG.
type Accel string

const (
	Auto Accel = "auto" // let [Choose] decide
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
// remembered.
type Chooser struct {
	// QEMU is the emulator's name or path; default qemu-system-x86_64.
	QEMU string
	// CPUModel is what the machine is going to use under KVM; default host. A host may run one and not another.
	CPUModel string
	// Cache is a directory to remember answers in, made if need be; empty: none.
	Cache string
	// Device is the KVM device; default /dev/kvm.
	Device string
	// Deadline is how long the test guest may take; default 2 s. It needs about 0.2 s.
	Deadline time.Duration
}

const (
	probeDeadline = 2 * time.Second
	// bootIDFile changes with each boot of the host (random(4)).
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// Choose resolves want to TCG or KVM. TCG is given without a look, for Auto KVM is taken if a test guest runs to its end,
// and KVM that was asked for and does not work is an infrastructure error.
func (c Chooser) Choose(ctx context.Context, want Accel) (Choice, error) {
	switch want {
	case TCG:
		return Choice{TCG, "as asked"}, nil
	case Auto, KVM, "":
	default:
		return Choice{}, blame.New(blame.Usage, fmt.Sprintf("accelerator %q: want auto, tcg or kvm", string(want)), "")
	}
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
	path, err := findQEMU(c.QEMU)
	if err != nil {
		return Choice{}, err
	}
	trouble, err := c.kvmTrouble(ctx, path)
	switch {
	case err != nil:
		return Choice{}, err
	case trouble == "":
		return Choice{KVM, "KVM: a test guest ran"}, nil
	case want == KVM:
		return Choice{}, blame.New(blame.Infrastructure, "accelerator: KVM: "+trouble, "--accel tcg, or auto")
	}
	return Choice{TCG, "KVM: " + trouble + "; using TCG"}, nil
}

// kvmTrouble says why KVM cannot be used; empty: it can.
func (c Chooser) kvmTrouble(ctx context.Context, qemu string) (string, error) {
	f, err := os.OpenFile(c.Device, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return c.Device + " does not exist", nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return "no permission for " + c.Device + " (is the user in the group kvm?)", nil
		}
		return clean(err.Error()), nil
	}
	f.Close()
	memory := c.memory(qemu)
	if trouble, known := recall(memory); known {
		return trouble, nil
	}
	trouble, err := runTestGuest(ctx, qemu, "kvm", c.CPUModel, c.Deadline)
	if err != nil {
		return "", err
	}
	if trouble != "" {
		trouble = c.Device + " opens, but " + trouble
	}
	remember(memory, trouble)
	return trouble, nil
}

// runTestGuest lets the test guest run under an accelerator and says what went wrong; empty: it ran to its end. An error
// is one of ours, not of the accelerator.
func runTestGuest(ctx context.Context, qemu, accel, cpu string, deadline time.Duration) (string, error) {
	dir, err := os.MkdirTemp("", "kcatch-probe-")
	if err != nil {
		return "", infra("probe accelerator", err)
	}
	defer os.RemoveAll(dir)
	kernel := filepath.Join(dir, "guest")
	if err := os.WriteFile(kernel, testGuest(), 0o600); err != nil {
		return "", infra("probe accelerator", err)
	}
	p, err := startProcess(qemu, []string{qemu, "-machine", "q35", "-accel", accel, "-cpu", cpu, "-m", "32M",
		"-nodefaults", "-no-user-config", "-display", "none", "-net", "none", "-no-reboot",
		"-kernel", kernel, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"})
	if err != nil {
		return "", infra("probe accelerator: "+qemu, err)
	}
	defer p.kill()
	t := time.NewTimer(deadline)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("probe accelerator: %w", context.Cause(ctx))
	case <-t.C:
		return fmt.Sprintf("a test guest did not run in %s", deadline), nil
	case <-p.done:
	}
	if p.state.ExitCode() == testGuestExit {
		return "", nil
	}
	if line := firstComplaint(p.out.String()); line != "" {
		return "a test guest did not start: " + line, nil
	}
	return "a test guest did not run: qemu ended with " + p.state.String(), nil
}

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
	key := fmt.Sprintf("%s\n%s\n%d\n%d\n%s\n%s\n%s", strings.TrimSpace(string(boot)), qemu, info.Size(),
		info.ModTime().UnixNano(), c.CPUModel, c.Device, c.Deadline)
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.Cache, fmt.Sprintf("kvm-%x.json", sum[:8]))
}

// answer is what a memory file holds.
type answer struct {
	Trouble string `json:"trouble"`
}

func recall(path string) (trouble string, known bool) {
	if path == "" {
		return "", false
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) > 4096 {
		return "", false
	}
	var a *answer
	if json.Unmarshal(data, &a) != nil || a == nil {
		return "", false
	}
	return clean(a.Trouble), true
}

// remember writes the answer. That it may fail costs a probe next time, no more.
func remember(path, trouble string) {
	if path == "" {
		return
	}
	dir := filepath.Dir(path)
	if os.MkdirAll(dir, 0o700) != nil {
		return
	}
	data, err := json.Marshal(answer{trouble})
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
