package machine

import (
	"strconv"
	"strings"

	"kcatch/internal/shell"
)

// Argv is QEMU's command line, the program first. It depends on s alone: equal specs give equal arguments.
func (s Spec) Argv() []string {
	s = s.WithDefaults()
	b := &argv{s.QEMU}
	if s.Dir == "" {
		b.hardware(s, false)
		b.add("-serial", "mon:stdio", "-action", "reboot=shutdown")
	} else {
		b.hardware(s, true)
		b.add("-chardev", "pipe,id=serial0,path="+comma(s.Dir+"/s"), "-serial", "chardev:serial0",
			"-action", "reboot=shutdown,shutdown=pause,panic=pause",
			"-chardev", "socket,id=gdb0,path="+comma(s.Dir+"/g")+",server=on,wait=off", "-gdb", "chardev:gdb0",
			"-chardev", "socket,id=qmp0,path="+comma(s.Dir+"/q")+",server=on,wait=off", "-mon", "chardev=qmp0,mode=control",
			"-S")
	}
	b.guest(s)
	b.add(s.Extra...)
	return *b
}

// ShellCommand is a line for a POSIX shell that runs the same machine by hand, with the serial line on the terminal
// (Ctrl-A x ends it). It is no part of a run directory, so it works after the run.
func (s Spec) ShellCommand() string {
	s.Dir = ""
	return commandLine(s.Argv())
}

type argv []string

func (b *argv) add(args ...string) { *b = append(*b, args...) }

func (b *argv) hardware(s Spec, shared bool) {
	size := strconv.FormatUint(s.Memory/mib, 10) + "M"
	machine := s.machine()
	if shared {
		b.add("-machine", machine+",memory-backend=ram",
			"-object", "memory-backend-file,id=ram,size="+size+",mem-path=/dev/fd/"+strconv.Itoa(ramFD)+",share=on")
	} else {
		b.add("-machine", machine)
	}
	b.add("-m", size, "-accel", string(s.Accel), "-cpu", s.CPUModel, "-smp", strconv.Itoa(s.CPUs),
		"-nodefaults", "-no-user-config", "-display", "none", "-net", "none")
	if s.Recording != nil {
		s.Icount = s.Recording.icount()
	}
	if s.Icount != "" {
		// The date is the guest's too, or each run would have its own; and so is the seed for its random numbers that QEMU 7.2
		// puts behind the kernel (hw/i386/x86.c, x86_load_linux: SETUP_RNG_SEED), which -seed makes the same.
		b.add("-icount", s.Icount, "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1")
	}
	if s.IntLog != "" {
		b.add("-d", "int,cpu_reset", "-D", s.IntLog)
	}
}

func (b *argv) guest(s Spec) {
	if s.Kernel == "" {
		return
	}
	b.add("-kernel", s.Kernel)
	if s.Initrd != "" {
		b.add("-initrd", s.Initrd)
	}
	if s.Append != "" {
		b.add("-append", s.Append)
	}
}

// machine is the argument of -machine without the memory: our properties, then the user's, which win.
func (s Spec) machine() string {
	name, properties, more := strings.Cut(s.Machine, ",")
	if name == "microvm" {
		if s.Accel == KVM {
			name += microvmKVM
		} else {
			name += microvmTCG
		}
	}
	if more {
		name += "," + properties
	}
	return name
}

// comma doubles commas: in QEMU's key=value lists a comma ends the value (docs: "Comma-separated parameters").
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// commandLine joins args into a line that a POSIX shell takes apart into the same args.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = shell.Word(a)
	}
	return strings.Join(quoted, " ")
}
