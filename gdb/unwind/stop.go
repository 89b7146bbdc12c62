package unwind

import "fmt"

// Reason is why a walk stopped. The zero value is invalid.
type Reason uint8

const (
	// EndOfStack: the outermost frame was reached. The trace is whole.
	EndOfStack Reason = iota + 1
	// UserMode: the exception came from user space; the kernel's part of the trace is whole.
	UserMode
	// NoUnwindData: nothing is known about the code at Addr.
	NoUnwindData
	// UnreadableStack: the memory at Addr could not be read.
	UnreadableStack
	// OutsideText: the pc Addr is in no code, and the stack does not tell where it came from.
	OutsideText
	// NoProgress: the step from the frame at Addr led back on the stack; its data is wrong.
	NoProgress
	// TooDeep: MaxFrames frames were found and there are more.
	TooDeep
)

// Stop is the end of a walk: the reason, the address it is about, and the error behind it if there is one.
type Stop struct {
	Reason Reason
	Addr   uint64
	Err    error
}

// Whole reports whether the trace misses nothing.
func (s Stop) Whole() bool { return s.Reason == EndOfStack || s.Reason == UserMode }

func (s Stop) String() string {
	switch s.Reason {
	case EndOfStack:
		return "end of stack"
	case UserMode:
		return fmt.Sprintf("user mode at 0x%x", s.Addr)
	case NoUnwindData:
		if s.Err != nil {
			return fmt.Sprintf("no unwind data at 0x%x: %v", s.Addr, s.Err)
		}
		return fmt.Sprintf("no unwind data at 0x%x", s.Addr)
	case UnreadableStack:
		return fmt.Sprintf("unreadable stack memory at 0x%x", s.Addr)
	case OutsideText:
		return fmt.Sprintf("pc 0x%x is in no code", s.Addr)
	case NoProgress:
		return fmt.Sprintf("unwinding at 0x%x does not advance", s.Addr)
	case TooDeep:
		return fmt.Sprintf("more than %d frames", MaxFrames)
	}
	return "invalid"
}
