package machine

// Recording is a run that QEMU records, or plays again to the bit; TCG, with a clock of instructions, one vCPU. Its log has what came
// from outside (clocks, interrupts' times): 16 kB for an early death, 1 MB for a second of a booted kernel.
//
// QEMU: docs/system/replay.rst.
type Recording struct {
	Log  string // the file
	Play bool   // else it is written
}

// icount is the value of -icount.
func (r Recording) icount() string {
	how := "record"
	if r.Play {
		how = "replay"
	}
	return "shift=auto,rr=" + how + ",rrfile=" + comma(r.Log)
}
