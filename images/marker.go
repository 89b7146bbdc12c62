package images

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
)

// NewMarker returns a marker that no other run has: 32 hex digits.
func NewMarker() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand, since Go 1.24)
	return hex.EncodeToString(b[:])
}

// MarkerLine is the line that init prints, to the console and to the kernel's log, as its first act. Look for it as a
// part of a line: the kernel puts a time before it, and on a console its own text may follow.
func MarkerLine(marker string) string { return "kcatch: init reached " + marker }

// RunLine is the line that init prints when [Spec.Run] has ended with status.
func RunLine(marker string, status int) string {
	return "kcatch: run exited " + strconv.Itoa(status) + " " + marker
}

// WorkloadLine is the line that init prints when [Spec.Workload] has come to its end.
func WorkloadLine(marker string) string { return "kcatch: workload ended " + marker }

// ParseRunLine finds a [RunLine] of marker in a line of console or log text and returns the status.
func ParseRunLine(marker, line string) (status int, ok bool) {
	_, rest, ok := strings.Cut(line, "kcatch: run exited ")
	if !ok || marker == "" {
		return 0, false
	}
	number, rest, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(rest, marker) {
		return 0, false
	}
	status, err := strconv.Atoi(number)
	if err != nil || status < 0 || status > 255 {
		return 0, false
	}
	return status, true
}
