// Package decompressor is the first program of a bzImage while it runs: arch/x86/boot/compressed/vmlinux, which unpacks the
// kernel and jumps to it.
//
// It is linked at 0 and runs at two places, one after the other ([Image.Place]): where the boot loader put it, and behind
// the memory that the kernel is unpacked to. It has a symbol table and no debug information, no ORC and no frame pointers,
// so its chain is found by scanning the stack ([Image.Chain]): a word counts as a return address only if the instruction
// before it calls the very function that the frame below is in, or calls through a pointer, as the unpackers call error().
// What error() was given is read from the code of the caller ([Image.Message]), because no console may have it.
//
// It needs the boot vmlinux of the same build as the bzImage, the setup header's values, and the guest's RAM. The
// decompressor runs identity-mapped, so addresses are physical ones.
//
// Source: arch/x86/boot/compressed/{head_64.S,misc.c,error.c}, Documentation/arch/x86/boot.rst.
package decompressor

import (
	"bytes"
	"encoding/binary"

	"kcatch/gdb/amd64"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

// Memory reads guest-physical memory. n < len(p) only with an error.
type Memory interface {
	ReadPhysical(p []byte, addr uint64) (n int, err error)
}

// Setup is what the setup header of the bzImage says, in bytes (boot.rst: kernel_alignment, pref_address, init_size).
type Setup struct {
	Alignment, PrefAddress, InitSize uint64
}

// Image is an open boot vmlinux. Make one with [Open].
type Image struct {
	file *vmlinux.File
	end  uint64 // _end: its size in memory, bss and heap included
}

// loadAddress is where a boot loader, and QEMU, puts the protected-mode part (LOADED_HIGH; QEMU hw/i386/x86.c).
const loadAddress = 0x100000

// Open opens arch/x86/boot/compressed/vmlinux. Its errors are those of vmlinux.Open.
func Open(path string) (*Image, error) {
	f, err := vmlinux.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Image{file: f}
	if s, ok := f.Symbol("_end"); ok {
		d.end = uint64(s.Addr)
	}
	return d, nil
}

// Close closes the file.
func (d *Image) Close() error { return d.file.Close() }

// Matches reports whether the image is the program of a bzImage: runs says whether that has this code at an offset from
// its start. The text section is compared.
func (d *Image) Matches(runs func(code []byte, offset int64) bool) bool {
	text, ok := d.file.Section(".text")
	if !ok {
		return false
	}
	code, err := d.file.Bytes(text.Addr, int(text.Size))
	return err == nil && runs(code, int64(text.Addr))
}

// codeMatch is how many bytes of code must agree with the file for a place to be believed.
const codeMatch = 48

// Place finds where the image runs when pc is in it: base is the address of its byte 0. The code at pc must be the file's.
//
//	first   base = 0x100000
//	later   base = max(align(0x100000, kernel_alignment), pref_address) + init_size - _end     (head_64.S, .Lrelocated)
func (d *Image) Place(pc uint64, s Setup, mem Memory) (base uint64, ok bool) {
	bases := []uint64{loadAddress}
	if s.Alignment != 0 && s.Alignment&(s.Alignment-1) == 0 && s.InitSize > d.end {
		bases = append(bases, max((loadAddress+s.Alignment-1)&^(s.Alignment-1), s.PrefAddress)+s.InitSize-d.end)
	}
	for _, base := range bases {
		if pc < base || pc-base >= d.end {
			continue
		}
		at := (pc - base) &^ (codeMatch - 1)
		want, err := d.file.Bytes(vmlinux.Addr(at), codeMatch)
		got := make([]byte, codeMatch)
		if err != nil || !d.file.IsText(vmlinux.Addr(pc-base)) {
			continue
		}
		if _, err := mem.ReadPhysical(got, base+at); err == nil && bytes.Equal(got, want) {
			return base, true
		}
	}
	return 0, false
}

// Frame is one function of the chain.
type Frame struct {
	PC       uint64 // run-time; the first is exact, the others are return addresses
	Function string
	Offset   uint64 // from the function's start, in bytes
	Size     uint64
}

// Bounds of a scan: the boot stack is 16 KiB (BOOT_STACK_SIZE).
const (
	scanWords = 2048
	maxFrames = 32
)

// Chain is the backtrace of a vCPU whose pc is in the image at base, innermost first.
func (d *Image) Chain(regs amd64.Registers, base uint64, mem Memory) []Frame {
	frame, start, ok := d.at(regs.RIP, regs.RIP, base)
	if !ok {
		return nil
	}
	frames := []Frame{frame}
	var word [8]byte
	for sp, n := regs.RSP&^7, 0; n < scanWords && len(frames) < maxFrames; sp, n = sp+8, n+1 {
		if _, err := mem.ReadPhysical(word[:], sp); err != nil {
			break
		}
		ret := binary.LittleEndian.Uint64(word[:])
		if target, _, ok := d.callBefore(ret, base); !ok || target != start && target != anywhere {
			continue
		}
		if frame, start, ok = d.at(ret, ret-1, base); !ok {
			break
		}
		frames = append(frames, frame)
	}
	return frames
}

// at names the function at lookup; start is its link address.
func (d *Image) at(pc, lookup, base uint64) (f Frame, start uint64, ok bool) {
	link := vmlinux.Addr(lookup - base)
	s, ok := d.file.SymbolAt(link)
	// The end of .head.text is the nearest label before the first lines of .text, which have none (.Lrelocated in head_64.S).
	if text, found := d.file.Section(".text"); ok && found && s.Size == 0 && s.Addr < text.Addr && link >= text.Addr {
		s = vmlinux.Symbol{Name: "_text", Addr: text.Addr}
	}
	return Frame{PC: pc, Function: s.Name, Offset: pc - base - uint64(s.Addr), Size: s.Size}, uint64(s.Addr), ok
}

// Calls: e8 rel32, or ff /2 through a register or memory, 2 to 4 bytes in this program.
const (
	callSize = 5
	anywhere = ^uint64(0) // the target of a call through a pointer
)

// callBefore decodes the call before a return address: the link address that it calls, and its length in bytes.
func (d *Image) callBefore(ret, base uint64) (target uint64, size int, ok bool) {
	link := ret - base
	if link < callSize || link >= d.end || !d.file.IsText(vmlinux.Addr(link-1)) {
		return 0, 0, false
	}
	code, err := d.file.Bytes(vmlinux.Addr(link-callSize), callSize)
	if err != nil {
		return 0, 0, false
	}
	if code[0] == 0xe8 {
		return link + uint64(int64(int32(binary.LittleEndian.Uint32(code[1:])))), callSize, true
	}
	for size := 2; size <= 4; size++ {
		if c := code[callSize-size:]; c[0] == 0xff && c[1]>>3&7 == 2 && unwind.EndsInCall(c) {
			return anywhere, size, true
		}
	}
	return 0, 0, false
}

// maxMessage bounds a message; the longest in 6.12 has 120 bytes.
const maxMessage = 512

// Message is the text that the chain's error() was given: error(char *m) does not return, and its callers load the constant
// shortly before the call:
//
//	48 8d 3d rel32    lea m(%rip),%rdi
//
// It is empty when the chain is not in error() or the caller computed the text.
func (d *Image) Message(chain []Frame, base uint64) string {
	for i := 1; i < len(chain); i++ {
		if chain[i-1].Function == "error" {
			_, size, _ := d.callBefore(chain[i].PC, base)
			return d.argument(chain[i].PC - base - uint64(size))
		}
	}
	return ""
}

// leaSize is the length of lea rel32(%rip),%rdi; argumentRoom is how far before the call it may stand.
const (
	leaSize      = 7
	argumentRoom = 24
)

func (d *Image) argument(call uint64) string {
	if call < argumentRoom {
		return ""
	}
	code, err := d.file.Bytes(vmlinux.Addr(call-argumentRoom), argumentRoom)
	if err != nil {
		return ""
	}
	i := bytes.LastIndex(code[:argumentRoom-4], []byte{0x48, 0x8d, 0x3d})
	if i < 0 {
		return ""
	}
	next := call - argumentRoom + uint64(i) + leaSize
	text, err := d.file.CString(vmlinux.Addr(next+uint64(int64(int32(binary.LittleEndian.Uint32(code[i+3:]))))), maxMessage)
	if err != nil {
		return ""
	}
	return string(text)
}
