package doctor

import (
	"kcatch/harness/machine"
	"kcatch/kernels"
)

// Facts are what was found. An error is a fact too.
type Facts struct {
	Root bool   // commands need no sudo
	User string // who is in groups, or is not

	Tools    []kernels.Tool
	Compiler string // the first line of its --version
	Apt      bool   // Debian's sources can be downloaded

	QEMU      machine.Emulator
	QEMUError error
	KVM       machine.Choice // what was chosen when it was free to choose
	KVMError  error
	CPUHas    string // vmx or svm: what the host's CPU says it has for virtual machines; empty: nothing
	Replay    string // what is wrong with record and replay; empty: nothing
	ReplayErr error

	Busybox      string
	BusyboxError error

	CacheDir   string
	Free       uint64 // bytes where the cache is
	FreeKnown  bool
	CacheBytes int64
	Sources    int // unpacked sources in the cache
	CacheError error

	// Extras are the programs that read what a boot leaves: gdb, drgn. True when it is there.
	Extras map[string]bool

	Kernel *Kernel // nil: none was given
}

// Kernel is what a vmlinux has.
type Kernel struct {
	Path, Release string
	DWARF         int  // its version; 0: no debug information
	DebugFrame    bool // .debug_frame, which gives the values in outer frames
	ORC           error
	Symbols       string // symtab, kallsyms, or empty
	PVH           bool
	// Option is a symbol's value in the configuration: y, m, n, or empty when it is not known. ConfigFrom says where it is from; empty:
	// there is none.
	Option     func(symbol string) string
	ConfigFrom string
	// Moves is whether the kernel has the code of KASLR, by its symbols.
	Moves bool
}
