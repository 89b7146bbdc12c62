package verdict

import "kcatch/internal/blame"

// The exit codes of the contract. git bisect run reads 0 as good, 1..124 as bad, 125 as "cannot test", and stops at
// 128 and above (git 2.39, Documentation/git-bisect.txt, "Bisect run"); a usage error must therefore never be 2.
const (
	ExitGood           = 0
	ExitBad            = 1
	ExitSkip           = 125
	ExitUsage          = 129
	ExitInterrupted    = 130
	ExitInfrastructure = 131
)

// ExitCode is the exit code of a boot that came to a verdict.
func (r *Result) ExitCode() int {
	switch r.Verdict {
	case Good:
		return ExitGood
	case Bad:
		return ExitBad
	}
	return ExitSkip
}

// ExitFor is the exit code of an error that left no verdict. An error nobody classified is ours: infrastructure.
func ExitFor(err error) int {
	switch blame.Of(err) {
	case blame.Usage:
		return ExitUsage
	case blame.Build:
		return ExitSkip
	case blame.Interrupted:
		return ExitInterrupted
	}
	return ExitInfrastructure
}
