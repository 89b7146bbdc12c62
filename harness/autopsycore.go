package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/core"
	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
	"kcatch/gdb/linux"
	"kcatch/gdb/rsp"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
	"kcatch/internal/blame"
)

// CoreRequest is a core and what is known of its kernel.
type CoreRequest struct {
	Core, Vmlinux string
	BootVmlinux   string // as [Plan.BootVmlinux]; may be empty
	Modules       string // a directory with .ko files; may be empty
	Values        autopsy.ValueOptions
}

// Autopsy is the report of a boot from an ELF core: one of ours, of QEMU's dump-guest-memory, or of kdump. From one of ours it
// finds what the boot found. From another it finds what memory and registers tell, which is no vector of an early exception
// and no reset; a machine that just runs is no death there but a skip, which says what it does.
//
// A file that is no core, is cut off, or is of another kernel than the vmlinux is a usage error.
func Autopsy(ctx context.Context, req CoreRequest) (verdict.Result, error) {
	begin := time.Now()
	c, err := core.Open(req.Core)
	if err != nil {
		return verdict.Result{}, err
	}
	defer c.Close()
	k, err := kernel.Open(req.Vmlinux)
	if err != nil {
		return verdict.Result{}, err
	}
	defer k.Close()
	if !linkedAsKernel(k) {
		return verdict.Result{}, notVmlinux(k)
	}
	x := &coreExam{boot: &boot{plan: Plan{Vmlinux: req.Vmlinux, BootVmlinux: req.BootVmlinux, Modules: req.Modules, Values: req.Values}, kernel: k},
		core: c, state: readState(c.State)}
	x.boot.built = x.boot.plan.known()
	if err := x.locate(); err != nil {
		return verdict.Result{}, err
	}
	if err := x.openDecompressor(); err != nil {
		return verdict.Result{}, err
	}
	if d := x.boot.decompressor; d != nil {
		defer d.Close()
	}
	r, err := x.examine(ctx)
	r.Timing.Examine = time.Since(begin).Seconds()
	return r, err
}

// coreExam is an autopsy under way. Its boot has no machine: it is what the questions about sources and modules go to.
type coreExam struct {
	boot  *boot
	core  *core.File
	state *coreState // nil in others' cores
}

// locate finds the kernel in the core's memory, and refuses a vmlinux that is not the kernel's.
func (x *coreExam) locate() error {
	p, m := x.boot.kernel.Find(x.core)
	have, release := x.core.InfoValue("BUILD-ID"), x.core.InfoValue("OSRELEASE")
	switch {
	case m == guest.SameBuild:
		x.boot.place = &p
		return nil
	case !x.boot.kernel.Findable(), m == guest.Loading:
		return nil // the report is reduced, and says why
	case m == guest.NoKernel && x.state != nil && release == "":
		return nil // one of ours, of a death before the kernel was there
	}
	what := "its kernel is of another build"
	switch {
	case have != "" && have != x.boot.kernel.BuildID():
		what = "build-id " + orNone(x.boot.kernel.BuildID()) + ", the core's kernel has " + have
	case release != "" && release != x.boot.kernel.Release():
		what = "it is of " + x.boot.kernel.Release() + ", the core's kernel is " + release
	case m == guest.NoKernel:
		what = "there is no kernel " + x.boot.kernel.Release() + " of its build in the core"
	}
	return blame.New(blame.Usage, x.boot.kernel.Path()+": not the vmlinux of "+x.core.Path()+": "+what,
		"give the vmlinux that was linked together with the kernel that ran")
}

// openDecompressor opens the boot vmlinux, where one was given. The setup header is in the core's state, not in memory.
func (x *coreExam) openDecompressor() error {
	if x.boot.plan.BootVmlinux == "" {
		return nil
	}
	return x.boot.openBootVmlinux()
}

