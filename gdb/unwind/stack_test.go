package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"

	"kcatch/gdb/amd64"
)

// stack is memory made of a few words that begin at base.
type stack struct {
	base  uint64
	words []uint64
}

func (s stack) ReadMemory(p []byte, addr uint64) (int, error) {
	for i := range p {
		at := addr + uint64(i)
		if at < s.base || at-s.base >= uint64(len(s.words))*8 {
			return i, errors.New("unmapped")
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], s.words[(at-s.base)/8])
		p[i] = b[(at-s.base)%8]
	}
	return len(p), nil
}

// code is an image of functions [start, end) with one row each.
type code []struct {
	start, end uint64
	row        Row
	by         FoundBy
}

func (c code) Row(pc PC) (Row, FoundBy, error) {
	for _, f := range c {
		if a := pc.Lookup(); a >= f.start && a < f.end && f.by != "" {
			return f.row, f.by, nil
		}
	}
	return Row{}, "", ErrNoRow
}

func (c code) IsText(addr uint64) bool {
	for _, f := range c {
		if addr >= f.start && addr < f.end {
			return true
		}
	}
	return false
}

// spRow is ORC's "sp+n, type call" without a rule for rbp.
func spRow(n int64) Row { return callRow(CFARule{Kind: CFARegister, Reg: amd64.RSP, Offset: n}) }

func start(ip, sp, bp uint64) State {
	return NewState(amd64.Registers{RIP: ip, RSP: sp, RBP: bp})
}

// chain is a trace as one line: "0x1000 registers, 0x2003 orc, ... : end of stack".
func chain(t Trace) string {
	s := ""
	for i, f := range t.Frames {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("0x%x %s", f.PC.Addr, f.By)
		if f.Interrupted {
			s += "!"
		}
	}
	return s + ": " + t.Stop.String()
}
