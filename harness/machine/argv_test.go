package machine

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The arguments are a contract with QEMU: read the difference before changing a golden.
func TestArgv(t *testing.T) {
	for _, c := range []struct {
		name string
		spec Spec
		want string // one argument with its value a line
	}{
		{"default", Spec{Dir: "/run/user/0/kc-1", Kernel: "/k/bzImage", Initrd: "/k/initrd", Append: "console=ttyS0 panic=-1"}, `qemu-system-x86_64
-machine q35,memory-backend=ram
-object memory-backend-file,id=ram,size=256M,mem-path=/dev/fd/3,share=on
-m 256M
-accel tcg
-cpu max,la57=off,rdrand=off,rdseed=off
-smp 1
-nodefaults
-no-user-config
-display none
-net none
-chardev pipe,id=serial0,path=/run/user/0/kc-1/s
-serial chardev:serial0
-action reboot=shutdown,shutdown=pause,panic=pause
-chardev socket,id=gdb0,path=/run/user/0/kc-1/g,server=on,wait=off
-gdb chardev:gdb0
-chardev socket,id=qmp0,path=/run/user/0/kc-1/q,server=on,wait=off
-mon chardev=qmp0,mode=control
-S
-kernel /k/bzImage
-initrd /k/initrd
-append console=ttyS0 panic=-1`},
		{"all", Spec{QEMU: "/opt/qemu", Dir: "/tmp/a,b", Machine: "microvm,pit=off", Memory: 3 << 30, CPUs: 4, CPUModel: "qemu64",
			Icount: "shift=auto", IntLog: "/o/int.log", Extra: []string{"-device", "vmcoreinfo"}}, `/opt/qemu
-machine microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off,pit=off,memory-backend=ram
-object memory-backend-file,id=ram,size=3072M,mem-path=/dev/fd/3,share=on
-m 3072M
-accel tcg
-cpu qemu64
-smp 4
-nodefaults
-no-user-config
-display none
-net none
-icount shift=auto
-rtc base=2024-01-01T00:00:00,clock=vm
-seed 1
-d int,cpu_reset
-D /o/int.log
-chardev pipe,id=serial0,path=/tmp/a,,b/s
-serial chardev:serial0
-action reboot=shutdown,shutdown=pause,panic=pause
-chardev socket,id=gdb0,path=/tmp/a,,b/g,server=on,wait=off
-gdb chardev:gdb0
-chardev socket,id=qmp0,path=/tmp/a,,b/q,server=on,wait=off
-mon chardev=qmp0,mode=control
-S
-device vmcoreinfo`},
		{"by hand, KVM", Spec{Machine: "microvm", Accel: KVM, Kernel: "vmlinux"}, `qemu-system-x86_64
-machine microvm,acpi=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off
-m 256M
-accel kvm
-cpu host
-smp 1
-nodefaults
-no-user-config
-display none
-net none
-serial mon:stdio
-action reboot=shutdown
-kernel vmlinux`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.spec.Validate(); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for i, a := range c.spec.Argv() {
				switch {
				case i > 0 && strings.HasPrefix(a, "-"):
					got.WriteByte('\n')
				case i > 0:
					got.WriteByte(' ')
				}
				got.WriteString(a)
			}
			if got.String() != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), c.want)
			}
			if !slices.Equal(c.spec.Argv(), c.spec.Argv()) {
				t.Error("not the same twice")
			}
		})
	}
}

// The outside oracle is a shell.
func TestShellCommandIsTakenApartByShell(t *testing.T) {
	s := Spec{Dir: "/tmp/kc-1", Kernel: "/tmp/it's a kernel", Append: `console=ttyS0 dyndbg="file x.c +p" $HOME; \n` + "`id`", Extra: []string{"-name", "", "*"}}
	for _, line := range []string{s.ShellCommand()} {
		out, err := exec.Command("sh", "-c", `for a in `+line+`; do printf '%s\n' "[$a]"; done`).Output()
		if err != nil {
			t.Fatal(err)
		}
		hand := s
		hand.Dir = ""
		want := "[" + strings.Join(hand.Argv(), "]\n[") + "]\n"
		if !strings.HasPrefix(string(out), want) {
			t.Errorf("sh takes\n%s\napart to\n%s\nwant\n%s", line, out, want)
		}
		if strings.Contains(line, "kc-1") {
			t.Errorf("run directory in %s", line)
		}
	}
}
