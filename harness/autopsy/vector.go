package autopsy

import (
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
)

// handlerVectors maps the entry code of entry_64.S to its vector (DECLARE_IDTENTRY*, arch/x86/include/asm/idtentry.h).
var handlerVectors = map[string]amd64.Vector{
	"asm_exc_divide_error": 0, "asm_exc_debug": 1, "asm_exc_nmi": 2, "asm_exc_int3": 3, "asm_exc_overflow": 4,
	"asm_exc_bounds": 5, "asm_exc_invalid_op": 6, "asm_exc_device_not_available": 7, "asm_exc_double_fault": 8,
	"asm_exc_coproc_segment_overrun": 9, "asm_exc_invalid_tss": 10, "asm_exc_segment_not_present": 11,
	"asm_exc_stack_segment": 12, "asm_exc_general_protection": 13, "asm_exc_page_fault": 14,
	"asm_exc_coprocessor_error": 16, "asm_exc_alignment_check": 17, "asm_exc_machine_check": 18,
	"asm_exc_simd_coprocessor_error": 19, "asm_exc_virtualization_exception": 20, "asm_exc_control_protection": 21,
	"asm_exc_vmm_communication": 29,
}

// interrupt names the interrupt that an entry symbol is of: asm_sysvec_apic_timer_interrupt, asm_common_interrupt
// (arch/x86/include/asm/idtentry.h). ok is false for exceptions.
func interrupt(entered string) (name string, ok bool) {
	for _, prefix := range []string{"asm_sysvec_", "asm_common_", "asm_spurious_"} {
		if strings.HasPrefix(entered, prefix) {
			return "interrupt (" + strings.TrimPrefix(strings.TrimPrefix(entered, "asm_"), "sysvec_") + ")", true
		}
	}
	return "", false
}

// guessVector deduces the vector of an exception from the instruction it hit, the error code that was pushed, and CR2.
// It is a guess, because CR2 may be of an older fault, and is marked as one.
//
//	ud2, ud1          #UD
//	int3 before       #BP (the saved pc is after it)
//	error code 0, div #DE
//	cr2 is touched    #PF: the instruction's memory operand lies at CR2, or the pc itself does
//	else              #GP when an error code or a non-canonical operand says so
func guessVector(in linux.Instruction, pc, errorCode, cr2 uint64) (amd64.Vector, bool) {
	code := in.Bytes
	_, touched := in.At(cr2)
	switch {
	case len(code) >= 2 && code[0] == 0x0f && (code[1] == 0x0b || code[1] == 0xb9):
		return amd64.InvalidOpcode, true
	case touched, pc <= cr2 && cr2-pc < linux.MaxInstruction:
		return amd64.PageFault, true
	case isDivide(code) && errorCode == 0:
		return amd64.DivideError, true
	case slices.ContainsFunc(in.Accesses, func(a linux.Access) bool { return !canonical(a.Addr) }):
		return amd64.GeneralProtection, true
	case isMSR(code):
		return amd64.GeneralProtection, true
	}
	return 0, false
}

// canonical: bits 63..47 are equal (SDM vol. 1, 3.3.7.1), or 63..56 with 5-level paging, which is the laxer rule.
func canonical(a uint64) bool {
	top := int64(a) >> 56
	return top == 0 || top == -1
}

// isDivide: DIV and IDIV are f6 and f7 with /6 and /7 (SDM vol. 2A), possibly after prefixes.
func isDivide(code []byte) bool {
	for i, b := range code {
		switch {
		case b == 0x66, b >= 0x40 && b <= 0x4f: // operand size, REX
			continue
		case b == 0xf6, b == 0xf7:
			return i+1 < len(code) && code[i+1]>>3&7 >= 6
		}
		return false
	}
	return false
}

// isMSR: RDMSR is 0f 32, WRMSR 0f 30.
func isMSR(code []byte) bool {
	return len(code) >= 2 && code[0] == 0x0f && (code[1] == 0x32 || code[1] == 0x30)
}
