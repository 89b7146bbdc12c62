package doctor

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"time"

	"kcatch/harness/cache"
	"kcatch/harness/machine"
	"kcatch/images"
	"kcatch/kernels"
)

// Options say what is meant.
type Options struct {
	QEMU    string   // name or path; empty: the default's
	Make    []string // arguments for make, as LLVM=1
	Vmlinux string   // empty: none
	// Say, when set, is called before each thing that takes time.
	Say func(what string)
}

// Look asks the machine. The error is a wrong option, or an interrupt; whatever else is wrong is in the facts.
func Look(ctx context.Context, o Options) (Facts, error) {
	say := o.Say
	if say == nil {
		say = func(string) {}
	}
	f := Facts{Root: os.Geteuid() == 0, Extras: map[string]bool{}}
	if u, err := user.Current(); err == nil {
		f.User = u.Username
	}
	var err error
	if o.Vmlinux != "" {
		say(o.Vmlinux)
		if f.Kernel, err = readKernel(o.Vmlinux); err != nil {
			return f, err
		}
	}
	if f.Tools, err = kernels.Tools(o.Make); err != nil {
		return f, err
	}
	if len(f.Tools) > 1 && f.Tools[1].Found {
		f.Compiler = versionOf(ctx, f.Tools[1].Name)
	}
	f.Apt = there("apt-get") && there("dpkg-deb")
	for _, name := range []string{"gdb", "drgn"} {
		f.Extras[name] = there(name)
	}
	f.lookAtQEMU(ctx, o.QEMU, say)
	f.Busybox, f.BusyboxError = images.FindBusybox()
	say("the cache")
	f.lookAtCache(ctx)
	return f, ctx.Err()
}

func (f *Facts) lookAtQEMU(ctx context.Context, name string, say func(string)) {
	say("qemu")
	if f.QEMU, f.QEMUError = machine.Ask(ctx, name); f.QEMUError != nil {
		return
	}
	say("KVM")
	f.CPUHas = cpuHas()
	f.KVM, f.KVMError = machine.Chooser{QEMU: f.QEMU.Path}.Choose(ctx, machine.Auto) // without a memory: it is tried now
	say("record and replay")
	f.Replay, f.ReplayErr = machine.Replays(ctx, f.QEMU.Path)
}

func (f *Facts) lookAtCache(ctx context.Context) {
	if f.CacheDir, f.CacheError = (&kernels.Builder{}).CacheDir(); f.CacheError != nil {
		return
	}
	if f.CacheError = kernels.Writable(f.CacheDir); f.CacheError != nil {
		return
	}
	f.Free, f.FreeKnown = kernels.FreeSpace(f.CacheDir)
	c, err := cache.List(ctx, f.CacheDir)
	f.CacheBytes, f.CacheError = c.Bytes, err
	for _, e := range c.Entries {
		if e.Kind == "source" {
			f.Sources++
		}
	}
}

func there(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// versionDeadline is how long a compiler may take to say its version.
const versionDeadline = 10 * time.Second

// versionOf is the first line of a program's --version, or empty.
func versionOf(ctx context.Context, program string) string {
	ctx, cancel := context.WithTimeout(ctx, versionDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// cpuHas is what /proc/cpuinfo says of virtual machines: vmx (Intel), svm (AMD), or nothing.
func cpuHas() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	for sc := bufio.NewScanner(file); sc.Scan(); {
		if name, value, _ := strings.Cut(sc.Text(), ":"); strings.TrimSpace(name) == "flags" {
			for _, flag := range []string{"vmx", "svm"} {
				if slices.Contains(strings.Fields(value), flag) {
					return flag
				}
			}
			return ""
		}
	}
	return ""
}
