// Package report turns a verdict.Result into something to read: text for a person (text.go) and JSON for a program
// (json.go); and a verdict.Smoke into what a CI reads: [SmokeJSON], [JUnit], [SmokeKTAP], [GitHub], [SmokeMarkdown],
// [SARIF]. One file a sink; every sink is a pure function of the one value. docs/reports.md says how each is used.
//
// Guest output is hostile: every string that came from the guest passes through [Clean] before it reaches a terminal or the
// log of a CI, and what a format has to be acted upon besides is escaped by its sink.
// The package does not decide anything: what it prints stands in the Result.
package report
