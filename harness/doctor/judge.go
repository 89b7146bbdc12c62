package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
	"kcatch/kernels"
)

// Judge makes checks of facts, in the order in which somebody would mend them.
func Judge(f Facts) verdict.Doctor {
	d := verdict.Doctor{Checks: []verdict.DoctorCheck{}}
	for _, checks := range [][]verdict.DoctorCheck{f.build(), f.qemu(), f.guest(), f.disk(), f.extras(), f.Kernel.checks()} {
		for _, c := range checks {
			d.Add(c)
		}
	}
	return d
}

// well, ailing and ill make checks; fix is a command or empty.
func well(name, text string) verdict.DoctorCheck {
	return verdict.DoctorCheck{Name: name, Status: verdict.Healthy, Text: text}
}

func ailing(name, text, fix string) verdict.DoctorCheck {
	return verdict.DoctorCheck{Name: name, Status: verdict.Ailing, Text: text, Fix: fix}
}

func ill(name, text, fix string) verdict.DoctorCheck {
	return verdict.DoctorCheck{Name: name, Status: verdict.Ill, Text: text, Fix: fix}
}

// as is a command with the rights that it needs.
func (f Facts) as(command string) string {
	if f.Root {
		return command
	}
	return "sudo " + command
}

// installed makes the check mend itself by a package.
func (f Facts) installed(c verdict.DoctorCheck, pkg string) verdict.DoctorCheck {
	if pkg != "" {
		c.Packages = []string{pkg}
		c.Fix = f.as("apt-get install --no-install-recommends " + pkg)
	}
	return c
}

// build is what building a kernel needs.
func (f Facts) build() []verdict.DoctorCheck {
	var list []verdict.DoctorCheck
	for i, t := range f.Tools {
		name, text := t.Name, "there"
		if t.Header {
			name, text = t.Package, t.Name+" is there"
		}
		if i == 1 && f.Compiler != "" {
			text = f.Compiler
		}
		if t.Found {
			list = append(list, well(name, text))
			continue
		}
		text = "not installed"
		if t.Header {
			text = t.Name + " is missing"
		}
		if t.For != "" {
			text += "; for " + t.For
		}
		c := ill(name, text, "")
		if t.Optional {
			c.Status = verdict.Ailing
		}
		list = append(list, f.installed(c, t.Package))
	}
	if !f.Apt && f.Sources == 0 {
		list = append(list, ailing("sources", "there is no apt to get Debian's kernel sources with: name a TREE, a directory or a tarball", ""))
	}
	return list
}

// oldestQEMU is the oldest major version that README.md names.
const oldestQEMU = 7

// qemu is the emulator, and what of it works.
func (f Facts) qemu() []verdict.DoctorCheck {
	if f.QEMUError != nil {
		return []verdict.DoctorCheck{f.installed(ill("qemu", f.QEMUError.Error(), ""), "qemu-system-x86")}
	}
	list := []verdict.DoctorCheck{f.version(), f.machines()}
	if !slices.Contains(f.QEMU.Accels, machine.TCG.String()) {
		list = append(list, f.installed(ailing("tcg", f.QEMU.Path+" is built without TCG", ""), "qemu-system-x86"))
	}
	switch {
	case f.KVMError != nil:
		list = append(list, ailing("kvm", f.KVMError.Error(), ""))
	case f.KVM.Accel == machine.KVM:
		list = append(list, well("kvm", f.KVM.Reason))
	default:
		list = append(list, ailing("kvm", f.KVM.Reason, f.kvmFix()))
	}
	switch {
	case f.ReplayErr != nil:
		list = append(list, ailing("replay", f.ReplayErr.Error(), ""))
	case f.Replay != "":
		list = append(list, ailing("replay", "record and replay: "+f.Replay, ""))
	default:
		list = append(list, well("replay", "record and replay: a test guest was recorded, and ran from the record"))
	}
	return list
}

