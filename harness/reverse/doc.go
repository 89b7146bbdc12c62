// Package reverse lets gdb go backward in a recorded boot.
//
// QEMU goes backward itself (packets bs and bc): it loads a snapshot into the machine that is there and plays the recording again. That
// deadlocks, about once in 20 times with QEMU 7.2.22: loading resets the devices, and a reset has work done by the vCPU's thread and waits
// for that (do_run_on_cpu) while it holds the lock of the replay, for which the vCPU's thread may be waiting (replay_mutex_lock in
// rr_cpu_thread_fn). QMP does not answer then, either.
//
// What has not failed is going forward in a QEMU that has just been started. So that is all that this package does. A [Session] stands
// between gdb and the stub of a QEMU that plays the recording, and passes on what gdb says, but for three kinds of packet:
//
//	bs         another QEMU is started and plays up to the instruction before; it takes the present one's place
//	bc         another QEMU plays from the beginning with gdb's breakpoints in, and notes where it stopped last before the present
//	           instruction; a third one plays up to there
//	c, s, vCont  are passed on, with a stop at the recording's end
//
// Whatever happens to a QEMU on the way there (it stands still, it ends, it does not answer), the present machine is still there: one that
// stands still is replaced, three times, and then gdb is told that the step failed, where it was. So nothing hangs for longer than
// [Limits] say. Time is counted in instructions, which QMP's query-replay tells and replay-break stops at, exactly.
//
// What it needs from you: a recording (QEMU's -icount rr=record, one vCPU), and a function that starts a QEMU which plays it, standing.
// What it does not do: start QEMU, or keep what gdb writes: a machine that was replaced is as it was recorded.
//
// Protocol: GDB manual, "Packets", and "Stop Reply Packets" for replaylog. QEMU: docs/system/replay.rst, replay/replay-debugging.c.
package reverse
