package machine

import (
	"fmt"
	"strings"

	"kcatch/internal/blame"
)

const mib = 1 << 20

// Spec is a machine: everything that decides QEMU's arguments. The zero value of a field is its default.
type Spec struct {
	// QEMU is the emulator's name or path; default qemu-system-x86_64.
	QEMU string
	// Machine is QEMU's name for it, with properties if need be ("q35,smm=off"); default q35. Known to work: q35, pc,
	// microvm.
	Machine string
	// Memory is the RAM in bytes, a multiple of 1 MiB; default 256 MiB.
	Memory uint64
	// CPUs is the number of vCPUs, 1 to 255; default 1.
	CPUs int
	// CPUModel is QEMU's -cpu; default [DefaultCPU] of the accelerator.
	CPUModel string
	// Accel is TCG or KVM; default TCG. Auto is not a machine: resolve it with [Chooser].
	Accel Accel
	// Kernel is a bzImage, or a vmlinux with a PVH note; Initrd and Append need it. Empty: the firmware finds nothing
	// to boot.
	Kernel string
	Initrd string
	Append string // the guest's command line, verbatim
	// Icount is QEMU's -icount ("shift=auto"): instructions are the clock, and equal runs are equal to the bit. It
	// also fixes the guest's date. TCG only.
	Icount string
	// Recording records the run, or plays it again; nil: neither. It is an Icount of its own. TCG, one vCPU.
	Recording *Recording
	// IntLog is a file for QEMU's log of exceptions and resets (-d int,cpu_reset); empty: none. It slows a guest that
	// takes many.
	IntLog string
	// Extra are the user's own arguments, last, so that they win.
	Extra []string
	// Dir is the run directory, with the sockets g (GDB stub) and q (QMP) and the pipes s.in and s.out (serial line);
	// [Start] sets it. Without it the arguments are those for a person: serial line on the terminal, no sockets, no
	// shared RAM.
	Dir string
}

// ramFD is the descriptor under which QEMU inherits the RAM file from [Start].
const ramFD = 3

// Properties of a machine type that the name alone does not give.
//
// microvm (QEMU 7.2, hw/i386/microvm.c) under TCG: with acpi=on the kernel finds a hardware-reduced platform, uses no
// PIT, has no other clock to calibrate against and waits for the first tick for ever ("tsc: Unable to calibrate against
// PIT", then calibrate_delay; seen with Debian's 6.1). acpi=off gives it the PIT; there is then no power-off,
// only resets, and the CPUs are in QEMU's MP table alone: 6.1 and 6.12 with CONFIG_X86_MPPARSE bring up two of two, Debian's
// cloud kernel, which is without, sees one ("smpboot: SMP disabled"). KVM has a paravirtual clock, so ACPI can stay. auto-kernel-cmdline would add virtio-mmio devices to the
// command line, which is the user's.
const (
	microvmTCG = ",acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off"
	microvmKVM = ",acpi=on,rtc=on,isa-serial=on,auto-kernel-cmdline=off"
)

// SetupStart and SetupEnd bound the real-mode setup of a bzImage, where QEMU puts it; the command line follows (hw/i386/x86.c,
// x86_load_linux: real_addr and cmdline_addr of a kernel that is loaded high).
const (
	SetupStart = 0x10000
	SetupEnd   = 0x20000
)

// DefaultCPU is the CPU model for an accelerator: the host's under KVM; under TCG, all that it can emulate, which is the
// nearest to the machines that users have (x86-64-v3, SMEP, SMAP, NX), less two things. LA57 would give every kernel
// five-level page tables, which few real machines have. RDRAND and RDSEED make runs differ under -icount.
// Measured with QEMU 7.2, Debian's 6.1: power-on to mounting root takes 2.4 to 2.9 s with this model, max, Nehalem and
// qemu64 alike, so speed does not decide.
func DefaultCPU(a Accel) string {
	if a == KVM {
		return "host"
	}
	return "max,la57=off,rdrand=off,rdseed=off"
}

// WithDefaults returns s with every default filled in.
func (s Spec) WithDefaults() Spec {
	if s.QEMU == "" {
		s.QEMU = "qemu-system-x86_64"
	}
	if s.Machine == "" {
		s.Machine = "q35"
	}
	if s.Memory == 0 {
		s.Memory = 256 * mib
	}
	if s.CPUs == 0 {
		s.CPUs = 1
	}
	if s.Accel == "" {
		s.Accel = TCG
	}
	if s.CPUModel == "" {
		s.CPUModel = DefaultCPU(s.Accel)
	}
	return s
}

// Validate says what is wrong with s, as a usage error, before anything is started. It looks at no file.
func (s Spec) Validate() error {
	s = s.WithDefaults()
	refuse := func(format string, args ...any) error {
		return blame.New(blame.Usage, "machine: "+fmt.Sprintf(format, args...), "")
	}
	switch {
	case s.Memory%mib != 0:
		return refuse("memory of %d bytes: not a multiple of 1 MiB", s.Memory)
	case s.Memory > 1<<42:
		return refuse("memory of %d MiB: more than 4 TiB", s.Memory/mib)
	case s.CPUs < 1 || s.CPUs > 255:
		return refuse("%d CPUs: want 1 to 255", s.CPUs)
	case s.Accel != TCG && s.Accel != KVM:
		return refuse("accelerator %q: want tcg or kvm", string(s.Accel))
	case (s.Icount != "" || s.Recording != nil) && s.Accel != TCG:
		return refuse("icount needs the accelerator tcg, not %s", s.Accel)
	case s.Recording != nil && s.CPUs > 1:
		return refuse("a recording has one vCPU, not %d", s.CPUs)
	case s.Kernel == "" && s.Initrd != "":
		return refuse("an initrd without a kernel")
	case s.Kernel == "" && s.Append != "":
		return refuse("a command line without a kernel")
	case strings.HasPrefix(s.Machine, ",") || strings.HasPrefix(s.Machine, "-"):
		return refuse("machine %q: no name", s.Machine)
	}
	var log string
	if s.Recording != nil {
		log = s.Recording.Log
	}
	for _, v := range append([]string{log, s.QEMU, s.Machine, s.CPUModel, s.Kernel, s.Initrd, s.Append, s.Icount, s.IntLog, s.Dir}, s.Extra...) {
		if strings.ContainsRune(v, 0) {
			return refuse("%q: a NUL byte in an argument", v)
		}
	}
	return nil
}
