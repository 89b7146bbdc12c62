// Package rsp is a client of the GDB remote serial protocol, for the stub inside QEMU on x86_64.
//
// What it does: it frames and checks packets, asks what the stub can do, reads vCPUs' registers and memory, keeps a
// table of break and watch points, and resumes, steps and interrupts the machine. Every trap of QEMU's stub that is
// known is dealt with here and said where it is dealt with, so that no caller has to know one.
//
// What it needs from you: a connection (unix socket or net.Pipe), which the client then owns; [Client.Handshake]
// before anything else; a context with a deadline for [Client.Wait]. Resume only through this client: a guest that is
// resumed through QMP stops silently from QEMU 8.1 on (allow_stop_reply in gdbstub/), and this client would not know
// that it runs. A pause through QMP is fine. Methods are safe for use by several goroutines; requests take turns.
//
// The one rule of the wire: while the guest runs, any byte that reaches the stub stops it (gdb_read_byte, QEMU 7.2
// gdbstub/gdbstub.c). So a request while it runs fails with [ErrRunning] and sends nothing; only [Client.Interrupt] writes.
//
// What it does not do: it starts no QEMU, knows no symbols, and does not step over break points on its own. A resume at
// a break point's address hits it again at once: call [Client.StepOver] first. No-ack mode is never asked for; QEMU has none.
//
// Protocol: https://sourceware.org/gdb/current/onlinedocs/gdb.html/Remote-Protocol.html
// Stub: https://gitlab.com/qemu-project/qemu/-/blob/v7.2.0/gdbstub/gdbstub.c
package rsp
