package unwind

import (
	"errors"
	"strings"

	"kcatch/gdb/amd64"
)

// Code is what a [Kernel] asks of a vmlinux. All addresses are link-time ones.
type Code interface {
	IsText(link uint64) bool
	// ORC returns the entry for the code at link; ok is false when the kernel has none for it.
	ORC(link uint64) (ORC, bool)
	// HasORC reports whether there is an ORC table at all.
	HasORC() bool
	// CFI returns the .debug_frame row for link; it fails when there is none.
	CFI(link uint64) (Row, error)
	// Function names the function at link and gives its first address.
	Function(link uint64) (name string, start uint64, ok bool)
	// CodeAt returns up to n bytes at link; fewer, or none, where the file has no more.
	CodeAt(link uint64, n int) []byte
}

// Kernel is the [Image] of a kernel that runs: its file and where it was put.
// Modules and generated code are not part of it; a module is a Kernel of its own, without a slide (see [Images]).
type Kernel struct {
	Code Code
	// Slide is run-time address minus link address of the kernel mapping (KASLR), modulo 2^64.
	Slide uint64
	// Text and End are the link addresses _text and _end.
	Text, End uint64
	// Phys is where _text lies in guest-physical memory. While startup_64 runs, the pc is a physical address and
	// link = pc - Phys + Text. Zero: no such code is expected.
	Phys uint64
	// WithCFI adds .debug_frame's rules for rbx and r12..r15, which ORC does not know. It costs a pass over the
	// section (20 ms for a distribution kernel), so ask for it when values in outer frames are wanted.
	WithCFI bool
	// FramePointers says that the kernel keeps rbp as a frame pointer (see [KeepsFramePointers]). It matters
	// only where there is neither ORC nor .debug_frame.
	FramePointers bool
}

// Link translates a run-time code address; ok is false when it is not in the kernel's image.
func (k *Kernel) Link(run uint64) (link uint64, ok bool) {
	if link = run - k.Slide; link >= k.Text && link < k.End {
		return link, true
	}
	if k.Phys != 0 && run >= k.Phys && run-k.Phys < k.End-k.Text {
		return run - k.Phys + k.Text, true
	}
	return 0, false
}

// IsText implements [Image].
func (k *Kernel) IsText(run uint64) bool {
	link, ok := k.Link(run)
	return ok && k.Code.IsText(link)
}

// AfterCall implements [CallSites].
func (k *Kernel) AfterCall(ret uint64) bool {
	link, ok := k.Link(ret - 1)
	if !ok {
		return false
	}
	const most = 7
	code := k.Code.CodeAt(link+1-most, most)
	return len(code) == most && EndsInCall(code)
}

// Row implements [Image]. ORC comes first, because it knows assembly and exception entry; a kernel without it is
// unwound by .debug_frame, by the frame-pointer chain, and where there is nothing by a scan.
func (k *Kernel) Row(pc PC) (Row, FoundBy, error) {
	link, ok := k.Link(pc.Lookup())
	if !ok {
		return Row{}, "", ErrNoRow
	}
	if k.Code.HasORC() {
		return k.orcRow(link)
	}
	name, start, named := k.Code.Function(link)
	if named {
		if row, ok := assemblyRow(name); ok {
			return row, ByScan, nil
		}
	}
	if row, err := k.Code.CFI(link); err == nil {
		return row, ByCFI, nil
	}
	if !k.FramePointers {
		return Row{CFA: CFARule{Kind: CFAScan}}, ByScan, nil
	}
	// A function that makes no frame of its own is passed over by the chain, like any leaf.
	prologue, _ := ParsePrologue(k.Code.CodeAt(start, 32))
	if !named {
		prologue = Prologue{}
	}
	code := k.Code.CodeAt(link, 1)
	atRet := pc.Kind == Exact && len(code) == 1 && code[0] == 0xc3
	return FramePointerRow(prologue, link-start, atRet), ByFramePointer, nil
}

// orcRow is the kernel's own row. Where it has none the compiler's serves: __crash_kexec() has no ORC (kernel/kexec_core.c in
// Debian's 6.1.192), and that is where the CPU that panicked stands in each of kdump's cores.
func (k *Kernel) orcRow(link uint64) (Row, FoundBy, error) {
	row, err := Row{}, ErrNoRow
	if entry, ok := k.Code.ORC(link); ok {
		row, err = entry.Row()
	}
	if errors.Is(err, ErrNoRow) {
		if row, err := k.Code.CFI(link); err == nil {
			return row, ByCFI, nil
		}
		if name, _, named := k.Code.Function(link); named && name == "do_suspend_lowlevel" {
			// Nothing is on its stack where it calls x86_acpi_enter_sleep_state() (arch/x86/kernel/acpi/wakeup_64.S: objtool leaves the file out).
			return callRow(CFARule{Kind: CFARegister, Reg: amd64.RSP, Offset: 8}), ByScan, nil
		}
	}
	if err != nil {
		return Row{}, "", err
	}
	if k.WithCFI && row.Trap == TrapNone && !row.End {
		if saved, err := k.Code.CFI(link); err == nil {
			row.Saved = &saved
		}
	}
	return row, ByORC, nil
}

// assemblyRow describes the assembly that an early death runs through, for kernels that have no ORC:
//
//   - early_idt_handler_common calls do_early_exception with the pt_regs on top of its stack (head_64.S:431 in 6.1):
//     regs = rsp. It does not encode the frame pointer as the later entry code does.
//   - startup code and ret_from_fork have no caller.
func assemblyRow(name string) (Row, bool) {
	switch {
	case name == "early_idt_handler_common":
		return PtRegsRow(amd64.RSP, 0), true
	case strings.HasPrefix(name, "secondary_startup_64"), name == "startup_64", name == "common_startup_64",
		strings.HasPrefix(name, "ret_from_fork"):
		return Row{End: true}, true
	}
	return Row{}, false
}

// KeepsFramePointers looks at functions that every kernel has and whether they make a frame.
func KeepsFramePointers(code Code, starts []uint64) bool {
	for _, start := range starts {
		if _, ok := ParsePrologue(code.CodeAt(start, 32)); !ok {
			return false
		}
	}
	return len(starts) > 0
}
