package verdict

import "slices"

// Class is how a boot ended. The zero value is invalid: a verdict is always said, never defaulted.
type Class string

// The classes of the contract. The first death gives the class: a panic that follows an oops stays an oops.
const (
	OK                Class = "ok"
	EarlyException    Class = "early-exception"
	Oops              Class = "oops"
	Bug               Class = "bug"
	Warn              Class = "warn"
	Panic             Class = "panic"
	DoubleFault       Class = "double-fault"
	TripleFault       Class = "triple-fault"
	DecompressorError Class = "decompressor-error"
	Hang              Class = "hang"
	Reset             Class = "reset"
	Shutdown          Class = "shutdown"
	NoKernel          Class = "no-kernel"
)

// Classes lists every class in the order of the contract.
func Classes() []Class {
	return []Class{OK, EarlyException, Oops, Bug, Warn, Panic, DoubleFault, TripleFault, DecompressorError, Hang, Reset,
		Shutdown, NoKernel}
}

// ClassNames is [Classes] as strings, for flags and completion.
func ClassNames() []string {
	var names []string
	for _, c := range Classes() {
		names = append(names, string(c))
	}
	return names
}

// Known reports whether c is a class of the contract.
func (c Class) Known() bool { return slices.Contains(Classes(), c) }

// HangKind is what a kernel that makes no progress is doing.
type HangKind string

// The kinds of hang.
const (
	SpinIRQsOff HangKind = "spin-irqs-off" // executing with interrupts off
	Spin        HangKind = "spin"          // executing with interrupts on, without progress
	Idle        HangKind = "idle"          // every vCPU waits for an interrupt that nobody will send
	Halted      HangKind = "halted"        // halted with interrupts off
)

// Stage is how far the boot came. FACTS of each: docs/architecture.md, "Stages".
type Stage string

// The stages, in the order in which a boot passes through them.
const (
	Firmware     Stage = "firmware"
	Setup        Stage = "setup"
	Decompressor Stage = "decompressor"
	Startup64    Stage = "startup_64"
	EarlyC       Stage = "early-c"
	EarlyIDT     Stage = "early-idt"
	StartKernel  Stage = "start_kernel"
	Initcall     Stage = "initcall"
	Init         Stage = "init"
	Userspace    Stage = "userspace"
)

// Stages lists every stage in boot order.
func Stages() []Stage {
	return []Stage{Firmware, Setup, Decompressor, Startup64, EarlyC, EarlyIDT, StartKernel, Initcall, Init, Userspace}
}