func (x *coreExam) examine(ctx context.Context) (verdict.Result, error) {
	cpus := x.registers()
	scene := autopsy.Scene{
		RAM: x.core, Kernel: x.boot.kernel, Placement: x.boot.place, Boot: x.boot.decompressor, Stub: coreStub(cpus), Values: x.boot.plan.Values,
		Source: x.boot.source, Patched: x.boot.patched, ModuleFiles: x.boot.moduleFiles,
	}
	if s := x.state; s != nil {
		scene.Stop, scene.Setup, scene.Console, scene.FailOn, scene.Exceptions = s.Stop, s.Setup, s.Console, s.FailOn, s.Exceptions
		if s.Moment {
			scene.Stop.Kind, scene.Later = watch.Saved, s.Later
		}
	} else {
		scene.Stop = x.stop(cpus)
	}
	r, err := scene.Examine(ctx)
	if err != nil {
		return r, err
	}
	if x.state == nil && scene.Stop.Kind == watch.Saved {
		alive(&r)
	}
	x.complete(&r, len(cpus))
	return r, nil
}

// alive makes a skip of what is no death in a core, which is one look at a machine: of a hang, because what runs may go on, and of a
// kernel on its way to a reset or a power-off, because who has the core knows whether that was wanted.
func alive(r *verdict.Result) {
	what, note := r.Summary, ""
	switch r.Class {
	case verdict.Hang:
		what = "vCPU 0"
		if len(r.CPUs) > 0 {
			what = fmt.Sprintf("vCPU %d %s", r.CPUs[0].CPU, r.CPUs[0].State)
		}
		_, says, _ := strings.Cut(r.Summary, ": ")
		note = "one look does not tell a hang from work; were it one: " + says
	case verdict.Shutdown, verdict.Reset:
		note = "one look does not tell whether the end was wanted"
	default:
		return
	}
	r.Summary = "no death in the core: " + what
	r.Notes = append(r.Notes, note)
	r.Verdict, r.Class, r.Hang, r.Blame, r.Signature, r.Cause = verdict.Skip, "", "", "", "", nil
}

// complete fills in what belongs to the core as a whole.
func (x *coreExam) complete(r *verdict.Result, cpus int) {
	r.Kernel.Release, r.Kernel.BuildID = x.boot.kernel.Release(), x.boot.kernel.BuildID()
	layout := x.core.Layout()
	r.Machine = &verdict.Machine{Memory: layout.Size(), CPUs: cpus}
	if x.state != nil && x.state.Machine != nil {
		r.Machine = x.state.Machine
	}
	r.Timing.Boot = 0
	r.Notes = append(r.Notes, x.boot.symbolNotes()...)
	if x.state == nil {
		r.Notes = append(r.Notes, "the core is not kcatch's own: how the machine came to stand is read from its memory alone")
		if len(x.core.CPUs) > 0 && !x.core.CPUs[0].Control {
			r.Notes = append(r.Notes, "the core has no control registers: memory is read by the kernel's own page tables")
		}
	}
	if r.Verdict == verdict.Good {
		r.Summary = fmt.Sprintf("%s reached %s", orKernel(r.Kernel.Release), x.state.Stop.Until) // only a state can say so
	}
	r.Artifacts.VMCore, r.Artifacts.Vmlinux = absoluteOr(x.core.Path()), absoluteOr(x.boot.plan.Vmlinux)
}

