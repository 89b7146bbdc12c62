package linux

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"kcatch/gdb/amd64"
)

// Instruction is one machine instruction in GNU syntax.
type Instruction struct {
	Bytes []byte
	Text  string // "movq $0x1,0x30(%rdi)"
	// Accesses is the memory it touches: none, mostly one, two for `movsb` or `push (%rax)`.
	Accesses []Access
}

// At returns the access that touches addr: the one at fault, given CR2. An access whose size is not known counts as one
// of a byte.
func (i Instruction) At(addr uint64) (Access, bool) {
	for _, a := range i.Accesses {
		if addr-a.Addr < uint64(max(a.Size, 1)) {
			return a, true
		}
	}
	return Access{}, false
}

// MaxInstruction is the length of the longest x86 instruction, in bytes.
const MaxInstruction = 15

var vmcall, vmmcall = []byte{0x0f, 0x01, 0xc1}, []byte{0x0f, 0x01, 0xd9}

// special are instructions that x86asm does not know and the kernel is full of.
var special = []struct {
	code []byte
	text string
}{
	{[]byte{0xf3, 0x0f, 0x1e, 0xfa}, "endbr64"},
	{[]byte{0xf3, 0x0f, 0x1e, 0xfb}, "endbr32"},
	{[]byte{0x0f, 0x01, 0xca}, "clac"},
	{[]byte{0x0f, 0x01, 0xcb}, "stac"},
	{[]byte{0x67, 0x48, 0x0f, 0xb9, 0x3a}, "ud1 (%edx),%rdi"},
	{[]byte{0x0f, 0xb9, 0xcc}, "ud1 %esp,%ecx"},
	{[]byte{0xd6}, "udb"},
	{[]byte{0xea}, "(bad)"}, // FineIBT's marker; no instruction in 64-bit mode
	{[]byte{0x0f, 0x01, 0xe8}, "setssbsy"},
	{vmcall, "vmcall"},
	{vmmcall, "vmmcall"},
	{[]byte{0xf2, 0x0f, 0x01, 0xca}, "erets"},
	{[]byte{0xf3, 0x0f, 0x01, 0xca}, "eretu"},
}

// Symbolize names an address: the symbol around it and where that begins; name is empty when there is none.
type Symbolize func(addr uint64) (name string, base uint64)

// Explain disassembles the 64-bit instruction at code[0], which lies at run-time address regs.RIP, and works out the
// memory it touches with these registers. code may be longer than the instruction; give [MaxInstruction] bytes. symbols
// may be nil. Bytes that are no instruction are an error.
func Explain(code []byte, regs amd64.Registers, symbols Symbolize) (Instruction, error) {
	for _, s := range special {
		if bytes.HasPrefix(code, s.code) {
			return Instruction{Bytes: code[:len(s.code)], Text: s.text}, nil
		}
	}
	if t := DecodeTrap(code); t.Kind == UBSANTrap {
		return Instruction{Bytes: code[:t.Len], Text: fmt.Sprintf("ud1 0x%x(%%eax),%%eax", uint32(t.Check))}, nil
	}
	inst, err := decode(code)
	if err != nil {
		return Instruction{}, fmt.Errorf("disassemble: 0x%x: % x: %w", regs.RIP, code[:min(len(code), MaxInstruction)], err)
	}
	ins := Instruction{Bytes: code[:inst.Len], Text: gnuText(inst, regs.RIP, symbols)}
	ins.Accesses = accesses(inst, regs)
	return ins, nil
}

// decode is x86asm.Decode for bytes that may be anything: what it gives up on by a panic is an error too.
func decode(code []byte) (inst x86asm.Inst, err error) {
	defer func() {
		if p := recover(); p != nil {
			inst, err = x86asm.Inst{}, fmt.Errorf("decoder: %v", p)
		}
	}()
	inst, err = x86asm.Decode(code[:min(len(code), MaxInstruction)], 64)
	// It takes prefixes with nothing behind them for an instruction with no operation.
	if err == nil && (inst.Op == 0 || inst.Len <= 0 || inst.Len > len(code)) {
		err = x86asm.ErrTruncated
	}
	return inst, err
}

func gnuText(inst x86asm.Inst, pc uint64, symbols Symbolize) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = inst.Op.String()
		}
	}()
	text = x86asm.GNUSyntax(inst, pc, x86asm.SymLookup(symbols))
	// r12 and rsp as a base need a SIB byte; its absent index is nothing a reader has to know, and objdump is silent too.
	for _, op := range [...]string{"call", "ret", "jmp", "leave"} {
		if rest, ok := strings.CutPrefix(text, op+"q"); ok {
			text = op + rest // as binutils since 2.37
		}
	}
	return strings.Replace(strings.Replace(text, ",%riz,1)", ")", 1), ",%riz)", ")", 1)
}
