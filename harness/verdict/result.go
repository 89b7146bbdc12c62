package verdict

// Schema names the form of [Result].
const Schema = "kcatch/result/v1"

// Verdict is what a boot means for the kernel under test. The zero value is invalid.
type Verdict string

// The verdicts. Skip says that the kernel could not be tested (it does not build, the patch does not fit).
const (
	Good Verdict = "good"
	Bad  Verdict = "bad"
	Skip Verdict = "skip"
)

// Result is one boot, as JSON. Field order here is the order in the output.
type Result struct {
	Schema    string         `json:"schema"`
	Verdict   Verdict        `json:"verdict"`
	Class     Class          `json:"class"`
	Hang      HangKind       `json:"hang,omitempty"`
	Stage     Stage          `json:"stage"`
	Summary   string         `json:"summary"`              // one line: what, where
	StageCall string         `json:"stage_call,omitempty"` // what the stage was in: the call of start_kernel, the initcall
	Signature string         `json:"signature"`
	Blame     string         `json:"blame"` // kernel, build, usage, infrastructure; empty for a good boot
	Cause     *Cause         `json:"cause,omitempty"`
	CPUs      []CPU          `json:"cpus"`
	Tasks     []Task         `json:"tasks,omitempty"`
	WhoWrote  []Write        `json:"who_wrote,omitempty"`
	Warnings  []Warning      `json:"warnings"`
	Log       []LogLine      `json:"log"`
	LogAt     *uint64        `json:"log_at,omitempty"`       // seq of the record that reported what the boot is bad for, if it went on after that
	Console   []string       `json:"console_tail,omitempty"` // its last lines, where the log in memory could not be read; what --run printed
	Workload  *Workload      `json:"workload,omitempty"`
	Checks    []Check        `json:"checks,omitempty"`    // commands that ran in the guest, in their order
	Subtests  []Subtest      `json:"subtests,omitempty"`  // KTAP on the console or in the log, in its order
	Initcalls []InitcallTime `json:"initcalls,omitempty"` // in the order in which they began
	Kernel    Kernel         `json:"kernel"`
	Machine   *Machine       `json:"machine,omitempty"`
	Timeline  []Mark         `json:"timeline,omitempty"`
	Timing    Timing         `json:"timing"`
	Artifacts Artifacts      `json:"artifacts"`
	Error     *Error         `json:"error,omitempty"`   // why there is no verdict on the kernel
	Details   []string       `json:"details,omitempty"` // the lines under the summary: when, where, in what state
	Notes     []string       `json:"notes,omitempty"`   // what the reader must know to trust the report: reduced, guessed, missing
}

// Cause is the innermost frame of the code at fault, inlined ones included; never the kernel's own reporting.
type Cause struct {
	Function    string       `json:"function"`
	Module      string       `json:"module,omitempty"` // that the function is in; empty for the kernel itself
	File        string       `json:"file,omitempty"`   // relative to the kernel tree
	Line        int          `json:"line,omitempty"`   // 1-based; 0 when unknown
	Address     Hex          `json:"address"`          // run-time value
	Return      bool         `json:"return,omitempty"` // address is a return address: file and line are of the call before it
	InlinedInto []string     `json:"inlined_into"`     // from the inlined function's caller outward, to the owner of the code
	Exception   *Exception   `json:"exception,omitempty"`
	Bug         *BugSite     `json:"bug,omitempty"`
	Assertion   *Assertion   `json:"assertion,omitempty"`
	Page        *Page        `json:"page,omitempty"`        // that the code at fault worked on
	Instruction string       `json:"instruction,omitempty"` // GNU syntax
	Access      string       `json:"access,omitempty"`      // "write to 0x30: rdi=0x0 + 0x30"
	Source      []SourceLine `json:"source,omitempty"`      // around the place that called the code at fault
	SourceFile  string       `json:"source_file,omitempty"`
}

// Exception is the CPU exception that ended the boot.
type Exception struct {
	Vector    int    `json:"vector"`
	Name      string `json:"name"`
	ErrorCode uint64 `json:"error_code"`
	CR2       Hex    `json:"cr2"`
	Text      string `json:"text,omitempty"`    // the error code in words
	PtRegs    Hex    `json:"pt_regs"`           // run-time address of the saved registers; 0 when there are none
	Guessed   bool   `json:"guessed,omitempty"` // the vector was deduced from the instruction, not seen
}

// BugSite is the entry of the kernel's bug table for the trapping instruction.
type BugSite struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Warning bool   `json:"warning"`
	Text    string `json:"text"`
}