func absoluteOr(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// coreStub gives the registers of a core to the autopsy, as the stub of a machine would.
type coreStub []amd64.Registers

func (c coreStub) Threads(context.Context) ([]rsp.Thread, error) {
	var out []rsp.Thread
	for i := range c {
		out = append(out, rsp.Thread{PID: 1, TID: i + 1})
	}
	return out, nil
}

func (c coreStub) Registers(_ context.Context, t rsp.Thread) (amd64.Registers, error) {
	if i := t.CPU(); i >= 0 && i < len(c) {
		return c[i], nil
	}
	return amd64.Registers{}, os.ErrNotExist
}

// registers are those of each vCPU, with control registers: the core's own, those of its state, or such as the kernel's own
// page tables make readable.
func (x *coreExam) registers() []amd64.Registers {
	if s := x.state; s != nil && len(s.Registers) == len(x.core.CPUs) {
		return s.Registers
	}
	var out []amd64.Registers
	for _, c := range x.core.CPUs {
		r := c.Registers
		if !c.Control {
			x.control(&r)
		}
		out = append(out, r)
	}
	return out
}

// control makes up the control registers of a CPU in the kernel: 64-bit mode with init_top_pgt, which maps all of the kernel
// (arch/x86/kernel/head_64.S). CR2 is the address that the kernel itself reported.
func (x *coreExam) control(r *amd64.Registers) {
	r.CR0, r.CR4, r.EFER = amd64.CR0PE|amd64.CR0PG, amd64.CR4PAE, amd64.EFERLME|amd64.EFERLMA
	if x.core.InfoValue("NUMBER(pgtable_l5_enabled)") == "1" {
		r.CR4 |= amd64.CR4LA57
	}
	if x.boot.place == nil {
		return
	}
	if sym, ok := x.boot.kernel.Symbol("init_top_pgt"); ok {
		r.CR3 = x.boot.place.Physical(x.boot.place.Run(uint64(sym.Addr)))
	}
	r.CR2 = x.reportedCR2()
}

// The address of a fault as page_fault_oops() reports it (arch/x86/mm/fault.c, show_fault_oops).
var faultAddress = regexp.MustCompile(`^BUG: (?:kernel NULL pointer dereference, address|unable to handle page fault for address): ([0-9a-f]{1,16})$`)

func (x *coreExam) reportedCR2() uint64 {
	mem := x.boot.kernel.Memory(x.core, *x.boot.place)
	ring, ok := x.boot.kernel.Log(mem, *x.boot.place)
	if !ok {
		return 0
	}
	records, _ := ring.Records(0) // what could be read before an error counts
	for _, r := range records {
		if m := faultAddress.FindStringSubmatch(firstLine(r)); m != nil && r.Facility == 0 {
			addr, _ := strconv.ParseUint(m[1], 16, 64) // 16 digits at most
			return addr
		}
	}
	return 0
}

func firstLine(r linux.Record) string {
	line, _, _ := strings.Cut(r.Text, "\n")
	return line
}

// stop is how a machine of a foreign core came to stand, as far as that shows: all that are in the kernel are halted with
// interrupts off, or not.
func (x *coreExam) stop(cpus []amd64.Registers) watch.Stop {
	stop := watch.Stop{Kind: watch.Saved, Pace: watch.Pace{Ticks: -1}}
	dead := 0
	for i, r := range cpus {
		c := machine.CPUState{Index: i, RIP: r.RIP, RFLAGS: r.EFLAGS, RSP: r.RSP, RBP: r.RBP, CPL: int(r.CS & amd64.RPLMask), CS: r.CS,
			CR0: r.CR0, CR2: r.CR2, CR3: r.CR3, CR4: r.CR4, EFER: r.EFER, Halted: x.halted(r),
			IDTBase: x.core.CPUs[i].IDTBase, IDTLimit: x.core.CPUs[i].IDTLimit}
		stop.CPUs = append(stop.CPUs, c)
		switch {
		case c.Halted && !c.InterruptsOn() && r.RIP >= guest.StartKernelMap:
			dead++
		case r.LinearPC() >= 1<<20: // below, it is an AP that waits to be started
			dead = -len(cpus)
		}
	}
	if dead > 0 {
		stop.Kind = watch.Dead
	}
	return stop
}

// halted reports whether the instruction before a pc is HLT: there a vCPU stands that waits in one.
func (x *coreExam) halted(r amd64.Registers) bool {
	const hlt = 0xf4
	var b [1]byte
	_, err := guest.NewSpace(x.core, r).ReadMemory(b[:], r.RIP-1)
	return err == nil && b[0] == hlt
}
