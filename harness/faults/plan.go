package faults

import (
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/kernels/faults"
)

// Files are the files of a kernel that is there.
type Files struct{ Kernel, Vmlinux, BootVmlinux string }

// Plan is a fault as a boot of a kernel that is there, with the defaults of "kcatch boot" for what the fault leaves out, but
// under TCG: the corpus has one right answer, wherever it is booted. The fault's edit is not on it: that is a file of its own.
func Plan(f faults.Fault, files Files) harness.Plan {
	p := harness.Plan{
		Kernel: files.Kernel, Vmlinux: files.Vmlinux, BootVmlinux: files.BootVmlinux, Initrd: f.Initrd, Run: f.Run, Append: f.Append,
		Machine: "q35", Memory: 256 << 20, CPUs: 1, Accel: "tcg", Until: "init", Timeout: 2 * time.Minute,
		FailOn: []verdict.Class{verdict.Oops, verdict.Bug},
	}
	if f.Machine != "" {
		p.Machine = f.Machine
	}
	if f.Memory != 0 {
		p.Memory = f.Memory
	}
	if f.CPUs != 0 {
		p.CPUs = f.CPUs
	}
	if f.Until != "" {
		p.Until = f.Until
	}
	if f.Timeout != 0 {
		p.Timeout = f.Timeout
	}
	if len(f.FailOn) > 0 {
		p.FailOn = nil
		for _, c := range f.FailOn {
			p.FailOn = append(p.FailOn, verdict.Class(c))
		}
	}
	return p
}
