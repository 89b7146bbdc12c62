package report

import "kcatch/harness/verdict"

// FrameName is a frame as reports name it: its function, and the module in brackets; its address where it has no name. Cleaned.
func FrameName(f verdict.Frame) string { return label(f) }

// FramePlace is where a frame is: file:line, else the offset in its function; empty where neither is known. Cleaned.
func FramePlace(f verdict.Frame) string { return where(f) }

// Declaration is a variable as C declares it, as far as it is known. Cleaned.
func Declaration(v verdict.Arg) string { return declared(v) }

// Unknown reports whether the value of v is no value but the reason why there is none.
func Unknown(v verdict.Arg) bool { return unknown(v.Value) }
