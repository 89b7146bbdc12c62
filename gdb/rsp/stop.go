package rsp

import (
	"fmt"
	"strconv"
	"strings"
)

// Thread is one vCPU as the protocol names it. The zero value names none.
type Thread struct {
	PID int // CPU cluster, from 1; 1 on PCs. Zero where the stub gave none
	TID int // vCPU index + 1
}

// CPU is the vCPU's index, from 0.
func (t Thread) CPU() int { return t.TID - 1 }

func (t Thread) String() string { return t.id() }

// id is the thread in a packet: p1.2, or 2 without multiprocess.
func (t Thread) id() string {
	if t.PID == 0 {
		return strconv.FormatInt(int64(t.TID), 16)
	}
	return fmt.Sprintf("p%x.%x", t.PID, t.TID)
}

// parseThread reads "p01.02" or "02". Negative and zero ids (all, any) are no thread.
func parseThread(s string) (Thread, error) {
	var t Thread
	id := s
	if rest, ok := strings.CutPrefix(s, "p"); ok {
		pid, tid, ok := strings.Cut(rest, ".")
		if !ok {
			return Thread{}, fmt.Errorf("thread id %q: %w", s, ErrProtocol)
		}
		n, err := strconv.ParseUint(pid, 16, 31)
		if err != nil || n == 0 {
			return Thread{}, fmt.Errorf("thread id %q: %w", s, ErrProtocol)
		}
		t.PID, id = int(n), tid
	}
	n, err := strconv.ParseUint(id, 16, 31)
	if err != nil || n == 0 {
		return Thread{}, fmt.Errorf("thread id %q: %w", s, ErrProtocol)
	}
	t.TID = int(n)
	return t, nil
}

// Watch is the watch point behind a stop. The zero value is none.
type Watch struct {
	Kind Kind   // WriteWatch, ReadWatch or AccessWatch; Invalid for none
	Addr uint64 // guest-virtual address of the access, as QEMU reports it
}

// Stop is why the guest stands still.
//
//	T05thread:p01.01;                          break point or step
//	T05thread:p01.01;watch:ffffea0000000034;   write watch point
//	T03thread:p01.01;                          shutdown: with -action reboot=shutdown,shutdown=pause a triple fault or reboot
//	W00                                        QEMU has exited
//
// At a watch point RIP is after the writing instruction, and on it for a repeated string instruction.
type Stop struct {
	Signal   int    // gdb's number; gdb_vm_state_change in QEMU's gdbstub
	Thread   Thread // the vCPU it is about; the first one for a stop of the whole machine
	Watch    Watch
	Exited   bool // the machine is gone: W or X
	ExitCode int  // with Exited: the exit status (W), or the signal (X)
	Raw      string
}

// Reason is a stop in one word.
type Reason uint8

// The reasons, by the signal QEMU gives its run states.
const (
	ReasonUnknown       Reason = iota
	ReasonBreak                // 05: a break point was reached or a step done
	ReasonWatch                // 05 with an address: a watch point
	ReasonPaused               // 02: interrupted by us, or paused through QMP
	ReasonShutdown             // 03: reset, triple fault or power off, held by -action
	ReasonInternalError        // 06: the accelerator gave up
	ReasonWatchdog             // 0e: a watchdog device fired
	ReasonIOError              // 17 (11 in newer QEMU): a disk error
	ReasonPanicked             // 8f: any other state; in practice guest-panicked (pvpanic)
	ReasonExited               // QEMU has exited
)

func (r Reason) String() string {
	switch r {
	case ReasonBreak:
		return "break point or step"
	case ReasonWatch:
		return "watch point"
	case ReasonPaused:
		return "paused"
	case ReasonShutdown:
		return "shutdown"
	case ReasonInternalError:
		return "internal error"
	case ReasonWatchdog:
		return "watchdog"
	case ReasonIOError:
		return "I/O error"
	case ReasonPanicked:
		return "panicked"
	case ReasonExited:
		return "exited"
	}
	return "unknown"
}

// Reason says what the stop means.
func (s Stop) Reason() Reason {
	switch {
	case s.Exited:
		return ReasonExited
	case s.Watch.Kind != Invalid:
		return ReasonWatch
	}
	switch s.Signal {
	case 0x05:
		return ReasonBreak
	case 0x02:
		return ReasonPaused
	case 0x03:
		return ReasonShutdown
	case 0x06:
		return ReasonInternalError
	case 0x0e:
		return ReasonWatchdog
	case 0x11, 0x17:
		return ReasonIOError
	case 0x8f:
		return ReasonPanicked
	}
	return ReasonUnknown
}

// needsReset reports whether QEMU refuses to run on after s without a word.
func (s Stop) needsReset() bool {
	r := s.Reason()
	return r == ReasonShutdown || r == ReasonInternalError
}

// looksLikeStop tells stop replies from all other replies this client can get: hex, OK, Enn, m, l, vCont, names=.
func looksLikeStop(payload []byte) bool {
	return len(payload) > 0 && (payload[0] == 'T' || payload[0] == 'S' || payload[0] == 'W' || payload[0] == 'X')
}

// parseStop reads a stop reply packet. GDB manual, "Stop Reply Packets".
func parseStop(payload string) (Stop, error) {
	bad := func(what string) (Stop, error) {
		return Stop{}, fmt.Errorf("stop reply %s: %s: %w", short(payload), what, ErrProtocol)
	}
	if len(payload) < 3 {
		return bad("cut short")
	}
	code, err := strconv.ParseUint(payload[1:3], 16, 8)
	if err != nil {
		return bad("no signal")
	}
	rest := payload[3:]
	stop := Stop{Raw: payload}
	switch payload[0] {
	case 'W', 'X':
		stop.Exited, stop.ExitCode = true, int(code)
		if rest != "" && !strings.HasPrefix(rest, ";process:") {
			return bad("text after the exit code")
		}
		return stop, nil
	case 'S':
		stop.Signal = int(code)
		if rest != "" {
			return bad("text after the signal")
		}
		return stop, nil
	case 'T':
		stop.Signal = int(code)
	default:
		return bad("not a stop")
	}
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, ";")
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, ":")
		if !ok {
			return bad("pair without a colon")
		}
		if err := stop.pair(name, value); err != nil {
			return bad(err.Error())
		}
	}
	return stop, nil
}

// pair takes one name:value of a T packet. Names that are not known (registers, core) say nothing we need.
func (s *Stop) pair(name, value string) error {
	kind := Invalid
	switch name {
	case "thread":
		t, err := parseThread(value)
		if err != nil {
			return fmt.Errorf("thread id %q", value)
		}
		s.Thread = t
		return nil
	case "watch":
		kind = WriteWatch
	case "rwatch":
		kind = ReadWatch
	case "awatch":
		kind = AccessWatch
	default:
		return nil
	}
	addr, err := strconv.ParseUint(value, 16, 64)
	if err != nil {
		return fmt.Errorf("watch address %q", value)
	}
	s.Watch = Watch{Kind: kind, Addr: addr}
	return nil
}
