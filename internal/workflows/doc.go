// Package workflows holds the tests of the CI files: action.yml, .github/workflows and docs/ci. None of them can be run here as the
// services run them; what a script in them does is tested with a kcatch that only says how it was called.
//
// actionlint, in "make check", knows GitHub's syntax; it does not look into action.yml but for its inputs.
package workflows
