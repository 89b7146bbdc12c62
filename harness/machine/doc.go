// Package machine is QEMU: as a value, and as a process.
//
// The value is [Spec]: what the machine is made of. [Spec.Argv] turns it into QEMU's arguments, a pure function with one
// answer for one spec; [Spec.ShellCommand] turns it into a line that a person can run again.
//
// The process is [Machine], made by [Start]: QEMU stands before its first instruction, with
//
//   - the GDB stub's connection, handed out unused ([Machine.GDBConn]); only resume through it: QEMU 8.1 and later
//     stay silent at a breakpoint when the last resume came by QMP,
//   - QMP, through go-qemu's SocketMonitor behind the adapter in qmp.go and relay.go: status, registers, events, dumps,
//   - the guest's RAM as a shared file that may be mapped read-only while it runs ([Machine.RAMPath]),
//   - the serial line, read from the first byte, with times, in bounded memory ([Console]),
//   - a machine that stands still instead of going away: a reset, a triple fault, a power-off and a reported panic all
//     pause it with its registers (-action reboot=shutdown,shutdown=pause,panic=pause).
//
// [Chooser] decides between KVM and TCG by letting a test guest run from breakpoint to breakpoint, since /dev/kvm may open on
// hosts where no guest gets anywhere, or is slower than under TCG.
//
// What it needs from you: QEMU 7.0 or later, Linux, and a call of [Machine.Close] on every way out. Signals are yours to
// catch. If this process is killed without one (SIGKILL, a crash), the kernel kills QEMU with it, see process.go; the
// run directory then stays until the next [Start], which sweeps it away.
//
// What it does not do: speak the GDB protocol, but for that test guest; judge a boot, find a kernel in RAM, build images.
//
// QEMU: https://www.qemu.org/docs/master/system/invocation.html, docs/interop/qmp-spec.
package machine
