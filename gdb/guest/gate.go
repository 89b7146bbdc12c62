package guest

import "encoding/binary"

// GateOffset is the handler address in an IDT gate of long mode (SDM vol. 3A, figure 6-8):
// bytes 0-1 low, 6-7 middle, 8-11 high. ok is false for an empty or not present gate.
func GateOffset(gate [16]byte) (handler uint64, ok bool) {
	le := binary.LittleEndian
	handler = uint64(le.Uint16(gate[0:])) | uint64(le.Uint16(gate[6:]))<<16 | uint64(le.Uint32(gate[8:]))<<32
	return handler, gate[5]&0x80 != 0 && handler != 0
}

// GateSymbols are the handlers that gate 0 (divide error) of a kernel's IDT may name, in the order of their use in boot.
var GateSymbols = [...]string{"early_idt_handler_array", "asm_exc_divide_error", "divide_error"}

// SlideFromGate is a second witness of the slide, beside [FindKernel]: IDT gate 0 of a stopped vCPU, read at IDTR.base
// through a [Space], against the link addresses of [GateSymbols]. ok is false when no symbol fits: the IDT is then not
// this kernel's. Source: crash, kaslr_helper.c, which knows only the second and fails in early boot.
func SlideFromGate(gate [16]byte, symbols Symbols) (slide uint64, ok bool) {
	handler, ok := GateOffset(gate)
	if !ok {
		return 0, false
	}
	at := symbols.Addresses(GateSymbols[:]...)
	for _, name := range GateSymbols {
		link, have := at[name]
		if s := handler - link; have && s < MaxSlide && s%Alignment == 0 {
			return s, true
		}
	}
	return 0, false
}
