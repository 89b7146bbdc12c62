package unwind

import (
	"bytes"

	"kcatch/gdb/amd64"
)

var (
	endbr64  = []byte{0xf3, 0x0f, 0x1e, 0xfa}
	fentry   = []byte{0xe8}                         // call __fentry__, 5 bytes
	nop5     = []byte{0x0f, 0x1f, 0x44, 0x00, 0x00} // what ftrace leaves in its place
	pushRBP  = []byte{0x55}
	movRBP   = []byte{0x48, 0x89, 0xe5} // mov %rsp,%rbp as gcc and clang encode it
	movRBP8B = []byte{0x48, 0x8b, 0xec} // the other encoding
)

// Prologue is how a function of a frame-pointer kernel begins: offsets from its start of the first byte after
// `push %rbp` and after `mov %rsp,%rbp`.
type Prologue struct {
	Pushed, Set uint64
}

// ParsePrologue reads a function's first bytes, 32 are enough:
//
//	f3 0f 1e fa        endbr64                (CONFIG_X86_KERNEL_IBT)
//	e8 xx xx xx xx     call __fentry__        (or its nop)
//	55                 push %rbp
//	...                instructions that touch neither: gcc 12 puts the copies of arguments here
//	48 89 e5           mov %rsp,%rbp
//
// ok is false when the function keeps no frame pointer. What stands between is not decoded: three bytes of it that look
// like the mov by chance have not been seen.
func ParsePrologue(code []byte) (p Prologue, ok bool) {
	at := 0
	skip := func(prefix []byte, n int) bool {
		if !bytes.HasPrefix(code[at:], prefix) || len(code)-at < n {
			return false
		}
		at += n
		return true
	}
	skip(endbr64, len(endbr64))
	if !skip(fentry, 5) {
		skip(nop5, len(nop5))
	}
	if !skip(pushRBP, 1) {
		return Prologue{}, false
	}
	p.Pushed = uint64(at)
	set := -1
	for _, mov := range [...][]byte{movRBP, movRBP8B} {
		if n := bytes.Index(code[at:], mov); n >= 0 && (set < 0 || n < set) {
			set = n
		}
	}
	p.Set = uint64(at + set + len(movRBP))
	return p, set >= 0
}

// FramePointerRow describes the code offset bytes into a function of a frame-pointer kernel. Before the frame is
// made and after it is taken down, the CFA hangs on rsp:
//
//	start            [rsp] = return address           cfa = rsp + 8,   rbp = rbp
//	after push       [rsp] = rbp                      cfa = rsp + 16,  rbp = *(cfa - 16)
//	after mov        [rbp] = rbp, [rbp+8] = return    the chain
//	at the final ret [rsp] = return address           cfa = rsp + 8,   rbp = rbp
//
// atRet says that the instruction there is a ret.
func FramePointerRow(p Prologue, offset uint64, atRet bool) Row {
	switch {
	case atRet || offset < p.Pushed:
		row := callRow(CFARule{Kind: CFARegister, Reg: amd64.RSP, Offset: 8})
		row.Regs[amd64.RBP] = Rule{Kind: Same}
		return row
	case offset < p.Set:
		row := callRow(CFARule{Kind: CFARegister, Reg: amd64.RSP, Offset: 16})
		row.Regs[amd64.RBP] = Rule{Kind: AtCFA, Offset: -16}
		return row
	}
	return Row{CFA: CFARule{Kind: CFAChain}}
}

// EndsInCall reports whether code, the bytes before a return address, ends in a call instruction: e8 rel32, or
// ff /2 with any memory or register operand (2 to 7 bytes, one more with a REX prefix, which need not be seen).
func EndsInCall(code []byte) bool {
	n := len(code)
	if n >= 5 && code[n-5] == 0xe8 {
		return true
	}
	for size := 2; size <= 7 && size <= n; size++ {
		c := code[n-size:]
		if c[0] != 0xff || c[1]>>3&7 != 2 {
			continue
		}
		if modRMLength(c[1:]) == size-1 {
			return true
		}
	}
	return false
}

// modRMLength is the length of a ModRM byte with its SIB byte and displacement (SDM vol. 2A, table 2-2).
func modRMLength(c []byte) int {
	mod, rm := c[0]>>6, c[0]&7
	if mod == 3 {
		return 1
	}
	n := 1
	sibBase := byte(0)
	if rm == 4 {
		n++
		if len(c) > 1 {
			sibBase = c[1] & 7
		}
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5, mod == 0 && rm == 4 && sibBase == 5:
		n += 4
	}
	return n
}
