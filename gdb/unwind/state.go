package unwind

import "kcatch/gdb/amd64"

// State is the general registers of one frame, each known or unknown. The zero State knows nothing.
type State struct {
	value [amd64.NumReg]uint64
	known uint32
}

// NewState is the state of a stopped vCPU: every register is known.
func NewState(r amd64.Registers) State {
	var s State
	for reg := amd64.Reg(0); reg < amd64.NumReg; reg++ {
		s.Set(reg, r.Get(reg))
	}
	return s
}

// Get returns the value of a register, and whether it is known in this frame.
func (s State) Get(r amd64.Reg) (uint64, bool) {
	if r >= amd64.NumReg || s.known>>r&1 == 0 {
		return 0, false
	}
	return s.value[r], true
}

// Set makes a register known. Columns that are not general registers are ignored.
func (s *State) Set(r amd64.Reg, v uint64) {
	if r < amd64.NumReg {
		s.value[r], s.known = v, s.known|1<<r
	}
}

// Forget makes a register unknown.
func (s *State) Forget(r amd64.Reg) {
	if r < amd64.NumReg {
		s.value[r], s.known = 0, s.known&^(1<<r)
	}
}

// sp is the value of RSP, zero when unknown.
func (s State) sp() uint64 { return s.value[amd64.RSP] }
