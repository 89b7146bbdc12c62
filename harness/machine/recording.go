package machine

// Recording is a run that QEMU records, or plays again to the bit; TCG, with a clock of instructions, one vCPU. Its log has what came
// from outside (clocks, interrupts' times): 2 kB for an early death, 200 kB for a boot of the tiny kernel.
//
// QEMU: docs/system/replay.rst.
type Recording struct {
	Log  string // the file
	Play bool   // else it is written
}

// icount is the value of -icount: 32 ns for an instruction, and a guest that idles does not wait for the host's clock. With shift=auto, or
// sleep=on, QEMU has timers of the host's clock for that, whose times are in the log (2,273 for 2 s of a kernel's boot): of some 60 recordings
// one did not play, it stood still at such a timer each time (QEMU 7.2.22; softmmu/icount.c, QEMU_CLOCK_VIRTUAL_RT). Without them there is
// nothing of the kind in the log, which is 40 times as short, and plays three times as fast.
func (r Recording) icount() string {
	how := "record"
	if r.Play {
		how = "replay"
	}
	return "shift=5,sleep=off,rr=" + how + ",rrfile=" + comma(r.Log)
}
