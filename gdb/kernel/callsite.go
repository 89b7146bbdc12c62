package kernel

import (
	"encoding/binary"

	"kcatch/gdb/vmlinux"
)

// maxFunction bounds the bytes of a function that CallSite looks through.
const maxFunction = 64 << 10

// CallSite is the link address of the instruction in the function from that calls or jumps to the entry of the function
// to: where a breakpoint sees the same arguments as at that entry, and has another page. ok is false when there is no
// such instruction, because the compiler inlined one of them or the call is conditional or indirect.
//
//	e8 rel32  call      e9 rel32  jmp      target = address of the next instruction + rel32    (SDM vol. 2A)
//
// Instructions are not decoded: that five bytes within one by chance name the address of another function has not been seen.
func (k *Kernel) CallSite(from, to string) (vmlinux.Addr, bool) {
	at := k.Lookup(from, to)
	f, target := at[from], at[to]
	if f.Addr == 0 || target.Addr == 0 || f.Size > maxFunction {
		return 0, false
	}
	code, err := k.Bytes(f.Addr, int(f.Size))
	if err != nil {
		return 0, false
	}
	for i := 0; i+5 <= len(code); i++ {
		if code[i] != 0xe8 && code[i] != 0xe9 {
			continue
		}
		next := f.Addr + vmlinux.Addr(i) + 5
		if next+vmlinux.Addr(int32(binary.LittleEndian.Uint32(code[i+1:]))) == target.Addr {
			return f.Addr + vmlinux.Addr(i), true
		}
	}
	return 0, false
}
