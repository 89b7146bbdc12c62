package faults

import "time"

// A Kernel is what faults run on: built from a tree, or taken as a distribution built it.
type Kernel struct {
	Name string
	// Tree, Patches and Config are as in kernels.Request; a patch may be a diff of this directory. Tree is empty for a
	// kernel that is not built here.
	Tree    string
	Patches []string
	Config  []string
	// Fixture is the directory under fixtures/ of the cache where "make fixtures" puts this kernel; empty when it does not.
	Fixture string
	// Where is FILE:LINE of the stanza.
	Where string
}

// A Fault is one boot and the verdict that it must get.
type Fault struct {
	Name string
	What string // one line
	On   Kernel

	Append  string
	Memory  uint64 // bytes; 0: as kcatch boot has it, as for all that is left out
	CPUs    int
	Machine string
	Run     string
	Initrd  string // "none", or empty
	Until   string
	FailOn  []string
	Timeout time.Duration
	Edit    *Edit // of the bzImage; nil: none

	// Slice is set for a fault that "make test" boots: it is quick, or becomes so when Quiet is lowered.
	Slice bool
	Want  Expectation
	Where string // FILE:LINE of the stanza
}

// An Expectation is what must be true of a result. What is left empty may be anything.
type Expectation struct {
	Class, Hang, Stage, StageCall string

	// Cause is cause.function; "none" when there may be no cause. InlinedInto is all of cause.inlined_into.
	Cause       string
	InlinedInto []string
	// Frames are functions of the chain that has the cause, outward from it, in this order; others may be between.
	Frames []string
	// Vector and ErrorCode of the exception; nil: anything. A vector of -1 says that there is none.
	Vector    *int
	ErrorCode *uint64
	// Summary is a part of the summary.
	Summary string
	// Warnings is how many there are; nil: any number.
	Warnings *int
	// Writer is the function that "--who-wrote auto" must name; empty: it is not asked.
	Writer string
	// Tasks are functions in the chain of task 1, innermost first, others between.
	Tasks []string
}

// Good reports whether the kernel must be found good.
func (e Expectation) Good() bool { return e.Class == "ok" }
