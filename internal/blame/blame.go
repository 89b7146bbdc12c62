// Package blame says whose fault an error is. The kind decides the exit code and whether a boot counts as a verdict
// on the kernel, so it is a type that travels with the error from the room where it is known to the command line.
//
// Rooms that must not import each other (kernels, images, gdb, harness) all import this leaf.
package blame

import (
	"context"
	"errors"
	"strings"
)

// Kind is whose fault an error is. The zero value is Unknown: an error nobody classified is our own bug.
type Kind uint8

const (
	Unknown        Kind = iota
	Usage               // the command line or a file it names: exit 129
	Build               // the patch does not fit, the configuration does not take, the kernel does not compile: exit 125
	Infrastructure      // QEMU, compiler, disk, network: exit 131
	Interrupted         // the user said stop: exit 130
)

func (k Kind) String() string {
	switch k {
	case Usage:
		return "usage"
	case Build:
		return "build"
	case Infrastructure:
		return "infrastructure"
	case Interrupted:
		return "interrupted"
	}
	return "unknown"
}

// Error is an error with a kind and, where one is known, the next thing to do.
type Error struct {
	Kind Kind
	// Msg is "operation: subject: cause": lower case, one line, no period.
	Msg string
	// Hint is what to type or install next; empty where there is nothing better than the message.
	Hint string
	// Detail is long evidence (a compiler's output, a rejected hunk), printed with %+v and saved beside the log.
	Detail string
	// Err is the cause, for errors.Is and errors.As; its text is not repeated in Error().
	Err error
}

// Error is the one telling line.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind. hint may be empty.
func New(kind Kind, msg, hint string) *Error { return &Error{Kind: kind, Msg: msg, Hint: hint} }

// Of returns the kind of err: that of the first [Error] in its chain, Interrupted for a cancelled context, else Unknown.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) && e.Kind != Unknown {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Unknown
}

// Hint returns the first hint in err's chain, or the empty string.
func Hint(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Detail returns the first long evidence in err's chain, without a trailing newline.
func Detail(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Detail != "" {
			return strings.TrimRight(e.Detail, "\n")
		}
		err = e.Err
	}
	return ""
}