func (f Facts) version() verdict.DoctorCheck {
	text := f.QEMU.Version + ", " + f.QEMU.Path
	major, _, _ := strings.Cut(f.QEMU.Version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return ailing("qemu", f.QEMU.Path+" does not say its version", "")
	case n < oldestQEMU:
		return f.installed(ill("qemu", fmt.Sprintf("%s: %d.0 or later is needed", text, oldestQEMU), ""), "qemu-system-x86")
	}
	return well("qemu", text)
}

// machines are those that kcatch knows; the first is the default.
func (f Facts) machines() verdict.DoctorCheck {
	var have, lack []string
	for _, name := range []string{"q35", "pc", "microvm"} {
		if slices.Contains(f.QEMU.Machines, name) {
			have = append(have, name)
		} else {
			lack = append(lack, name)
		}
	}
	switch {
	case len(lack) == 0:
		return well("machines", strings.Join(have, ", "))
	case lack[0] == "q35":
		return f.installed(ill("machines", f.QEMU.Path+" has no machine q35, the default", ""), "qemu-system-x86")
	}
	return ailing("machines", f.QEMU.Path+" does not have "+strings.Join(lack, ", "), "")
}

// kvmFix is a command for what is wrong with /dev/kvm, where one helps: what is slow or lies, no command mends.
func (f Facts) kvmFix() string {
	switch {
	case strings.Contains(f.KVM.Reason, "no permission"):
		return f.as("adduser " + shell.Word(f.User) + " kvm") // and log in again
	case strings.Contains(f.KVM.Reason, "does not exist") && f.CPUHas == "vmx":
		return f.as("modprobe kvm_intel")
	case strings.Contains(f.KVM.Reason, "does not exist") && f.CPUHas == "svm":
		return f.as("modprobe kvm_amd")
	}
	return ""
}

// guest is what runs in it.
func (f Facts) guest() []verdict.DoctorCheck {
	if f.BusyboxError != nil {
		return []verdict.DoctorCheck{f.installed(ill("busybox", f.BusyboxError.Error(), ""), "busybox-static")}
	}
	return []verdict.DoctorCheck{well("busybox", f.Busybox+", static")}
}

const (
	// leastSpace is what a boot and a build from objects that are there need, in bytes.
	leastSpace = 300 << 20
	// largeCache is when it is time to say something, in bytes.
	largeCache = 40 << 30
)

// disk is the room where the cache is, and what the cache has of it.
func (f Facts) disk() []verdict.DoctorCheck {
	if f.CacheError != nil {
		return []verdict.DoctorCheck{ill("cache", f.CacheError.Error(), blame.Hint(f.CacheError))}
	}
	var list []verdict.DoctorCheck
	prune := "kcatch cache prune --older 7d"
	text := fmt.Sprintf("%s free at %s", gigabytes(f.Free), f.CacheDir)
	needs := fmt.Sprintf("; a new kernel takes about %s", gigabytes(kernels.SpaceNeeded))
	switch {
	case !f.FreeKnown:
		list = append(list, ailing("disk", "cannot be told how much is free at "+f.CacheDir, ""))
	case f.Free < leastSpace, f.Free < kernels.SpaceNeeded && f.Sources == 0:
		list = append(list, ill("disk", text+needs, prune))
	case f.Free < kernels.SpaceNeeded:
		list = append(list, ailing("disk", text+needs, prune))
	default:
		list = append(list, well("disk", text))
	}
	text = gigabytes(uint64(f.CacheBytes)) + " in the cache"
	if f.CacheBytes > largeCache {
		return append(list, ailing("cache", text, "kcatch cache prune --older 30d"))
	}
	return append(list, well("cache", text))
}

func gigabytes(n uint64) string { return fmt.Sprintf("%.1f GB", float64(n)/(1<<30)) }

// extras read what a boot leaves.
func (f Facts) extras() []verdict.DoctorCheck {
	var list []verdict.DoctorCheck
	for _, e := range []struct{ name, pkg, use string }{
		{"gdb", "gdb", "stepping through a boot by hand"}, {"drgn", "python3-drgn", "reading a vmcore"},
	} {
		if f.Extras[e.name] {
			list = append(list, well(e.name, "there"))
		} else {
			list = append(list, f.installed(ailing(e.name, "not installed; for "+e.use, ""), e.pkg))
		}
	}
	return list
}
