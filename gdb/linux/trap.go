package linux

import "encoding/binary"

// TrapKind is what an instruction that raises #UD on purpose is for. The zero value is "no trap".
type TrapKind uint8

const (
	// NoTrap: not one of the kernel's trap instructions.
	NoTrap TrapKind = iota
	// UD2 is BUG, WARN, or a failed kCFI check; the bug table tells.
	UD2
	// UBSANTrap is a check of CONFIG_UBSAN_TRAP; Check says which.
	UBSANTrap
	// UD1 is another ud1: with operand (%edx),%rdi it is a WARN with a format (6.19+, rdi = the bug_entry), with
	// %esp,%ecx the mark of a static call that was never set.
	UD1
	// UDB is the one-byte trap of later FineIBT kernels.
	UDB
)

// Trap is a decoded trap instruction.
type Trap struct {
	Kind TrapKind
	Len  int // bytes
	// Check is the number of the UBSAN check and Name its name, empty for one that is not known.
	Check int32
	Name  string
	// Format: a WARN with a format (see UD1).
	Format bool
}

// ubsanChecks is clang's SanitizerHandler (clang/lib/CodeGen/CodeGenFunction.h), as lib/ubsan.h of 6.12 has it.
var ubsanChecks = [...]string{
	"add overflow", "builtin unreachable", "cfi check fail", "divrem overflow", "dynamic type cache miss",
	"float cast overflow", "function type mismatch", "implicit conversion", "invalid builtin", "invalid objc cast",
	"load of invalid value", "missing return", "mul overflow", "negate overflow", "nullability arg",
	"nullability return", "nonnull arg", "nonnull return", "out of bounds", "pointer overflow",
	"shift out of bounds", "sub overflow", "type mismatch", "alignment assumption", "vla bound not positive",
}

// DecodeTrap decodes the instruction at code[0]. The encodings, arch/x86/kernel/traps.c decode_bug() of 6.12 and
// arch/x86/include/asm/bug.h:
//
//	0f 0b             ud2                BUG, WARN, kCFI
//	67 0f b9 00       ud1 (%eax),%eax    UBSAN check 0
//	67 0f b9 40 10    ud1 0x10(%eax),%eax  UBSAN check 0x10
//	0f b9 cc          ud1 %esp,%ecx      static call
//	67 48 0f b9 3a    ud1 (%edx),%rdi    WARN with format
//	d6                udb
func DecodeTrap(code []byte) Trap {
	at := 0
	next := func() (byte, bool) {
		if at >= len(code) {
			return 0, false
		}
		at++
		return code[at-1], true
	}
	b, ok := next()
	if ok && b == 0xd6 {
		return Trap{Kind: UDB, Len: 1}
	}
	if ok && b == 0x67 {
		b, ok = next()
	}
	rexW := false
	if ok && b&0xf8 == 0x48 {
		rexW = true
		b, ok = next()
	}
	if !ok || b != 0x0f {
		return Trap{}
	}
	switch b, _ = next(); b {
	case 0x0b:
		return Trap{Kind: UD2, Len: at}
	case 0xb9:
	default:
		return Trap{}
	}
	modrm, ok := next()
	if !ok {
		return Trap{}
	}
	n := modRMExtra(modrm, code[at:])
	if at+n > len(code) {
		return Trap{}
	}
	t := Trap{Kind: UD1, Len: at + n, Format: rexW && modrm == 0x3a}
	if modrm>>3&7 != 0 || rexW {
		return t
	}
	t.Kind = UBSANTrap
	switch modrm >> 6 {
	case 1:
		t.Check = int32(int8(code[at+n-1]))
	case 2:
		t.Check = int32(binary.LittleEndian.Uint32(code[at+n-4:]))
	}
	if t.Check >= 0 && int(t.Check) < len(ubsanChecks) {
		t.Name = ubsanChecks[t.Check]
	}
	return t
}

// modRMExtra is the number of bytes of SIB and displacement after a ModRM byte (SDM vol. 2A, table 2-2).
func modRMExtra(modrm byte, rest []byte) int {
	mod, rm := modrm>>6, modrm&7
	if mod == 3 {
		return 0
	}
	n := 0
	noBase := mod == 0 && rm == 5
	if rm == 4 {
		n = 1
		noBase = mod == 0 && len(rest) > 0 && rest[0]&7 == 5
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, noBase:
		n += 4
	}
	return n
}
