package amd64

import "fmt"

// Registers is the state of one vCPU as a debugger sees it, in the 64-bit layout.
// In 16- and 32-bit mode the upper halves read as zero and R8..R15 are zero.
// RIP is the offset in CS: in real mode the linear address is CS.base+RIP (see [Registers.LinearPC]).
type Registers struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP                                    uint64
	EFLAGS                                 uint64
	CS, SS, DS, ES, FS, GS                 uint16
	FSBase, GSBase, KernelGSBase           uint64
	CR0, CR2, CR3, CR4, CR8, EFER          uint64
}

// Reg names a register by its DWARF number (System V ABI AMD64 psABI, figure 3.36).
// It differs from gdb's order: DWARF has rdx before rcx and rbx.
type Reg uint8

// The general registers and the return-address column. RIP stands in column 16.
const (
	RAX Reg = iota
	RDX
	RCX
	RBX
	RSI
	RDI
	RBP
	RSP
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
	RIP
	// NumReg is the number of columns a [Reg] can name.
	NumReg = 17
)

var regNames = [NumReg]string{
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
}

func (r Reg) String() string {
	if int(r) < len(regNames) {
		return regNames[r]
	}
	return fmt.Sprintf("reg%d", uint8(r))
}

// Get returns the register of column n; zero for a column that is not a general register.
func (r *Registers) Get(n Reg) uint64 {
	if p := r.slot(n); p != nil {
		return *p
	}
	return 0
}

// Set assigns the register of column n and ignores columns that are not general registers.
func (r *Registers) Set(n Reg, v uint64) {
	if p := r.slot(n); p != nil {
		*p = v
	}
}

func (r *Registers) slot(n Reg) *uint64 {
	switch n {
	case RAX:
		return &r.RAX
	case RDX:
		return &r.RDX
	case RCX:
		return &r.RCX
	case RBX:
		return &r.RBX
	case RSI:
		return &r.RSI
	case RDI:
		return &r.RDI
	case RBP:
		return &r.RBP
	case RSP:
		return &r.RSP
	case R8:
		return &r.R8
	case R9:
		return &r.R9
	case R10:
		return &r.R10
	case R11:
		return &r.R11
	case R12:
		return &r.R12
	case R13:
		return &r.R13
	case R14:
		return &r.R14
	case R15:
		return &r.R15
	case RIP:
		return &r.RIP
	}
	return nil
}

// Bits of EFLAGS, CR0, CR4 and EFER that decide how a stopped vCPU is read (Intel SDM vol. 3A, 2.3 and 2.5).
const (
	FlagIF   = 1 << 9
	FlagDF   = 1 << 10 // string instructions go down
	CR0PE    = 1 << 0
	CR0PG    = 1 << 31
	CR4PAE   = 1 << 5
	CR4LA57  = 1 << 12
	EFERLME  = 1 << 8
	EFERLMA  = 1 << 10
	RPLMask  = 3
	userRing = 3
)

// InterruptsOn reports EFLAGS.IF.
func (r *Registers) InterruptsOn() bool { return r.EFLAGS&FlagIF != 0 }

// User reports whether the vCPU executes in ring 3.
func (r *Registers) User() bool { return r.CS&RPLMask == userRing }

// Long reports whether the vCPU is in long mode (64-bit or compatibility).
func (r *Registers) Long() bool { return r.EFER&EFERLMA != 0 }

// LinearPC is the linear address of the next instruction. Only real mode has a code segment base that
// is not in [Registers]; there it is CS<<4, and at reset 0xffff0000, as after a power-on (SDM vol. 3A, 9.1.4).
func (r *Registers) LinearPC() uint64 {
	if r.CR0&CR0PE != 0 {
		return r.RIP
	}
	if r.CS == 0xf000 && r.RIP == 0xfff0 {
		return 0xffff0000 + r.RIP
	}
	return uint64(r.CS)<<4 + r.RIP
}
