package autopsy

import (
	"bytes"
	"encoding/binary"
)

// maxCommandLine is COMMAND_LINE_SIZE (arch/x86/include/asm/setup.h), in bytes.
const maxCommandLine = 2048

// commandLine is the command line as the kernel has it, empty when there is none yet: saved_command_line (init/main.c) once
// start_kernel has copied it, before that boot_command_line, which is freed with the init data.
func (s *Scene) commandLine() string {
	mem := s.kernelMemory()
	if mem == nil {
		return ""
	}
	text := func(at uint64) string {
		b := make([]byte, maxCommandLine)
		n, _ := mem.ReadMemory(b, at) // may end near the end of memory
		line, _, ended := bytes.Cut(b[:n], []byte{0})
		if !ended {
			return ""
		}
		return string(line)
	}
	if sym, ok := s.Kernel.Symbol("saved_command_line"); ok {
		var p [8]byte
		if _, err := mem.ReadMemory(p[:], s.Placement.Run(uint64(sym.Addr))); err == nil {
			if at := binary.LittleEndian.Uint64(p[:]); at != 0 {
				return text(at)
			}
		}
	}
	if sym, ok := s.Kernel.Symbol("boot_command_line"); ok {
		return text(s.Placement.Run(uint64(sym.Addr)))
	}
	return ""
}
