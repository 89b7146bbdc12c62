package harness

import (
	"cmp"
	"time"

	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/kernels"
)

// Plan is one boot, decided. Paths are absolute or relative to the working directory; a Plan reads no environment. Where Machine, Memory,
// CPUs, Accel, Until or Timeout are zero they are those of [Defaults]; no FailOn is none, and no Values are none.
type Plan struct {
	// Build says what to build; nil boots Kernel as it is.
	Build *kernels.Request
	// Kernel is a bzImage, or empty to boot Vmlinux by PVH. Vmlinux gives symbols; without it the report is reduced.
	Kernel, Vmlinux string
	// BootVmlinux is arch/x86/boot/compressed/vmlinux, for deaths in the decompressor.
	BootVmlinux string
	// Initrd is a file, "none", or empty for our own initramfs, which runs Run in the guest when that is not empty.
	Initrd string
	Run    string
	// Workload is one of images.Workloads, which our own initramfs runs before Run; empty for none. The boot then goes on
	// to the guest's shutdown, and Result.Workload says how its steps ended.
	Workload string
	// Checks are run by our own initramfs, in their order, after Workload and before Run. The boot then goes on to the guest's
	// shutdown, and Result.Checks says how they went.
	Checks []GuestCheck
	// Modules is a directory of the kernel's modules for our own initramfs; empty for none.
	Modules string

	Append  string // the end of the guest's command line
	Machine string // q35, pc, microvm
	Memory  uint64 // bytes
	CPUs    int
	CPU     string // QEMU's -cpu; empty: machine.DefaultCPU of the accelerator
	Accel   string // auto, tcg, kvm
	QEMU    string // binary; empty: qemu-system-x86_64 from PATH
	QEMUArg []string

	Until   string // init, console or a symbol
	Timeout time.Duration
	Quiet   time.Duration   // no progress for this long is a hang; zero: 48 s
	FailOn  []verdict.Class // survived events that make a boot bad
	Values  autopsy.ValueOptions

	// Timeline asks for the time of each initcall: Result.Initcalls. It puts initcall_debug on the kernel's command line.
	Timeline bool

	// Observer looks at the boot from breakpoints of its own; may be nil. It needs a vmlinux, and breakpoints without number: TCG.
	Observer Observer

	// Hold is given the machine when there is a result; may be nil.
	Hold *Hold `json:"-"` // a log of a bisection has the plan

	Out   string // artifact directory; empty: a new one in the user's state directory
	Cache string // empty: the user's cache directory

	Shelf *Shelf // keeps the kernels' files open between boots; may be nil

	built *kernels.Build // what Vmlinux is of, see [Build]; nil: not known
}

// Defaults is a plan with what "kcatch boot" does where nothing is said: one vCPU and 256 MiB on q35, to init, two minutes at most; an
// oops or a BUG that the kernel survives makes it bad. What to boot is yours to say: Build, or Kernel and Vmlinux.
func Defaults() Plan {
	return Plan{
		Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "auto", Until: "init", Timeout: 2 * time.Minute,
		FailOn: []verdict.Class{verdict.Oops, verdict.Bug}, Values: autopsy.ValueOptions{Args: true},
	}
}

// whole is the plan with what may be left out: a boot with no time at all, or to no place, would come to a verdict that says nothing.
func (p Plan) whole() Plan {
	d := Defaults()
	p.Machine, p.Memory, p.CPUs = cmp.Or(p.Machine, d.Machine), cmp.Or(p.Memory, d.Memory), cmp.Or(p.CPUs, d.CPUs)
	p.Accel, p.Until, p.Timeout = cmp.Or(p.Accel, d.Accel), cmp.Or(p.Until, d.Until), cmp.Or(p.Timeout, d.Timeout)
	return p
}

// Progress is told what Boot is doing. Every field may be nil.
type Progress struct {
	// Stage begins a stage: source, patch, configure, build, boot, caught. note is for a person.
	Stage func(stage, note string)
	// Step counts within a stage; total is zero when unknown.
	Step func(stage string, done, total int)
	// Say is a single remark that is not part of a stage (the accelerator and why).
	Say func(line string)
	// Verdict is told the result as soon as it is known: QEMU has yet to end then, and the artifacts that the result
	// names are yet to be written. Boot returns the same result.
	Verdict func(r *verdict.Result)
	// Ended is told, whenever a QEMU has ended, how long its process was there. A boot that is tried again has more than one.
	Ended func(life time.Duration)
}

func (p Progress) stage(name, note string) {
	if p.Stage != nil {
		p.Stage(name, note)
	}
}

func (p Progress) step(name string, done, total int) {
	if p.Step != nil {
		p.Step(name, done, total)
	}
}

func (p Progress) verdict(r *verdict.Result) {
	if p.Verdict != nil {
		p.Verdict(r)
	}
}

func (p Progress) ended(life time.Duration) {
	if p.Ended != nil {
		p.Ended(life)
	}
}

func (p Progress) say(line string) {
	if p.Say != nil {
		p.Say(line)
	}
}
