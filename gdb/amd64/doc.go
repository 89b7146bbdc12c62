// Package amd64 is the guest CPU as data: its registers with their DWARF numbers, the control bits that decide
// how memory is read, and the exception vectors with their error codes.
//
// It holds values only and needs nothing; it reads no machine. The files are not named *_amd64.go, because Go
// would then build them only on an amd64 host, and the host is not the guest.
package amd64
