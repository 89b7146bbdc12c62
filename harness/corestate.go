package harness

import (
	"encoding/json"

	"kcatch/gdb/amd64"
	"kcatch/gdb/decompressor"
	"kcatch/gdb/linux"
	"kcatch/harness/autopsy"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// coreState is what a core of ours says beside memory and NT_PRSTATUS, as JSON in a note of its own: how the boot ended, what
// was seen on the way that is in no memory later (the vector of an early exception), and the registers that the other notes
// have no place for. With it [Autopsy] finds what the boot itself found.
type coreState struct {
	Form int
	// Moment says that the core is of the first oops or panic, and not of the end.
	Moment     bool
	Stop       watch.Stop
	Registers  []amd64.Registers
	Exceptions *machine.ExceptionLog
	Setup      decompressor.Setup
	Console    string
	FailOn     []verdict.Class
	Machine    *verdict.Machine
	// Later is what the kernel logged after the core of a moment.
	Later []linux.Record `json:",omitempty"`
}

// coreStateForm is the form that is written; another one is not read.
const coreStateForm = 1

// maxStateHits bounds the hits that are kept: an early exception has one.
const maxStateHits = 32

// stateOf is the state of a scene whose registers have been read.
func (b *boot) stateOf(s *autopsy.Scene, moment bool) coreState {
	stop := s.Stop
	stop.Placement, stop.Marks, stop.Hits = nil, nil, nil
	for _, h := range s.Stop.Hits {
		if h.Symbol == "early_fixup_exception" && len(stop.Hits) < maxStateHits {
			stop.Hits = append(stop.Hits, h)
		}
	}
	return coreState{Form: coreStateForm, Moment: moment, Stop: stop, Registers: s.Registers, Exceptions: s.Exceptions,
		Setup: s.Setup, Console: s.Console, FailOn: s.FailOn, Machine: b.machineOf()}
}

// note is the state as the core has it; nil is no note.
func (s coreState) note() []byte {
	data, err := json.Marshal(s)
	if err != nil {
		return nil // not reached: these are plain values
	}
	return data
}

// machineOf is the machine for the result.
func (b *boot) machineOf() *verdict.Machine {
	return &verdict.Machine{Name: b.plan.Machine, Accel: b.accel.String(), Memory: b.plan.Memory, CPUs: b.plan.CPUs, CPU: b.plan.CPU}
}

// readState is the state in a core's note; nil when there is none, or it is none of ours.
func readState(note []byte) *coreState {
	var s coreState
	if note == nil || json.Unmarshal(note, &s) != nil || s.Form != coreStateForm {
		return nil
	}
	return &s
}
