package unwind

import "fmt"

// Kind says what a PC points at. The zero value is invalid.
type Kind uint8

const (
	// Exact is the instruction being executed: the innermost frame, and frames that an exception interrupted.
	Exact Kind = iota + 1
	// Return is the instruction after a call. A call to a function that does not return may be the last one
	// of its own function, so that the return address lies in the next function or on the next line.
	Return
)

func (k Kind) String() string {
	switch k {
	case Exact:
		return "exact"
	case Return:
		return "return"
	}
	return "invalid"
}

// PC is a run-time code address together with its kind, so that the "minus one" cannot be forgotten or done twice.
type PC struct {
	Addr uint64
	Kind Kind
}

// Lookup is the address by which symbols, lines and unwind rows are looked up: Addr when exact, else Addr-1,
// which lies inside the call instruction.
func (p PC) Lookup() uint64 {
	if p.Kind == Return {
		return p.Addr - 1
	}
	return p.Addr
}

func (p PC) String() string { return fmt.Sprintf("0x%x (%s)", p.Addr, p.Kind) }
