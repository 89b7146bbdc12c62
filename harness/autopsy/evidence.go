package autopsy

import (
	"slices"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// Evidence is all that the rules may look at. Frames are symbolized, innermost first.
type Evidence struct {
	Stop   watch.Stop
	Chains []Chain // by vCPU index
	Log    []linux.Record
	// Console is the end of the serial line.
	Console string
	// Reports are the oopses, BUGs and WARNs of the log, in order, each with its chain as the kernel printed it.
	Reports []Report
	Kernel  KernelState
	// Tasks are those that may block a boot that hangs, init's first.
	Tasks []Blocked
	// PanicFormat is the text of a panic that the log does not have yet: see [Scene.panicFormatted].
	PanicFormat string
	// Initcall is what task 1 was in while no vCPU's chain shows it; empty when it was in none.
	Initcall string
	// Exceptions is QEMU's log of those of the early boot; nil when there is none.
	Exceptions *machine.ExceptionLog
	// Moment is when the chains are from, where that is before the stop; else nil.
	Moment *Moment
}

// Moment is a passing of the kernel's own reporting, at which the boot went on.
type Moment struct {
	After time.Duration // since power-on
	// Records is the number of log records that there were then, those that the ring has lost included: what was reported at the
	// moment comes later.
	Records uint64
	Kernel  KernelState
}

// Blocked is a task that waits, with its chain.
type Blocked struct {
	linux.Task
	Chain Chain
}

// stuck reports whether it waits in the kernel and cannot be interrupted. A frozen task is D, too, but waits for nothing of its own.
func (t *Blocked) stuck() bool { return t.StateText() == "D" && !t.Frozen() }

// Report is one of the kernel's own reports with its chain symbolized.
type Report struct {
	Logged
	Chain Chain
}

// Chain is the backtrace of one vCPU.
type Chain struct {
	CPU     int
	Regs    amd64.Registers
	Halted  bool
	Where   Region
	Frames  []verdict.Frame
	Traps   []Trap // exception frames crossed, innermost first
	Stopped string // why the backtrace ends; empty at the end of the stack
	Message string // what the decompressor's error() was given
	// Wrote says that the instruction before the vCPU's pc is meant: see [Scene.WriterOf].
	Wrote bool
	// Rep says that the vCPU's pc is at a repeated string instruction that has just written, and may have more to do.
	Rep bool
	// Undeliverable is why the vCPU of a machine that was reset could take no exception; empty when it could.
	Undeliverable string

	moment *Moment // of a WARN's

	acts *activations // nil: the chain was not walked
	told *told        // nil: not yet
}

// Trap is an exception frame in a chain: Frames[Index] is the first frame of the code it interrupted.
type Trap struct {
	Index     int
	PtRegs    uint64 // run-time address
	Regs      amd64.Registers
	ErrorCode uint64
	HasCode   bool // ErrorCode is known
	CR2       uint64
	Early     bool   // taken by the early IDT's handlers
	Interrupt bool   // no exception but an interrupt
	Entry     string // of an interrupt: its name
	Vector    amd64.Vector
	Guessed   bool // Vector was deduced from the instruction and the error code
	Known     bool // Vector is known at all
	WildPC    bool // the interrupted pc lies in no code; Frames[Index] is its caller
	Returned  bool // to that pc, as it seems: its caller was not on top of the stack, and is a guess further up
	PC        uint64
	Code      []byte // at PC when the chain was read: the kernel frees its init text, and fills it with int3
	Bug       *verdict.BugSite
}

// Region is what an address belongs to.
type Region int

// Regions of code. The zero value is unknown.
const (
	Elsewhere    Region = iota
	KernelText          // the kernel at its run-time address
	IdentityText        // the kernel's text at its physical address, before it runs at its own
	BootText            // the decompressor
	LowMemory           // below 1 MiB: firmware, AP trampoline
	SetupText           // the bzImage's real-mode setup
	UserText
)

// KernelState is what the kernel's own variables say. Unknown values are -1.
type KernelState struct {
	SystemState int  // enum system_states, include/linux/kernel.h: 0 booting, 1 scheduling, 2 freeing initmem, 3 running
	Consoles    int  // 0 none registered, 1 at least one, -1 unknown
	EarlyIDT    bool // the early IDT has been set up
	IDT         uint64
	IDTLimit    uint32
	InitRan     bool // the marker of our init was seen
}

// index is the innermost frame at or after from whose function is one of names, or -1.
func (c *Chain) index(from int, names ...string) int {
	for i := from; i < len(c.Frames); i++ {
		for _, n := range names {
			if c.Frames[i].Function == n {
				return i
			}
		}
	}
	return -1
}

// outermost is the outermost frame whose function is one of names, or -1.
func (c *Chain) outermost(names ...string) int {
	for i := len(c.Frames) - 1; i >= 0; i-- {
		if slices.Contains(names, c.Frames[i].Function) {
			return i
		}
	}
	return -1
}

// has reports whether any frame is in one of the functions.
func (c *Chain) has(names ...string) bool { return c.index(0, names...) >= 0 }

// idle is the frame of the idle task's loop from a frame on (kernel/sched/idle.c), or -1.
func (c *Chain) idle(from int) int { return c.index(from, "do_idle", "cpu_startup_entry") }
