package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"

	"kcatch/gdb/amd64"
)

// Memory reads guest memory by virtual address. n < len(p) only with an error.
type Memory interface {
	ReadMemory(p []byte, addr uint64) (n int, err error)
}

// MemoryError is a stack word that could not be read.
type MemoryError struct {
	Addr uint64
	Err  error
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("read stack: 0x%x: %v", e.Addr, e.Err)
}

func (e *MemoryError) Unwrap() error { return e.Err }

var (
	errNoCFA = errors.New("unwind: row has no rule for the frame address")
	errScan  = errors.New("unwind: a scan row needs Walk")
)

// Caller is what one step up the stack found.
type Caller struct {
	PC    PC
	State State
	// CFA is the canonical frame address of the frame that was left.
	CFA uint64
	// Trap is how the frame was left; unless it is TrapNone, PC is where the exception hit.
	Trap Trap
	// CS is the interrupted code segment; zero for a call. Its low two bits are the privilege level.
	CS uint16
	// Switched says that the row itself may have left the stack (CFAIndirect, traps).
	Switched bool
}

// Step computes the caller of the frame whose registers are s, at an address described by row.
// Errors: [*MemoryError], or a register that the row needs is unknown.
func Step(row Row, s State, mem Memory) (Caller, error) {
	if row.CFA.Kind == CFAChain {
		rbp, ok := s.Get(amd64.RBP)
		if !ok {
			return Caller{}, unknownRegister(amd64.RBP)
		}
		row = chainRow(rbp)
	}
	cfa, err := row.CFA.eval(s, mem)
	if err != nil {
		return Caller{}, err
	}
	c := Caller{CFA: cfa, Trap: row.Trap, Switched: row.Trap != TrapNone || row.CFA.Kind == CFAIndirect}
	for r := amd64.Reg(0); r < amd64.NumReg; r++ {
		v, known, err := row.Regs[r].eval(cfa, r, s, mem)
		if err != nil {
			return Caller{}, err
		}
		if known {
			c.State.Set(r, v)
		}
	}
	if row.Saved != nil {
		c.State.fill(row.Saved, cfa, s, mem)
	}
	ip, ok := c.State.Get(amd64.RIP)
	if !ok {
		return Caller{}, unknownRegister(amd64.RIP)
	}
	c.PC = PC{Addr: ip, Kind: Return}
	if row.Trap != TrapNone || row.Signal {
		c.PC.Kind = Exact
	}
	if row.Trap != TrapNone {
		off := uint64(ptRegsCS)
		if row.Trap == TrapIret {
			off = iretCS
		}
		cs, err := readWord(mem, cfa+off)
		if err != nil {
			return Caller{}, err
		}
		// Bits above 15 hold FRED data since v6.9 (struct fred_cs, arch/x86/include/asm/ptrace.h).
		c.CS = uint16(cs)
	}
	return c, nil
}

// fill takes from a second row the callee-saved registers that the first one left unknown. It gives no errors: a value
// that cannot be had stays unknown.
func (s *State) fill(row *Row, cfa uint64, callee State, mem Memory) {
	same, err := row.CFA.eval(callee, mem)
	if err != nil || same != cfa {
		return
	}
	for _, r := range calleeSaved {
		if _, have := s.Get(r); have {
			continue
		}
		if v, known, err := row.Regs[r].eval(cfa, r, callee, mem); err == nil && known {
			s.Set(r, v)
		}
	}
}

// chainRow is the frame-pointer rule for one value of rbp, see [CFAChain]:
//
//	rbp + 8   return address      rip = *(cfa - 8)
//	rbp + 0   caller's rbp        rbp = *(cfa - 16)
func chainRow(rbp uint64) Row {
	if rbp&1 != 0 {
		return PtRegsRow(amd64.RBP, -1)
	}
	row := callRow(CFARule{Kind: CFARegister, Reg: amd64.RBP, Offset: 16})
	row.Regs[amd64.RBP] = Rule{Kind: AtCFA, Offset: -16}
	return row
}

func (c CFARule) eval(s State, mem Memory) (uint64, error) {
	switch c.Kind {
	case CFARegister, CFAIndirect:
	case CFAScan:
		return 0, errScan
	default:
		return 0, errNoCFA
	}
	base, ok := s.Get(c.Reg)
	if !ok {
		return 0, unknownRegister(c.Reg)
	}
	addr := base + uint64(c.Offset)
	if c.Kind == CFARegister {
		return addr, nil
	}
	v, err := readWord(mem, addr)
	return v + uint64(c.Add), err
}

func (r Rule) eval(cfa uint64, self amd64.Reg, s State, mem Memory) (v uint64, known bool, err error) {
	switch r.Kind {
	case Same:
		v, known = s.Get(self)
		return v, known, nil
	case AtCFA:
		v, err = readWord(mem, cfa+uint64(r.Offset))
		return v, err == nil, err
	case ValCFA:
		return cfa + uint64(r.Offset), true, nil
	case AtReg, ValReg:
		base, ok := s.Get(r.Reg)
		if !ok {
			return 0, false, nil
		}
		if r.Kind == ValReg {
			return base + uint64(r.Offset), true, nil
		}
		v, err = readWord(mem, base+uint64(r.Offset))
		return v, err == nil, err
	}
	return 0, false, nil
}

func readWord(mem Memory, addr uint64) (uint64, error) {
	var b [8]byte
	if _, err := mem.ReadMemory(b[:], addr); err != nil {
		return 0, &MemoryError{Addr: addr, Err: err}
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

func unknownRegister(r amd64.Reg) error {
	return fmt.Errorf("unwind: register %s is not known in this frame", r)
}
