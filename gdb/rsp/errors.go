package rsp

import (
	"errors"
	"fmt"

	"kcatch/internal/blame"
)

// The errors a caller tells apart with errors.Is. Each is wrapped with the request it met.
var (
	// ErrRunning: the guest runs, and a packet would stop it. Nothing was sent.
	ErrRunning = errors.New("the guest is running")
	// ErrNotRunning: there is no run to wait for or to interrupt.
	ErrNotRunning = errors.New("the guest is not running")
	// ErrUnsupported: the stub does not have the packet, or did not announce it.
	ErrUnsupported = errors.New("not supported by the stub")
	// ErrNeedsReset: the last stop was a shutdown or an internal error. QEMU answers a resume then with nothing at all
	// (gdb_continue, runstate_needs_reset), so none is sent. Registers and memory can still be read.
	ErrNeedsReset = errors.New("the machine is shut down and cannot be resumed")
	// ErrTimeout: the stub did not answer in [Options].Timeout.
	ErrTimeout = errors.New("no answer from the stub")
	// ErrClosed: the connection ended. The text says by whom.
	ErrClosed = errors.New("connection closed")
	// ErrProtocol: what came is not the protocol.
	ErrProtocol = errors.New("not the remote serial protocol")
)

// FaultError says that guest memory cannot be read.
type FaultError struct {
	Addr uint64 // the first address that cannot be read, to the granularity of one request (2048 bytes)
}

func (e *FaultError) Error() string { return fmt.Sprintf("read memory: 0x%x: not mapped", e.Addr) }

// StubError is an error reply. QEMU's codes are errno values in hex: 0x14 stands for any fault, 0x22 for EINVAL.
type StubError struct {
	Packet string // the request, shortened
	Code   uint8  // the two hex digits after E
}

func (e *StubError) Error() string {
	return fmt.Sprintf("stub: packet %s: error reply E%02x", e.Packet, e.Code)
}

// infra marks an error of the wire as nobody's kernel: QEMU or the machine under it. The cause stands at the end.
func infra(cause error, format string, args ...any) error {
	return &blame.Error{
		Kind: blame.Infrastructure,
		Msg:  fmt.Sprintf(format, args...) + ": " + cause.Error(),
		Err:  cause,
	}
}

// short makes a packet fit for an error message.
func short(payload string) string {
	const most = 40
	if len(payload) > most {
		return fmt.Sprintf("%q...", payload[:most])
	}
	return fmt.Sprintf("%q", payload)
}
