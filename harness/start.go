package harness

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kcatch/gdb/guest"
	"kcatch/gdb/rsp"
	"kcatch/harness/machine"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
)

// console is the beginning of the guest's command line; what our init needs and the plan's own end follow, and nothing
// else is added, but for what Plan.Timeline asks for.
const console = "console=ttyS0"

// commandLine is the guest's command line. Later words win in the kernel, so the plan's own come last.
func commandLine(plan Plan) string {
	line := console
	if plan.Timeline {
		line += " " + initcallDebug
	}
	return strings.TrimSpace(line + " " + plan.Append)
}

// spec is the machine of the plan.
func (b *boot) spec() machine.Spec {
	kernel := b.plan.Kernel
	if kernel == "" {
		kernel = b.plan.Vmlinux // by PVH
	}
	spec := machine.Spec{
		QEMU: b.plan.QEMU, Machine: b.plan.Machine, Memory: b.plan.Memory, CPUs: b.plan.CPUs, CPUModel: b.plan.CPU, Accel: b.accel,
		Kernel: kernel, Initrd: b.initrd, Append: commandLine(b.plan), Extra: b.plan.QEMUArg,
	}
	if b.exact != nil {
		spec.Icount = b.exact.icount
	}
	spec.Recording = b.recording()
	return spec
}

// startMachine starts QEMU, connects to its stub, and maps its RAM.
func (b *boot) startMachine(ctx context.Context) error {
	chooser, err := b.chooser()
	if err != nil {
		return err
	}
	choice, err := chooser.Choose(ctx, machine.Accel(b.plan.Accel))
	if err != nil {
		return err
	}
	if machine.Accel(b.plan.Accel) != machine.KVM && choice.Accel == machine.KVM && untilSymbol(b.plan) && b.mayMove() {
		choice = machine.Choice{Accel: machine.TCG, Reason: "--until " + b.plan.Until + ": using TCG, since " + tooFew}
	}
	if machine.Accel(b.plan.Accel) == machine.Auto && choice.Accel != machine.KVM {
		b.progress.say(choice.Reason)
	}
	b.accel = choice.Accel
	if err := b.canReverse(ctx); err != nil {
		return err
	}
	b.progress.stage("boot", b.machineNote())
	spec := b.spec()
	spec.IntLog = b.exceptionLog()
	if b.machine, err = machine.Start(ctx, spec, machine.Options{ConsoleLog: b.artifacts.path("console.log")}); err != nil {
		return err
	}
	b.stub = rsp.New(b.machine.GDBConn(), rsp.Options{KVM: b.accel == machine.KVM})
	if err := b.stub.Handshake(ctx); err != nil {
		return unheard("start", err)
	}
	if b.ram, err = guest.OpenRAM(b.machine.RAMPath(), guest.LayoutFor(b.plan.Machine, b.plan.Memory)); err != nil {
		return &blame.Error{Kind: blame.Infrastructure, Msg: err.Error(), Err: err}
	}
	return nil
}

// accelerators decides on the accelerator. It is a machine.Chooser, but where a test has a KVM of its own.
type accelerators interface {
	Choose(ctx context.Context, want machine.Accel) (machine.Choice, error)
	Distrust(trouble string)
}

func (b *boot) chooser() (accelerators, error) {
	if b.chosenBy != nil {
		return b.chosenBy, nil
	}
	cache, err := b.cacheDir()
	c := machine.Chooser{QEMU: b.plan.QEMU, Cache: cache}
	if machine.Accel(b.plan.Accel) != machine.KVM { // where a model that there is not is the user's mistake
		c.CPUModel = cmp.Or(cpuModel(b.plan.QEMUArg), b.plan.CPU)
	}
	return c, err
}

// cpuModel is the user's own -cpu among QEMU's arguments; the last one wins. Empty: none.
func cpuModel(args []string) (model string) {
	for i, a := range args {
		if (a == "-cpu" || a == "--cpu") && i+1 < len(args) {
			model = args[i+1]
		}
	}
	return model
}

// cacheDir is the plan's cache directory, or the user's.
func (b *boot) cacheDir() (string, error) {
	if b.plan.Cache != "" {
		return b.plan.Cache, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: "cache: " + err.Error(), Hint: "set XDG_CACHE_HOME or HOME", Err: err}
	}
	return filepath.Join(user, "kcatch"), nil
}

// machineNote describes the machine in a few words: "q35, 256M, 1 vCPU, tcg".
func (b *boot) machineNote() string {
	vcpus := fmt.Sprintf("%d vCPUs", b.plan.CPUs)
	if b.plan.CPUs == 1 {
		vcpus = "1 vCPU"
	}
	if b.plan.CPU != "" {
		vcpus += " (" + b.plan.CPU + ")"
	}
	return fmt.Sprintf("%s, %dM, %s, %s", b.plan.Machine, b.plan.Memory>>20, vcpus, b.accel)
}

// rerunScript is a shell script that boots the same machine by hand: the serial line on the terminal, a GDB stub on a
// socket beside the script. gdb knows nothing of KASLR's slide, which is another one each time: "nokaslr" as the first
// argument turns it off. More arguments are QEMU's.
func (b *boot) rerunScript() string {
	spec := b.spec()
	if filepath.Dir(spec.Initrd) == b.artifacts.dir {
		spec.Initrd = filepath.Base(spec.Initrd) // the script may be moved with its directory
	}
	spec.Recording = nil // another run is not that one
	append := spec.Append
	spec.Append = ""
	return fmt.Sprintf(`#!/bin/sh
# Boots the same machine again; the serial line is on the terminal, Ctrl-A x ends it. A reset or power-off pauses it.
# Usage: qemu.sh [nokaslr] [QEMU ARGUMENT ...]      -S waits for gdb before the first instruction
cd "$(dirname "$0")" || exit
append=%s
if [ "$1" = nokaslr ]; then append="$append nokaslr"; shift; fi
exec %s \
	-append "$append" -action reboot=shutdown,shutdown=pause \
	-chardev socket,id=gdb0,path=gdb.sock,server=on,wait=off -gdb chardev:gdb0 "$@"
`, shell.Word(append), spec.ShellCommand())
}

// DryRun is the QEMU command line of the plan, as a person would type it. Of a kernel that is yet to be built it names
// the place.
func DryRun(plan Plan) (string, error) {
	b := &boot{plan: plan.whole(), accel: machine.TCG, initrd: plan.Initrd}
	if plan.Accel == string(machine.KVM) {
		b.accel = machine.KVM
	}
	switch plan.Initrd {
	case "none":
		b.initrd = ""
	case "":
		b.initrd = "INITRAMFS"
	}
	if plan.Build != nil {
		b.plan.Kernel = "BZIMAGE"
	}
	if _, err := images.FindBusybox(); err != nil && plan.Initrd == "" {
		return "", err
	}
	return b.spec().ShellCommand(), b.spec().Validate()
}

// checkMachine looks at the part of the plan that is the machine, before anything is started.
func checkMachine(plan Plan) error {
	if plan.Initrd == "" {
		if _, err := images.FindBusybox(); err != nil {
			return err
		}
	}
	if plan.Initrd != "" && plan.Initrd != "none" {
		if st, err := os.Stat(plan.Initrd); err == nil && st.Size() == 0 {
			return blame.New(blame.Usage, "--initrd: "+plan.Initrd+": is empty", "leave it out for kcatch's own, or give none")
		}
	}
	b := &boot{plan: plan, accel: machine.TCG}
	return b.spec().Validate()
}
