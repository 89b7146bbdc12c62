package main

import (
	"fmt"
	"strings"

	"kcatch/harness"
	"kcatch/harness/report"
)

// checkNameLength is how much of a command names its check, in characters.
const checkNameLength = 40

// checksFor makes checks of the commands that --check gives. A check is named for its command, and has its number where another has
// the same name.
func checksFor(commands []string) []harness.GuestCheck {
	var out []harness.GuestCheck
	taken := map[string]bool{}
	for i, command := range commands {
		name := report.Clean(strings.TrimSpace(command), 0)
		if r := []rune(name); len(r) > checkNameLength {
			name = string(r[:checkNameLength-1]) + "…"
		}
		for taken[name] {
			name = fmt.Sprintf("%s (%d)", name, i+1)
		}
		taken[name] = true
		out = append(out, harness.GuestCheck{Name: name, Command: command})
	}
	return out
}