// Assertion is the source text of the condition that failed, what it read, and the patch that put it there.
type Assertion struct {
	Text  string `json:"text"`
	Patch string `json:"patch,omitempty"`
	// Macro is what asserts, VM_BUG_ON_PGFLAGS; Condition is its condition as it is written, or for BUG() and WARN_ON(1) that of the if
	// around it.
	Macro     string `json:"macro,omitempty"`
	Condition string `json:"condition,omitempty"`
	// Result is what the condition comes to with the values as they are at the stop; empty where it cannot be computed.
	Result string           `json:"result,omitempty"`
	Values []ConditionValue `json:"values,omitempty"`
}

// ConditionValue is an object that a condition reads.
type ConditionValue struct {
	Expression string `json:"expression"`
	Type       string `json:"type,omitempty"`
	Value      string `json:"value"`             // C text
	Address    Hex    `json:"address,omitempty"` // 0 when it is in no memory
	Size       int    `json:"size,omitempty"`    // bytes at Address
	Through    bool   `json:"through,omitempty"` // read only to find another object
	Derived    bool   `json:"derived,omitempty"` // the source says it by a macro or a function
	ByLog      bool   `json:"by_log,omitempty"`  // the debug information has no value of it, the kernel's own log had
}

// Page is a struct page, decoded.
type Page struct {
	Variable  string   `json:"variable"` // that points to it
	Function  string   `json:"function"` // whose variable that is
	Address   Hex      `json:"address"`
	PFN       Hex      `json:"pfn"`
	RefCount  int      `json:"refcount"`
	MapCount  int      `json:"mapcount"` // _mapcount as it is: -1 for a page that is not mapped
	Flags     Hex      `json:"flags"`
	FlagNames []string `json:"flag_names,omitempty"`
	Zone      string   `json:"zone,omitempty"`
	Node      *int     `json:"node,omitempty"`
	Type      string   `json:"type,omitempty"`   // buddy, slab...
	Head      Hex      `json:"head,omitempty"`   // of a compound page
	Text      string   `json:"text"`             // all of it, in one line
	ByLog     bool     `json:"by_log,omitempty"` // the variable has no value: which page it is says the kernel's own dump of it in the log
}

// SourceLine is a line of a source file as it was built.
type SourceLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Here bool   `json:"here,omitempty"`
}

// CPU is one vCPU at the moment of the first death.
type CPU struct {
	CPU     int      `json:"cpu"`
	State   string   `json:"state,omitempty"` // "halted with interrupts off", "running"
	Frames  []Frame  `json:"frames"`
	Stopped string   `json:"stopped,omitempty"` // why the backtrace ends where it does
	Regs    *RegDump `json:"registers,omitempty"`
}

// RegDump is the registers of a vCPU in hex, by name.
type RegDump struct {
	RIP, RSP, RFLAGS   Hex
	RAX, RBX, RCX, RDX Hex
	RSI, RDI, RBP      Hex
	R8, R9, R10, R11   Hex
	R12, R13, R14, R15 Hex
	CR0, CR2, CR3, CR4 Hex
	EFER               Hex
}

// Frame is a function on the stack, innermost first; each inlined function is a frame of its own.
type Frame struct {
	Function  string     `json:"function"`
	Symbol    string     `json:"symbol,omitempty"` // where the symbol's name differs from the source's
	Module    string     `json:"module,omitempty"` // that the function is in; empty for the kernel itself
	Offset    uint64     `json:"offset"`           // bytes from the symbol to pc
	Size      uint64     `json:"size"`             // bytes of the symbol
	File      string     `json:"file,omitempty"`
	Line      int        `json:"line,omitempty"`
	PC        Hex        `json:"pc"`               // run-time value
	Return    bool       `json:"return,omitempty"` // pc is a return address: file and line are of the call before it
	Inline    bool       `json:"inline"`
	FoundBy   string     `json:"found_by"`
	Exception *Exception `json:"exception,omitempty"` // on the frame an exception interrupted
	Args      []Arg      `json:"args,omitempty"`
	Reason    string     `json:"reason,omitempty"` // why there is no name or line
	Cause     bool       `json:"cause,omitempty"`  // the frame that Cause names
	Outside   bool       `json:"-"`                // File is relative to a module's own directory, not to the kernel tree
	Repeat    *Repeat    `json:"repeat,omitempty"` // frames that are left out after this one
}

// Repeat stands for frames in the middle of a recursion, which are left out.
type Repeat struct {
	Functions []string `json:"functions"` // of one round, innermost first
	Times     int      `json:"times"`     // rounds in all, those that are shown included
	LeftOut   int      `json:"left_out"`  // frames, each inlined function counted
}

// Arg is an argument or local as C text.
type Arg struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
	Local bool   `json:"local,omitempty"` // a local variable, no argument
	// Declaration is name and type as C declares them, "int (*fn)(void)"; "" is not known.
	Declaration string `json:"-"`
}

