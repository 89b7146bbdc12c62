// Package report turns a verdict.Result into something to read: text for a person (text.go) and JSON for a program
// (json.go). One file a sink; every sink is a pure function of the Result.
//
// Guest output is hostile: every string that came from the guest passes through [Clean] before it reaches a terminal.
// The package does not decide anything: what it prints stands in the Result.
package report
