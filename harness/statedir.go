package harness

// StateDir is the user's directory for what boots and bisections leave: $XDG_STATE_HOME/kcatch, or ~/.local/state/kcatch.
func StateDir() (string, error) { return stateDir() }