// Task is a task that blocks a hang.
type Task struct {
	PID    int     `json:"pid"`
	Comm   string  `json:"comm"`
	State  string  `json:"state"`
	CPU    *int    `json:"cpu,omitempty"` // the vCPU that it runs on; none when it waits
	Frames []Frame `json:"frames"`
}

// Write is who wrote some memory last before the death, or before the end of a good boot.
type Write struct {
	Expression string  `json:"expression"`
	Address    Hex     `json:"address"` // run-time value
	Size       int     `json:"size"`    // bytes
	Old        Hex     `json:"old"`     // up to eight bytes at Offset, before the last write
	New        Hex     `json:"new"`
	Writers    int     `json:"writers"` // how often it was written from power-on
	Frames     []Frame `json:"frames"`  // of the last writer, innermost first; empty when there was none

	Function string   `json:"function,omitempty"` // the last writer by name: the innermost that is no accessor and no memset
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Offset   int      `json:"offset,omitempty"` // of Old and New in the memory, in bytes: the first ones that changed
	CPU      int      `json:"cpu"`              // of the last writer
	Via      string   `json:"via,omitempty"`    // the mapping it was written by
	Earlier  []Writer `json:"earlier,omitempty"`
	Stopped  string   `json:"stopped,omitempty"` // why the backtrace ends where it does
	Loading  bool     `json:"loading,omitempty"` // the last writer loaded or unpacked the kernel
	Sampled  bool     `json:"sampled,omitempty"` // not every write was seen, there were too many: Writers is a lower bound
	Watched  []string `json:"watched,omitempty"` // the mappings that were watched
	// Slide is the KASLR slide of the boot that was watched, not of the plain one: pc minus it is vmlinux's. The same holds for Address.
	Slide Hex `json:"kaslr_slide"`
}

// Writer is a writer before the last one, the oldest first.
type Writer struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	PC       Hex    `json:"pc"`
	Old      Hex    `json:"old"`
	New      Hex    `json:"new"`
	Via      string `json:"via,omitempty"`
	Loading  bool   `json:"loading,omitempty"` // all that loaded or unpacked the kernel, as one
}

// Warning is a WARN, fix-up or other event that the kernel survived.
type Warning struct {
	Summary string  `json:"summary"`
	Frames  []Frame `json:"frames"`
	// Signature is what it would be the death of a boot by, see [Sign].
	Signature string `json:"signature,omitempty"`
}

// LogLine is one printk record, cleaned of control characters.
type LogLine struct {
	Seq   uint64  `json:"seq"`
	Time  float64 `json:"time"` // seconds since boot
	Level int     `json:"level"`
	Text  string  `json:"text"`
	Open  bool    `json:"open,omitempty"` // not finalized: no console has printed it
}

// Kernel identifies what ran.
type Kernel struct {
	Release    string `json:"release"`
	BuildID    string `json:"build_id"`
	KASLRSlide Hex    `json:"kaslr_slide"`
	PhysBase   Hex    `json:"phys_base,omitempty"`

	CommandLine string `json:"command_line,omitempty"` // as the kernel has it
}

// Workload is what the guest did in userspace, by its own word.
type Workload struct {
	Name  string         `json:"name"`
	Ended bool           `json:"ended"` // it came to its end
	Steps []WorkloadStep `json:"steps"` // in the order in which they began
}

// WorkloadStep is a part of a workload. Outcome is ok, not there (the kernel or the image lacks it), failed, or begun for one that
// did not end: the kernel died in it.
type WorkloadStep struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Note    string `json:"note,omitempty"` // what is not there, or what failed
}

// Machine identifies what it ran on.
type Machine struct {
	Name   string `json:"name"`
	Accel  string `json:"accel"`
	Memory uint64 `json:"memory"` // bytes
	CPUs   int    `json:"cpus"`
	CPU    string `json:"cpu,omitempty"` // the model that was asked for; "" for the accelerator's default
}

// Timing is wall time in seconds.
type Timing struct {
	Build   float64 `json:"build"`
	Boot    float64 `json:"boot"`    // from letting QEMU go to the stop
	Examine float64 `json:"examine"` // from the stop to the finished result
}

// Artifacts are absolute paths of files that stay.
type Artifacts struct {
	Console     string `json:"console,omitempty"`
	Log         string `json:"log,omitempty"`
	QEMUCommand string `json:"qemu_command,omitempty"`
	Exceptions  string `json:"exceptions,omitempty"` // QEMU's log of those of the early boot
	VMCore      string `json:"vmcore,omitempty"`
	Result      string `json:"result,omitempty"`
	Dir         string `json:"dir,omitempty"`
	BuildLog    string `json:"build_log,omitempty"`
	Vmlinux     string `json:"vmlinux,omitempty"`
	Report      string `json:"report,omitempty"`
	GDBCommand  string `json:"gdb_command,omitempty"` // a command line, not a path
}

// Error is why kcatch has no verdict on the kernel.
type Error struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
